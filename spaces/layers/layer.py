"""What every layer with weights has in common: factors, a bias, activation grids, a structure in JSON."""

from copy import deepcopy
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from ..kernels.affine import quantize_as_it_runs
from ..kernels.calibration import Method
from .activation_grid import ActivationGrid
from .cost import OperationCost
from .factor import Factor
from .sign import InputSign
from .weight_constraint import straight_through


class Layer(nn.Module):
    """A dense, convolutional or decomposed layer; keeps the name of the layer it came from."""

    type_name: ClassVar[str]
    #: whether the weight is written as a product of factors, whose values no formula gives exactly
    decomposed: ClassVar[bool] = False
    #: whether it reads and makes features along the last axis, whatever comes before; else along the first
    features_last: ClassVar[bool] = False
    #: fewest bits in which the artifact stores its weights (see `storage_bits`)
    narrowest_bits: ClassVar[int] = 4
    #: whether the runtime computes it in float whatever its weights are
    float_alone: ClassVar[bool] = False
    bias: nn.Parameter | None

    def __init__(self) -> None:
        super().__init__()
        #: grid of the input, only where no other layer of ours made it (the network's first)
        self.input_grid: ActivationGrid | None = None
        self.output_grid: ActivationGrid | None = None
        #: binary activations: what the layer computes with is the sign of its input
        self.input_sign: InputSign | None = None
        #: whether the kernel rounds its float input to 8 bits as it runs, on the range of the input itself
        self.dynamic = False
        #: width of the activations that the kernel works on; 32 is float. The grid of the output may sit on a
        #: normalisation that is folded into the layer.
        self.activation_bits = 32

    # What a subclass gives ---------------------------------------------------------------------------

    @property
    def sliceable(self) -> bool:
        """Whether one factor has the outputs as its rows, and one the inputs as its columns.

        Then channels are removed by slicing these two, exactly, and a normalisation behind folds into the
        first; otherwise the layer is decomposed again.
        """
        return True

    @property
    def inputs(self) -> int:
        """Input channels or features."""
        raise NotImplementedError

    @property
    def outputs(self) -> int:
        """Output channels or features."""
        raise NotImplementedError

    def factors(self) -> dict[str, Factor]:
        """Returns the weight tensors by name."""
        raise NotImplementedError

    def compute(self, x: Tensor) -> Tensor:
        """Returns the layer's output before its output grid."""
        raise NotImplementedError

    def output_rows(self) -> Tensor:
        """Returns the effective weights as [out, ...], one row an output channel or feature."""
        raise NotImplementedError

    def keep_outputs(self, index: Tensor) -> None:
        """Keeps these output channels or features, in place."""
        raise NotImplementedError

    def keep_inputs(self, index: Tensor) -> None:
        """Keeps these input channels or features, in place."""
        raise NotImplementedError

    def costs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> list[OperationCost]:
        """Returns the operations that the layer runs for one image (shapes without the batch)."""
        raise NotImplementedError

    def body_spec(self) -> dict[str, Any]:
        """Returns the sizes as plain JSON."""
        raise NotImplementedError

    @classmethod
    def from_body(cls, spec: dict[str, Any], device: torch.device) -> Self:
        """Returns the layer with unfilled tensors."""
        raise NotImplementedError

    @property
    def takes_dynamic(self) -> bool:
        """Whether the runtime has a kernel that rounds the layer's float input as it runs."""
        return False

    # What all share ----------------------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor:
        if self.input_grid is not None:
            x = self.input_grid(x)
        if self.input_sign is not None:
            x = self.input_sign(x)
        y = self.compute(x)
        return y if self.output_grid is None else self.output_grid(y)

    def take_activations_of(self, layer: "Layer") -> None:
        """Does to its input and output what the layer does whose place it takes: sign, grids, width."""
        self.input_sign = deepcopy(layer.input_sign)
        self.input_grid, self.output_grid = deepcopy(layer.input_grid), deepcopy(layer.output_grid)
        self.activation_bits = layer.activation_bits
        self.dynamic = layer.dynamic and self.takes_dynamic

    def grid_stages(self, bits: int, calibration: Method = "min_max") -> None:
        """Puts grids between the stages of a decomposed layer; a layer of one stage has none."""

    def grid_stages_as(self, spec: dict[str, Any]) -> None:
        """Puts the grids between the stages that `stage_spec` told of."""
        if spec["stage_bits"] is not None:
            self.grid_stages(spec["stage_bits"], spec.get("stage_calibration", "min_max"))

    def settled(self) -> "Layer":
        """Returns the layer in the execution form that it keeps from its first constraint on."""
        return self

    def spec(self) -> dict[str, Any]:
        """Returns the whole structure as plain JSON; `from_spec` reads it."""
        dynamic = {"dynamic": True} if self.dynamic else {}
        return {
            "type": self.type_name,
            **self.body_spec(),
            **dynamic,
            "constraints": {name: factor.spec() for name, factor in self.factors().items()},
            "activation_bits": self.activation_bits,
            "input_sign": None if self.input_sign is None else self.input_sign.spec(),
            "input_grid": None if self.input_grid is None else self.input_grid.spec(),
            "output_grid": None if self.output_grid is None else self.output_grid.spec(),
        }

    @classmethod
    def from_spec(cls, spec: dict[str, Any], device: torch.device) -> Self:
        """Returns the structure again, tensors allocated but not filled."""
        layer = cls.from_body(spec, device)
        for name, factor in layer.factors().items():
            factor.allocate(spec["constraints"][name])
        layer.activation_bits = spec["activation_bits"]
        layer.dynamic = spec.get("dynamic", False)
        if spec.get("input_sign") is not None:  # older decisions lack it
            layer.input_sign = InputSign(**spec["input_sign"])
        for grid in ("input_grid", "output_grid"):
            if spec[grid] is not None:
                setattr(layer, grid, ActivationGrid(**spec[grid], device=device))
        return layer

    def payload_bits(self) -> int:
        """Returns exactly what must be stored of weights and bias."""
        bias = 0 if self.bias is None else 32 * self.bias.numel()
        return bias + sum(factor.payload_bits() for factor in self.factors().values())


def stage_spec(grids: nn.ModuleList) -> dict[str, Any]:
    """Returns the configuration of the grids between the stages of a decomposed layer as plain JSON."""
    specs = [grid.spec() for grid in grids if isinstance(grid, ActivationGrid)]
    if not specs:
        return {"stage_bits": None}
    found = {"stage_bits": specs[0]["bits"], "stage_calibration": specs[0].get("calibration")}
    return {key: value for key, value in found.items() if value is not None}


def round_as_it_runs(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Rounds an activation as a dynamic-range kernel does; the gradient passes unchanged.

    Args:
        x: any shape, the batch first.
        dims: the dimensions that share one range.
    """
    return x if x.is_meta else straight_through(quantize_as_it_runs(x, dims), x)


def keep_bias(bias: nn.Parameter | None, index: Tensor) -> nn.Parameter | None:
    """Returns the kept entries of a bias."""
    return None if bias is None else nn.Parameter(bias.detach().index_select(0, index.to(bias.device)))


def new_bias(present: bool, size: int, device: torch.device | str | None) -> nn.Parameter | None:
    """Returns a zero bias, or none."""
    return nn.Parameter(torch.zeros(size, device=device)) if present else None
