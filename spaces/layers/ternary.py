"""Ternary weights: minus, zero or plus one step a channel."""

from typing import Any, Self

import torch
from torch import Tensor

from .signs import Signs
from .weight_constraint import straight_through

#: what a limit is measured by: 0.7 times the mean absolute weight (Li et al. 2016, TWN, eq. 6)
TWN_THRESHOLD = 0.7


class Ternary(Signs):
    """Replaces each weight by -1, 0 or +1 times a step: 0 where |w| <= limit, its sign elsewhere.

    The weight's gradient is that of the effective weight, unchanged (Li et al. 2016, TWN); the step's is the
    sum over its channel's signs (Zhu et al. 2016, TTQ, eq. 7). The limit stands still: taken anew in every
    pass it would depend on the order in which a machine adds, and a weight on the edge would fall either way.

    Args:
        step: [out, 1, ...] or [1, 1, ...], positive.
        limit: of the same shape, the largest |w| that becomes zero.
        threshold: the limit in units of the mean absolute weight; 0.7 is TWN's.
    """

    kind = "ternary"
    limit: Tensor

    def __init__(self, step: Tensor, limit: Tensor, threshold: float = TWN_THRESHOLD) -> None:
        super().__init__(step, threshold)
        self.register_buffer("limit", limit.detach().clone())

    def signs(self, weight: Tensor) -> Tensor:
        """Returns -1, 0 or +1 for every weight."""
        return torch.sign(weight) * (weight.abs() > self.limit)

    def forward(self, weight: Tensor) -> Tensor:
        stepped = self.signs(weight.detach()) * self.step.abs()
        return straight_through(stepped.detach(), weight + stepped)

    @classmethod
    def fit(cls, weight: Tensor, per_channel: bool = True, threshold: float = TWN_THRESHOLD) -> Self:
        """Fits limit and step: the step is the mean absolute weight above the limit (least squares).

        Args:
            weight: [out, ...]; exact zeros (a mask's) do not count in the mean that measures the limit.
            per_channel: one step an output channel, or one for all.
            threshold: the limit in units of the mean absolute weight, in (0, 1): the largest weight passes.
        """
        size = weight.detach().abs().reshape(weight.shape[0] if per_channel else 1, -1)
        limit = threshold * _mean(size, size > 0)
        step = _mean(size, size > limit).clamp_min(1e-8)
        shape = (-1, *[1] * (weight.dim() - 1))
        return cls(step.reshape(shape), limit.reshape(shape), threshold)

    @classmethod
    def from_spec(cls, spec: dict[str, Any], shape: torch.Size, device: torch.device) -> Self:
        unfilled = cls._unfilled(spec, shape, device)
        return cls(unfilled, unfilled, spec["threshold"])


def _mean(rows: Tensor, counted: Tensor) -> Tensor:
    """Returns [n, 1], the mean of the counted entries of each row [n, m]; 0 where there are none."""
    return (rows * counted).sum(dim=1, keepdim=True) / counted.sum(dim=1, keepdim=True).clamp_min(1)
