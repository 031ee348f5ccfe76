"""Half precision: weights in 16-bit floating point."""

from typing import Any, Self

import torch
from torch import Tensor

from .weight_constraint import WeightConstraint, straight_through

#: largest finite number of the format (IEEE 754 binary16)
LARGEST = 65504.0
BITS = 16


class Half(WeightConstraint):
    """Rounds each weight to the nearest 16-bit floating-point number; the gradient passes unchanged.

    For storage alone: the runtime widens the weights before it computes. It has no kernels for 16-bit
    integer weights.
    """

    kind = "half_precision"  # a ModuleDict cannot hold "half": modules have a method of that name
    on_decomposition = "imposed anew"

    def forward(self, weight: Tensor) -> Tensor:
        return straight_through(weight.detach().clamp(-LARGEST, LARGEST).half().float(), weight)

    def spec(self) -> dict[str, Any]:
        return {"kind": self.kind}

    @classmethod
    def from_spec(cls, spec: dict[str, Any], shape: torch.Size, device: torch.device) -> Self:
        return cls()

    def anew(self, weight: Tensor) -> "Half":
        return Half()
