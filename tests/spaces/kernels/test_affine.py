"""Quantizers: error bounds, fixed points, channels one by one."""

import pytest
import torch
from atoll.spaces.kernels.affine import (
    asymmetric_scale,
    quantize_symmetric,
    symmetric_levels,
    symmetric_scale,
)
from hypothesis import given
from hypothesis import strategies as st

WEIGHT = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0)) * torch.logspace(
    -3, 1, 6
).reshape(6, 1, 1, 1)


@pytest.mark.parametrize(("bits", "levels"), [(8, 127), (4, 7), (2, 1)])
def test_levels(bits: int, levels: int) -> None:
    assert symmetric_levels(bits) == levels


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("per_channel", [True, False])
def test_error_inside_the_range_is_at_most_half_a_step(bits: int, per_channel: bool) -> None:
    scale = symmetric_scale(WEIGHT, bits, per_channel)
    assert scale.shape == (6 if per_channel else 1, 1, 1, 1)
    inside = (WEIGHT / scale).abs() <= symmetric_levels(bits)
    error = (quantize_symmetric(WEIGHT, scale, bits) - WEIGHT).abs()
    assert (error <= 0.5001 * scale)[inside].all()
    assert inside.float().mean() > 0.5


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_quantizing_twice_is_quantizing_once(bits: int) -> None:
    scale = symmetric_scale(WEIGHT, bits, per_channel=True)
    once = quantize_symmetric(WEIGHT, scale, bits)
    assert torch.equal(quantize_symmetric(once, scale, bits), once)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_channels_are_scaled_one_by_one(bits: int) -> None:
    together = symmetric_scale(WEIGHT, bits, per_channel=True)
    alone = [symmetric_scale(channel[None], bits, per_channel=False) for channel in WEIGHT]
    assert torch.equal(together, torch.cat(alone))


def test_eight_bits_put_the_largest_weight_on_the_last_level() -> None:
    scale = symmetric_scale(WEIGHT, 8, per_channel=True)
    assert torch.equal(torch.round(WEIGHT / scale).abs().amax(dim=(1, 2, 3)), torch.full((6,), 127.0))


@pytest.mark.parametrize("bits", [4, 2])
def test_fewer_bits_clip_where_that_costs_less(bits: int) -> None:
    largest = WEIGHT.abs().amax(dim=(1, 2, 3), keepdim=True) / symmetric_levels(bits)
    chosen = symmetric_scale(WEIGHT, bits, per_channel=True)

    def error(scale: torch.Tensor) -> float:
        return float((quantize_symmetric(WEIGHT, scale, bits) - WEIGHT).square().sum())

    assert error(chosen) < error(largest)


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_a_channel_of_zeros_stays_zero(bits: int) -> None:
    zeros = torch.zeros(2, 5)
    scale = symmetric_scale(zeros, bits, per_channel=True)
    assert (scale > 0).all()
    assert not quantize_symmetric(zeros, scale, bits).any()


@given(st.floats(-100, 100), st.floats(0, 100), st.sampled_from([8, 4]))
def test_an_asymmetric_grid_covers_its_range_and_holds_zero(low: float, width: float, bits: int) -> None:
    scale, zero_point = asymmetric_scale(torch.tensor(low), torch.tensor(low + width), bits)
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    assert scale > 0
    assert zero_point == zero_point.round()
    assert least <= zero_point <= most
    # rounding the zero point may move the range by half a step
    assert (least - zero_point) * scale <= min(low, 0) + 0.51 * scale
    assert (most - zero_point) * scale >= max(low + width, 0) - 0.51 * scale
