"""A dense layer."""

from math import prod
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .cost import OperationCost, weighed
from .factor import Factor
from .layer import new_bias, round_as_it_runs
from .one_weight import OneWeight


class Dense(OneWeight):
    """y = W x + b, W [out, in]."""

    type_name = "dense"
    narrowest_bits = 2
    takes_dynamic = True
    features_last = True

    def __init__(
        self, inputs: int, outputs: int, bias: bool = True, device: torch.device | None = None
    ) -> None:
        super().__init__()
        self.weight = Factor((outputs, inputs), device=device)
        self.bias = new_bias(bias, outputs, device)

    def compute(self, x: Tensor) -> Tensor:
        if self.dynamic:
            x = round_as_it_runs(x, (-1,))
        return F.linear(x, self.weight(), self.bias)

    def costs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> list[OperationCost]:
        shapes, biases = (input_shape, output_shape), 0 if self.bias is None else self.outputs
        rows, bits = prod(input_shape[:-1]), self.activation_bits
        return [weighed("dense", self.weight, self.narrowest_bits, biases, rows, *shapes, bits, self.dynamic)]

    def body_spec(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "outputs": self.outputs, "bias": self.bias is not None}

    @classmethod
    def from_body(cls, spec: dict[str, Any], device: torch.device) -> Self:
        return cls(spec["inputs"], spec["outputs"], spec["bias"], device=device)

    @classmethod
    def adopt(cls, linear: nn.Linear) -> "Dense":
        """Returns the layer with copies of a trained linear layer's tensors."""
        dense = cls(linear.in_features, linear.out_features, linear.bias is not None, linear.weight.device)
        dense.weight.set(linear.weight)
        if linear.bias is not None:
            dense.bias = nn.Parameter(linear.bias.detach().clone())
        return dense
