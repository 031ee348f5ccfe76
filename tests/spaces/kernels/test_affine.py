"""Quantizers: error bounds, fixed points, channels one by one."""

import pytest
import torch
from atoll.spaces.kernels.affine import (
    affine_scale,
    asymmetric_scale,
    integer_range,
    quantize_affine,
    quantize_as_it_runs,
    quantize_symmetric,
    symmetric_levels,
    symmetric_scale,
)
from hypothesis import given
from hypothesis import strategies as st

WEIGHT = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0)) * torch.logspace(
    -3, 1, 6
).reshape(6, 1, 1, 1)


@pytest.mark.parametrize(("bits", "levels"), [(8, 127), (4, 7), (3, 3), (2, 1)])
def test_levels(bits: int, levels: int) -> None:
    assert symmetric_levels(bits) == levels


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
@pytest.mark.parametrize("per_channel", [True, False])
def test_error_inside_the_range_is_at_most_half_a_step(bits: int, per_channel: bool) -> None:
    scale = symmetric_scale(WEIGHT, bits, per_channel)
    assert scale.shape == (6 if per_channel else 1, 1, 1, 1)
    inside = (WEIGHT / scale).abs() <= symmetric_levels(bits)
    error = (quantize_symmetric(WEIGHT, scale, bits) - WEIGHT).abs()
    assert (error <= 0.5001 * scale)[inside].all()
    assert inside.float().mean() > 0.5


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
def test_quantizing_twice_is_quantizing_once(bits: int) -> None:
    scale = symmetric_scale(WEIGHT, bits, per_channel=True)
    once = quantize_symmetric(WEIGHT, scale, bits)
    assert torch.equal(quantize_symmetric(once, scale, bits), once)


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
def test_channels_are_scaled_one_by_one(bits: int) -> None:
    together = symmetric_scale(WEIGHT, bits, per_channel=True)
    alone = [symmetric_scale(channel[None], bits, per_channel=False) for channel in WEIGHT]
    assert torch.equal(together, torch.cat(alone))


def test_eight_bits_put_the_largest_weight_on_the_last_level() -> None:
    scale = symmetric_scale(WEIGHT, 8, per_channel=True)
    assert torch.equal(torch.round(WEIGHT / scale).abs().amax(dim=(1, 2, 3)), torch.full((6,), 127.0))


@pytest.mark.parametrize("bits", [4, 3, 2])
def test_fewer_bits_clip_where_that_costs_less(bits: int) -> None:
    largest = WEIGHT.abs().amax(dim=(1, 2, 3), keepdim=True) / symmetric_levels(bits)
    chosen = symmetric_scale(WEIGHT, bits, per_channel=True)

    def error(scale: torch.Tensor) -> float:
        return float((quantize_symmetric(WEIGHT, scale, bits) - WEIGHT).square().sum())

    assert error(chosen) < error(largest)


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
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


# Affine grids ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("calibration", ["min_max", "percentile", "mse"])
def test_an_affine_grid_holds_zero_and_errs_by_half_a_step_at_most(
    bits: int, per_channel: bool, calibration: str
) -> None:
    weight = WEIGHT + 0.3 * WEIGHT.abs()  # more to one side
    scale, zero_point = affine_scale(weight, bits, per_channel, calibration)
    least, most = integer_range(bits)
    assert scale.shape == zero_point.shape == (6 if per_channel else 1, 1, 1, 1)
    assert torch.equal(zero_point, zero_point.round())
    assert ((zero_point >= least) & (zero_point <= most)).all()
    assert not quantize_affine(torch.zeros_like(weight), scale, zero_point, bits).any()
    inside = (weight >= (least - zero_point) * scale) & (weight <= (most - zero_point) * scale)
    error = (quantize_affine(weight, scale, zero_point, bits) - weight).abs()
    assert (error <= 0.5001 * scale)[inside].all()
    assert inside.float().mean() > 0.5


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
def test_affine_quantizing_twice_is_once_and_channels_are_alone(bits: int) -> None:
    scale, zero_point = affine_scale(WEIGHT, bits, per_channel=True)
    once = quantize_affine(WEIGHT, scale, zero_point, bits)
    assert torch.equal(quantize_affine(once, scale, zero_point, bits), once)
    for channel, weight in enumerate(WEIGHT):
        alone = affine_scale(weight[None], bits, per_channel=False)
        assert torch.equal(alone[0][0], scale[channel])
        assert torch.equal(alone[1][0], zero_point[channel])


def test_weights_on_one_side_use_every_level_of_an_affine_grid() -> None:
    weight = torch.linspace(0, 3, 16)[None]
    scale, zero_point = affine_scale(weight, 4, per_channel=True, calibration="min_max")
    assert torch.allclose(quantize_affine(weight, scale, zero_point, 4), weight)
    assert torch.unique((weight / scale).round()).numel() == 16


# Rounding at run time --------------------------------------------------------------------------------


def test_each_image_is_rounded_on_its_own_range() -> None:
    x = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * torch.logspace(
        -2, 2, 5
    ).reshape(5, 1, 1, 1)
    x[4] = 0.0
    x[3].abs_()
    rounded = quantize_as_it_runs(x, (1, 2, 3))
    for image, got in zip(x, rounded, strict=True):
        step = float(image.max().clamp(min=0) - image.min().clamp(max=0)) / 255
        # the end whose zero point was not taken may lie half a step outside
        assert ((got - image).abs() <= 1.001 * step).all()
        assert (got - image).abs().mean() <= 0.3 * step
        assert got.unique().numel() <= 256
        assert torch.equal(quantize_as_it_runs(image[None], (1, 2, 3))[0], got)
    assert not rounded[4].any()


def test_zero_is_rounded_to_zero_at_run_time() -> None:
    x = torch.tensor([[-0.31, 0.0, 1.7], [0.4, 0.0, 0.9], [-2.0, 0.0, -1.0]])
    assert not quantize_as_it_runs(x, (-1,))[:, 1].any()
