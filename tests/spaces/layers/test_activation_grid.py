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
