"""A mask: weights that are zero and stay zero."""

from typing import Any, Self

import torch
from torch import Tensor

from .weight_constraint import WeightConstraint


class Mask(WeightConstraint):
    """Keeps the weights where `kept` is true, the others are zero (THESIS eq. 10)."""

    kind = "mask"
    # the zeros of a matrix say nothing about the zeros of its factors
    on_decomposition = "dropped"
    kept: Tensor
    #: share that a plan, which has no values, expects to be kept; None where nobody said
    planned: float | None = None

    def __init__(self, kept: Tensor) -> None:
        super().__init__()
        self.register_buffer("kept", kept)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.kept

    def spec(self) -> dict[str, Any]:
        return {"kind": self.kind}

    @classmethod
    def from_spec(cls, spec: dict[str, Any], shape: torch.Size, device: torch.device) -> Self:
        return cls(torch.ones(shape, dtype=torch.bool, device=device))

    def anew(self, weight: Tensor) -> None:
        return None
