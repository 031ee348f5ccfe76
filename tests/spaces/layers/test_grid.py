"""Grids with a zero point, grids that stand still, and what is stored of them."""

import pytest
import torch
from atoll.spaces.layers.binary import Binary
from atoll.spaces.layers.codebook import Codebook
from atoll.spaces.layers.factor import Factor
from atoll.spaces.layers.half import Half
from atoll.spaces.layers.mask import Mask
from atoll.spaces.layers.weight_grid import WeightGrid
from torch import Tensor

BITS = [8, 4, 3, 2]
FORMS = [(bits, per_channel) for bits in BITS for per_channel in (True, False)]


def weight() -> Tensor:
    """Eight rows that lie more to one side, on different scales."""
    drawn = torch.randn(8, 12, generator=torch.Generator().manual_seed(0)) + 0.7
    return drawn * torch.logspace(-2, 1, 8)[:, None]


def train(factor: Factor, steps: int = 5) -> None:
    target = torch.randn(factor.shape, generator=torch.Generator().manual_seed(1))
    parameters = [parameter for parameter in factor.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        (factor() - target).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize(("bits", "per_channel"), FORMS)
def test_an_affine_weight_is_integers_less_a_zero_point_times_a_scale(bits: int, per_channel: bool) -> None:
    factor = Factor.of(weight())
    factor.impose(WeightGrid.fit(factor.effective(), bits, per_channel, "affine"))
    factor.impose(Mask(weight() > 0.1))
    train(factor)
    integers = factor.integers()
    assert integers is not None
    assert integers.zero_point is not None
    assert integers.values.dtype == integers.zero_point.dtype == torch.int8
    assert int(integers.values.min()) >= -(2 ** (bits - 1))
    assert int(integers.values.max()) < 2 ** (bits - 1)
    steps = integers.values.float() - integers.zero_point.float()[:, None]
    assert torch.equal(steps * integers.scale[:, None], factor.effective())
    assert not factor.effective()[weight() <= 0.1].any()
    rows = factor.effective() if per_channel else factor.effective().reshape(1, -1)
    assert all(row.unique().numel() <= 2**bits for row in rows)
    assert factor.affine
    assert factor.levels == 2**bits


@pytest.mark.parametrize("per_channel", [True, False])
def test_an_affine_grid_uses_one_level_more_than_a_symmetric_one(per_channel: bool) -> None:
    affine = WeightGrid.fit(weight(), 2, per_channel, "affine")
    symmetric = WeightGrid.fit(weight(), 2, per_channel)
    assert (affine.levels, symmetric.levels) == (4, 3)
    before = (affine(weight()) - weight()).square().sum()
    assert before < (symmetric(weight()) - weight()).square().sum()


@pytest.mark.parametrize("bits", BITS)
def test_gradients_of_an_affine_grid_are_those_of_lsq(bits: int) -> None:
    """Esser et al. 2020, eqs. 3 and 5, with the two ends where the zero point puts them."""
    above = torch.randn(8, 12, generator=torch.Generator().manual_seed(2))
    grid = WeightGrid.fit(weight(), bits, True, "affine")
    assert grid.zero_point is not None
    start = weight().requires_grad_()
    grid(start).backward(above)
    low, high = -(2 ** (bits - 1)) - grid.zero_point, 2 ** (bits - 1) - 1 - grid.zero_point
    ratio = weight() / grid.start
    inside = (ratio >= low) & (ratio <= high)
    slope = torch.where(inside, ratio.round() - ratio, ratio.clamp(low, high))
    gain = (12 * (2 ** (bits - 1) - 1)) ** -0.5
    assert start.grad is not None
    assert grid.relative.grad is not None
    assert torch.allclose(start.grad, above * inside, rtol=1e-5)
    expected = grid.start * gain * (above * slope).sum(1, keepdim=True)
    assert torch.allclose(grid.relative.grad, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
def test_a_scale_that_is_not_trained_stands_still_and_the_weights_move(scheme: str) -> None:
    factor = Factor.of(weight())
    factor.impose(WeightGrid.fit(factor.effective(), 4, True, scheme, trained=False))
    grid = factor.find(WeightGrid)
    assert grid is not None
    assert factor.raw is not None
    before, scale, raw = factor.effective(), grid.scale.clone(), factor.raw.detach().clone()
    train(factor, steps=20)
    assert factor.raw is not None
    assert torch.equal(grid.scale, scale)
    assert not torch.equal(factor.raw, raw)
    assert not torch.equal(factor.effective(), before)


@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
@pytest.mark.parametrize("trained", [True, False])
def test_specification_and_tensors_give_the_grid_back(scheme: str, trained: bool) -> None:
    grid = WeightGrid.fit(weight(), 3, True, scheme, "percentile", trained)
    again = WeightGrid.from_spec(grid.spec(), weight().shape, torch.device("cpu"))
    again.load_state_dict(grid.state_dict())
    assert again.spec() == grid.spec()
    assert torch.equal(again(weight()), grid(weight()))
    assert again.relative.requires_grad == trained
    anew = grid.anew(2 * weight())
    assert anew.spec() == grid.spec()
    assert torch.allclose(anew.scale, 2 * grid.scale)


def test_a_specification_names_only_what_is_chosen() -> None:
    """Decisions of networks made before there was a choice still say the same."""
    assert WeightGrid.fit(weight(), 4).spec() == {"kind": "grid", "bits": 4, "per_channel": True}
    named = WeightGrid.fit(weight(), 4, False, "affine", "mse", trained=False).spec()
    assert named == {
        "kind": "grid",
        "bits": 4,
        "per_channel": False,
        "scheme": "affine",
        "calibration": "mse",
        "trained": False,
    }


def test_zero_points_are_stored_in_the_grids_own_width() -> None:
    factor = Factor.of(weight())
    factor.impose(WeightGrid.fit(factor.effective(), 4, True, "affine"))
    assert factor.payload_bits() == 96 * 4 + 8 * (32 + 4)
    factor.impose(Codebook.fit(factor.effective(), 4))  # one scale and one zero point for all then
    assert factor.payload_bits() == 96 * 2 + 4 * 4 + 32 + 4
    assert factor.affine


def test_channels_are_sliced_with_their_zero_points() -> None:
    factor = Factor.of(weight())
    factor.impose(WeightGrid.fit(factor.effective(), 4, True, "affine"))
    before = factor.effective()
    factor.keep(0, torch.tensor([0, 5, 7]))
    assert torch.equal(factor.effective(), before[[0, 5, 7]])


def test_signs_drop_a_grid_that_is_not_the_same_on_both_sides_of_zero() -> None:
    factor = Factor.of(weight())
    factor.impose(WeightGrid.fit(factor.effective(), 8, True, "affine"))
    factor.impose(Binary.fit(factor.effective()))
    assert list(factor.constraints) == ["binary"]
    assert all(row.abs().unique().numel() == 1 for row in factor.effective())


# Half precision --------------------------------------------------------------------------------------


def test_half_precision_is_numpys_float16_and_trains_straight_through() -> None:
    factor = Factor.of(weight())
    factor.impose(Half())
    assert torch.equal(factor.effective(), torch.from_numpy(weight().numpy().astype("float16")).float())
    assert torch.equal(Half()(factor.effective()), factor.effective())
    assert factor.payload_bits() == 96 * 16
    above = torch.randn(8, 12, generator=torch.Generator().manual_seed(3))
    factor().backward(above)
    assert factor.raw is not None
    assert factor.raw.grad is not None
    assert torch.equal(factor.raw.grad, above)


def test_half_precision_saturates() -> None:
    assert Half()(torch.tensor([1e6, -1e6, 0.0])).tolist() == [65504.0, -65504.0, 0.0]


def test_beside_masks_and_codebooks_half_precision_stays_beside_a_grid_it_goes() -> None:
    factor = Factor.of(weight())
    factor.impose(Half())
    factor.impose(Mask(weight() > 1))
    kept = int((weight() > 1).sum())
    assert factor.payload_bits() == 96 + 16 * kept
    factor.impose(Codebook.fit(factor.effective(), 4))
    assert list(factor.constraints) == ["half_precision", "mask", "codebook"]
    assert factor.payload_bits() == min(96 * 3, 96 + 2 * kept) + 4 * 16
    factor.impose(WeightGrid.fit(factor.effective(), 8, False))
    assert list(factor.constraints) == ["mask", "codebook", "grid"]
