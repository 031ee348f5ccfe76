"""The recurrence of an LSTM, a GRU or a plain recurrent layer, as a layer whose weights techniques reach."""

from typing import Any, Self

import torch
from torch import Tensor, nn

from .cost import OperationCost, weighed
from .factor import Factor
from .layer import Layer, new_bias
from .recurrence import Recurrence, cell_of, recur


class Recurrent(Layer):
    """Step after step over projected inputs [steps, gates x units]; W [gates x units, units] is the state's.

    Args:
        cell, units, bias, backwards: see `Recurrence`.
        device: where the tensors are.
    """

    type_name = "recurrent"
    narrowest_bits = 2
    features_last = True
    float_alone = True

    def __init__(
        self,
        cell: str,
        units: int,
        bias: bool = True,
        backwards: bool = False,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        rows = cell_of(cell, units).gates * units
        self.cell, self.units, self.backwards = cell, units, backwards
        self.weight = Factor((rows, units), device=device)
        self.bias = new_bias(bias, rows, device)

    @property
    def sliceable(self) -> bool:
        return False

    @property
    def inputs(self) -> int:
        return self.weight.shape[0]

    @property
    def outputs(self) -> int:
        return self.units

    def factors(self) -> dict[str, Factor]:
        return {"weight": self.weight}

    def compute(self, x: Tensor) -> Tensor:
        return recur(self.cell, x, self.weight(), self.bias, self.backwards)

    def output_rows(self) -> Tensor:
        return self.weight.effective()

    def costs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> list[OperationCost]:
        """Returns the product of the state with the weights, once; every step makes it."""
        rows = self.weight.shape[0]
        shapes, biases = ((self.units,), (rows,)), 0 if self.bias is None else rows
        return [weighed("dense", self.weight, self.narrowest_bits, biases, 1, *shapes, self.activation_bits)]

    def body_spec(self) -> dict[str, Any]:
        bias = self.bias is not None
        return {"cell": self.cell, "units": self.units, "bias": bias, "backwards": self.backwards}

    @classmethod
    def from_body(cls, spec: dict[str, Any], device: torch.device) -> Self:
        return cls(spec["cell"], spec["units"], spec["bias"], spec["backwards"], device)

    @classmethod
    def adopt(cls, plain: Recurrence) -> "Recurrent":
        """Returns the layer with copies of a recurrence's tensors."""
        layer = cls(plain.cell, plain.units, plain.bias is not None, plain.backwards, plain.weight.device)
        layer.weight.set(plain.weight)
        if plain.bias is not None:
            layer.bias = nn.Parameter(plain.bias.detach().clone())
        return layer
