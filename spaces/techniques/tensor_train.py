"""Tensor-train decomposition of dense layers."""

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from ..context import Context
from ..domains import Int, Modes, mode_product, mode_sizes
from ..errors import AtollError
from ..kernels.layer_fit import fit_layer
from ..kernels.statistics import layer_inputs, reestimate
from ..layers.activation_grid import ActivationGrid
from ..layers.constraint import Constraint
from ..layers.dense import Dense
from ..layers.factor import FLOAT_BITS
from ..layers.structure import replace, to_meta
from ..layers.tt_dense import TTDense
from ..targets import targeted_layers
from ..technique import Decisions, Technique, layers_setting, setting

#: layers with fewer weights are left alone: each stage adds some 300 bytes of file (own measurement, 2026),
#: and PUB-II decomposes only the large dense layer
LEAST_WEIGHTS = 4096
#: images for the fit of a layer
IMAGES = 1024


@dataclass(frozen=True)
class TensorTrain(Technique):
    """Writes large dense layers as tensor trains: TT-SVD, then a fit to the layer's own inputs and outputs.

    Mode sizes apply to layers whose input and output they multiply up to; elsewhere they are automatic.
    """

    name: ClassVar[str] = "tensor_train"
    version: ClassVar[int] = 1
    stage: ClassVar = "structure"
    source: ClassVar[str] = "THESIS eqs. 6-9; PUB-II"

    rank: int = setting(4, Int(1, 64, (4, 8, 16)), "PUB-II TT-V: rank 4", shown=True)
    in_dims: str = setting("auto", Modes(), "PUB-II TT-V: 16x8x16x8 for 16384 inputs")
    out_dims: str = setting("auto", Modes(), "PUB-II TT-V: 4x2x4x2 for 64 outputs")
    fit_steps: int = setting(
        200, Int(0, 5000, (200,)), "own measurement, 2026: the fit brings back 14 points at rank 10"
    )
    layers: str = layers_setting()

    def __post_init__(self) -> None:
        super().__post_init__()
        ins, outs = mode_sizes(self.in_dims), mode_sizes(self.out_dims)
        if (ins is None) != (outs is None) or (ins and outs and len(ins) != len(outs)):
            raise AtollError(
                f"tensor_train: got in_dims={self.in_dims} and out_dims={self.out_dims}, "
                "allowed are both auto, or both with the same number of sizes"
            )

    def plan(self, model: nn.Module) -> nn.Module:
        planned = to_meta(model)
        for name, layer in targeted_layers(planned, self.layers):
            train = self._train(layer)
            if train is not None and isinstance(layer, Dense):
                replace(planned, name, _under_constraints(layer, train))
        return planned

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        decomposed = deepcopy(model)
        images = context.images(IMAGES)
        errors, left_alone = {}, []
        for name, layer in targeted_layers(model, self.layers):
            train = self._train(layer)
            if train is None or not isinstance(layer, Dense):
                left_alone.append(name)
                continue
            inputs, _ = layer_inputs(decomposed, decomposed.get_submodule(name), images)
            _, outputs = layer_inputs(model, layer, images)
            errors[name] = fit_layer(train, inputs, outputs, self.fit_steps, context.generator)
            train = _under_constraints(layer, train)
            replace(decomposed, name, train)
            constrained = any(factor.constraints for factor in train.factors().values())
            if constrained or train.activation_bits < FLOAT_BITS:
                reestimate(decomposed, images)
                errors[name] = fit_layer(train, inputs, outputs, self.fit_steps, context.generator)
        reestimate(decomposed, images)
        notes = {"relative_error": errors, "left_alone": left_alone}
        return decomposed, self.decisions(model, decomposed, **notes)

    def _train(self, layer: nn.Module) -> TTDense | None:
        """Returns the tensor train of a dense layer by TT-SVD, None where the layer is left alone."""
        if not isinstance(layer, Dense) or layer.weight.shape.numel() < LEAST_WEIGHTS:
            return None
        meta = layer.weight.device.type == "meta"
        weight = torch.empty(layer.weight.shape, device="meta") if meta else layer.weight.effective()
        train = TTDense.of(weight, self.rank, *self._modes(layer))
        if 2 * sum(factor.shape.numel() for factor in train.factors().values()) > weight.numel():
            return None
        if layer.bias is not None:
            train.bias = nn.Parameter(layer.bias.detach().clone())
        train.input_sign = deepcopy(layer.input_sign)  # the fit must see what the layer sees
        return train

    def _modes(self, layer: Dense) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
        theirs = (mode_product(self.in_dims), mode_product(self.out_dims)) == (layer.inputs, layer.outputs)
        return (mode_sizes(self.in_dims), mode_sizes(self.out_dims)) if theirs else (None, None)


def _under_constraints(layer: Dense, train: TTDense) -> TTDense:
    """Returns the train under what the dense layer was under, in the form that it then keeps."""
    constraints = [c for c in layer.weight.constraints.values() if isinstance(c, Constraint)]
    quantized = layer.activation_bits < FLOAT_BITS
    if quantized or any(c.on_decomposition == "imposed anew" for c in constraints):
        train = train.settled()
    for factor in train.factors().values():
        factor.inherit(layer.weight)
    train.take_activations_of(layer)
    if quantized:
        train.grid_stages(layer.activation_bits)
        if train.output_grid is None:  # it sat on a normalisation folded into the dense layer
            train.output_grid = ActivationGrid(layer.activation_bits, device=layer.weight.device)
    return train
