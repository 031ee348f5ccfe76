"""Grids of activations: ranges, rounding, gradients, and when the range moves."""

import pytest
import torch
from atoll.spaces.layers.activation_grid import MOMENTUM, ActivationGrid


def observed(low: float, high: float, rectified: bool = False) -> ActivationGrid:
    grid = ActivationGrid(8, rectified)
    grid.begin()
    grid(torch.tensor([low, high]))
    grid.end()
    return grid.eval()


def test_the_range_is_what_was_seen_and_always_holds_zero() -> None:
    grid = ActivationGrid(8)
    grid.begin()
    passed = torch.tensor([1.0, 3.0])
    assert grid(passed) is passed or torch.equal(grid(passed), passed)
    grid(torch.tensor([2.0, 5.0]))
    grid.end()
    assert (float(grid.low), float(grid.high)) == (0.0, 5.0)
    grid.begin()
    grid(torch.tensor([-2.0, -1.0]))
    grid.end()
    assert (float(grid.low), float(grid.high)) == (-2.0, 0.0)


def test_values_inside_move_by_half_a_step_at_most_and_outside_to_the_edge() -> None:
    grid = observed(-1.0, 2.0)
    scale, zero_point = grid.scale_and_zero_point()
    assert scale == pytest.approx(3 / 255)
    x = torch.linspace(-1, 2, 1001)
    assert ((grid(x) - x).abs() <= 0.51 * scale).all()
    edges = grid(torch.tensor([-9.0, 9.0]))
    assert edges.tolist() == pytest.approx([(-128 - zero_point) * scale, (127 - zero_point) * scale])


def test_outputs_are_whole_steps_zero_is_exact_and_rounding_twice_is_rounding_once() -> None:
    grid = observed(-0.7, 1.9)
    scale, zero_point = grid.scale_and_zero_point()
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    once = grid(x)
    steps = once / scale + zero_point
    assert (steps - steps.round()).abs().max() < 1e-3
    assert steps.round().min() >= -128
    assert steps.round().max() <= 127
    assert grid(torch.zeros(1)) == 0
    assert torch.equal(grid(once), once)


def test_before_a_relu_the_negative_part_is_cut() -> None:
    grid = observed(-5.0, 2.0, rectified=True)
    assert grid.low == 0
    assert (grid(torch.tensor([-3.0, -0.1])) == 0).all()


def test_the_gradient_passes_inside_the_range_only() -> None:
    grid = observed(-1.0, 1.0)
    x = torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0], requires_grad=True)
    grid(x).backward(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 2.0, 3.0, 4.0, 0.0]


def test_the_range_follows_slowly_in_training_and_stands_still_in_evaluation() -> None:
    grid = observed(-1.0, 1.0)
    grid(torch.tensor([-3.0, 3.0]))
    assert (float(grid.low), float(grid.high)) == (-1.0, 1.0)
    grid.train()
    grid(torch.tensor([-3.0, 5.0]))
    assert float(grid.low) == pytest.approx(-1 - 2 * MOMENTUM)
    assert float(grid.high) == pytest.approx(1 + 4 * MOMENTUM)


def test_range_and_configuration_survive_saving() -> None:
    grid = observed(-0.3, 0.9, rectified=True)
    again = ActivationGrid(**grid.spec()).eval()
    again.load_state_dict(grid.state_dict())
    x = torch.randn(50, generator=torch.Generator().manual_seed(1))
    assert torch.equal(again(x), grid(x))


def test_on_meta_there_is_nothing_to_round() -> None:
    grid = ActivationGrid(8, device=torch.device("meta"))
    assert grid(torch.empty(3, device="meta")).shape == (3,)
    assert grid.scale_and_zero_point() == (1.0, 0)


# Calibration -----------------------------------------------------------------------------------------


def calibrated(method: str, rectified: bool = False) -> tuple[ActivationGrid, torch.Tensor]:
    values = torch.randn(4, 5000, generator=torch.Generator().manual_seed(2)) ** 3
    grid = ActivationGrid(8, rectified, calibration=method)
    grid.begin()
    for batch in values.chunk(2):
        grid(batch)
    grid.end()
    return grid.eval(), values


@pytest.mark.parametrize("rectified", [False, True])
def test_a_percentile_range_leaves_a_thousandth_out(rectified: bool) -> None:
    grid, values = calibrated("percentile", rectified)
    seen = values.clamp_min(0.0) if rectified else values
    ends = torch.quantile(seen.flatten(), torch.tensor([0.001, 0.999]))
    assert float(grid.low) == pytest.approx(float(ends[0]), rel=1e-3, abs=1e-6)
    assert float(grid.high) == pytest.approx(float(ends[1]), rel=1e-3)


def test_the_least_error_is_less_than_with_the_extremes() -> None:
    errors = {}
    for method in ("min_max", "mse"):
        grid, values = calibrated(method)
        errors[method] = float((grid(values) - values).square().sum())
    assert errors["mse"] <= errors["min_max"]
    assert calibrated("mse")[0].high < calibrated("min_max")[0].high


def test_in_training_the_range_follows_by_its_calibrated_share() -> None:
    grid, values = calibrated("percentile")
    share = float(grid.high) / float(values.max())
    low, high = float(grid.low), float(grid.high)
    grid.train()
    grid(torch.tensor([[-1.0, 1.0]]))
    assert float(grid.high) == pytest.approx(high + MOMENTUM * (share - high), rel=1e-4)
    assert float(grid.low) > low
    for _ in range(400):
        grid(torch.tensor([[-1.0, 1.0]]))
    assert float(grid.high) == pytest.approx(share, rel=1e-3)


def test_the_share_survives_saving() -> None:
    grid, values = calibrated("mse")
    again = ActivationGrid(**grid.spec())
    again.load_state_dict(grid.state_dict())
    assert again.spec() == grid.spec()
    grid.train()(values)
    again.train()(values)
    assert (again.low, again.high) == (grid.low, grid.high)
