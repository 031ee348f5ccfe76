"""Weights by least squares: against the closed form, an optimiser-free optimum, and what fits already."""

import pytest
import torch
from atoll.spaces.kernels.least_squares import RIDGE, least_squares


def problem(rows: int, features: int, outputs: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    draw = [
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((outputs, features), (rows, features), (rows, outputs))
    ]
    return draw[0], draw[1], draw[2]


def objective(weight, old, inputs, outputs):  # type: ignore[no-untyped-def]
    squares = inputs @ inputs.T if len(inputs) < inputs.shape[1] else inputs.T @ inputs
    ridge = RIDGE * squares.diagonal().mean()
    return (inputs @ weight.T - outputs).square().sum() + ridge * (weight - old).square().sum()


@pytest.mark.parametrize(("rows", "features"), [(40, 7), (7, 40), (12, 12)])
def test_the_gradient_of_the_objective_is_zero(rows: int, features: int) -> None:
    old, inputs, outputs = problem(rows, features)
    fitted = least_squares(old, inputs, outputs).requires_grad_()
    objective(fitted, old, inputs, outputs).backward()
    assert fitted.grad is not None
    assert fitted.grad.abs().max() < 1e-9


@pytest.mark.parametrize(("rows", "features"), [(40, 7), (7, 40)])
def test_weights_that_fit_stay(rows: int, features: int) -> None:
    old, inputs, _ = problem(rows, features)
    torch.testing.assert_close(least_squares(old, inputs, inputs @ old.T), old, rtol=0, atol=1e-12)


def test_the_scale_of_the_inputs_means_nothing() -> None:
    old, inputs, outputs = problem(40, 7)
    torch.testing.assert_close(
        least_squares(old / 100, 100 * inputs, outputs) * 100, least_squares(old, inputs, outputs)
    )
