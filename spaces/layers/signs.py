"""Weights that are signs times a step a channel: what two values and three have in common."""

from typing import Any, Self

import torch
from torch import Tensor, nn

from .weight_constraint import WeightConstraint


class Signs(WeightConstraint):
    """Replaces each weight by its sign, with or without zero, times a step.

    The step is trained relative to its start, as a grid's scale is.

    Args:
        step: [out, 1, ...] or [1, 1, ...], positive.
        threshold: of the kind; see there.
    """

    on_decomposition = "imposed anew"
    start: Tensor

    def __init__(self, step: Tensor, threshold: float) -> None:
        super().__init__()
        self.register_buffer("start", step.detach().clone())
        self.relative = nn.Parameter(torch.ones_like(self.start))
        self.threshold = threshold

    @property
    def step(self) -> Tensor:
        """[out, 1, ...] or [1, 1, ...], as trained."""
        return self.start * self.relative

    @property
    def per_channel(self) -> bool:
        """Whether each output channel has a step of its own."""
        return self.start.shape[0] > 1

    def signs(self, weight: Tensor) -> Tensor:
        """Returns the sign of every weight, as a number."""
        raise NotImplementedError

    def spec(self) -> dict[str, Any]:
        return {"kind": self.kind, "per_channel": self.per_channel, "threshold": self.threshold}

    @classmethod
    def fit(cls, weight: Tensor, per_channel: bool, threshold: float) -> Self:
        """Fits the step to a weight tensor [out, ...]: one an output channel, or one for all."""
        raise NotImplementedError

    def anew(self, weight: Tensor) -> "Signs":
        return type(self).fit(weight, self.per_channel, self.threshold)

    @staticmethod
    def _unfilled(spec: dict[str, Any], shape: torch.Size, device: torch.device) -> Tensor:
        """Returns a step of the form that a weight of this shape has by a spec."""
        return torch.ones(shape[0] if spec["per_channel"] else 1, *[1] * (len(shape) - 1), device=device)
