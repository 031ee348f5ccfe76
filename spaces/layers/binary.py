"""Binary weights: one sign a weight and one step a channel."""

from typing import Any, Self

import torch
from torch import Tensor

from .signs import Signs
from .weight_constraint import straight_through


class Binary(Signs):
    """Replaces each weight by its sign times a step (THESIS eqs. 3-4; the step is XNOR-Net's).

    The gradient is 1 where |w| <= threshold, else 0 (eq. 4). Zero counts as positive.

    Args:
        step: [out, 1, ...] or [1, 1, ...], positive.
        threshold: where the straight-through gradient ends; 1 is the papers'.
    """

    kind = "binary"

    def __init__(self, step: Tensor, threshold: float = 1.0) -> None:
        super().__init__(step, threshold)

    def signs(self, weight: Tensor) -> Tensor:
        """Returns -1 or +1 for every weight."""
        return torch.where(weight >= 0, 1.0, -1.0)

    def forward(self, weight: Tensor) -> Tensor:
        smooth = weight.clamp(-self.threshold, self.threshold)
        return straight_through(self.signs(weight), smooth) * self.step.abs()

    @classmethod
    def fit(cls, weight: Tensor, per_channel: bool = True, threshold: float = 1.0) -> Self:
        """Fits the step as the mean absolute weight, which minimises the squared error of sign x step."""
        dims = tuple(range(1 if per_channel else 0, weight.dim()))
        step = weight.detach().abs().mean(dim=dims, keepdim=True)
        return cls(step.reshape(-1, *[1] * (weight.dim() - 1)).clamp_min(1e-8), threshold)

    @classmethod
    def from_spec(cls, spec: dict[str, Any], shape: torch.Size, device: torch.device) -> Self:
        return cls(cls._unfilled(spec, shape, device), spec["threshold"])
