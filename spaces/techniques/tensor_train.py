"""Tensor-train decomposition of dense layers and convolutions."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ..decomposition.decomposable import unsuited_kind
from ..decomposition.decomposed_form import chain_of
from ..decomposition.decomposition import Decomposition, fit_steps_setting, max_error_setting, start_setting
from ..errors import AtollError
from ..kernels.conv_factors import train, train_ranks
from ..layers.conv import Conv
from ..layers.layer import Layer
from ..layers.transposed_conv import TransposedConv
from ..layers.tt_dense import TTDense
from ..technique.context import Context
from ..technique.domains import Choice, Int, Modes, OrWord, mode_product, mode_sizes
from ..technique.technique import Decisions, layers_setting, setting


@dataclass(frozen=True)
class TensorTrain(Decomposition):
    """Writes large layers as tensor trains: TT-SVD, then a fit to the layer's own inputs and outputs.

    A dense layer becomes a chain of small dense stages. Its mode sizes apply where they multiply up to its
    inputs and outputs; elsewhere they are automatic (the decisions tell where, `automatic_modes`).
    `form=fastest` merges the cores of a dense layer in pairs where that moves fewer elements, and trains
    those; otherwise the form is settled, by size, when the first constraint is put on the train. A
    convolution becomes 1x1, kh x 1, 1 x kw and 1x1 convolutions: a train over input channels, rows, columns
    and output channels.
    """

    name: ClassVar[str] = "tensor_train"
    version: ClassVar[int] = 1
    stage: ClassVar = "structure"
    source: ClassVar[str] = "THESIS eqs. 6-9; PUB-II; Oseledets 2011"

    rank: int | str = setting(
        4,
        OrWord("auto", Int(1, 512, ()), (4, 6, 8, 12, 16, 24, 32)),
        "PUB-II TT-V: rank 4",
        shown=True,
    )
    in_dims: str = setting("auto", Modes(), "PUB-II TT-V: 16x8x16x8 for 16384 inputs")
    out_dims: str = setting("auto", Modes(), "PUB-II TT-V: 4x2x4x2 for 64 outputs")
    fit_steps: int = fit_steps_setting()
    kinds: str = setting(
        "dense", Choice(("dense", "conv", "all"), ("dense",)), "PUB-II decomposes the dense layer"
    )
    max_error: float = max_error_setting()
    start: str = start_setting()
    form: str = setting(
        "smallest",
        Choice(("smallest", "fastest"), ("smallest",)),
        "own measurement: pairs of cores take a tenth of the time of single ones, and more bytes",
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

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        decomposed, decisions = super().apply(model, context)
        automatic = self._automatic_modes(decomposed, decisions["relative_error"])
        return decomposed, decisions | ({"automatic_modes": automatic} if automatic else {})

    def _automatic_modes(self, decomposed: nn.Module, names: Iterable[str]) -> dict[str, str]:
        """Returns the trains whose layers the named mode sizes do not fit, and why they do not."""
        ins, outs = mode_product(self.in_dims), mode_product(self.out_dims)
        trains = ((name, decomposed.get_submodule(name)) for name in names if ins is not None)
        return {
            name: f"its weights are {train.inputs} x {train.outputs}, the named sizes make {ins} x {outs}"
            for name, train in trains
            if isinstance(train, TTDense) and (train.inputs, train.outputs) != (ins, outs)
        }

    def unsuited(self, layer: Layer) -> str | None:
        return unsuited_kind(layer, self.kinds)

    def factored(self, layer: Layer, weight: Tensor) -> Layer:
        rank = None if isinstance(self.rank, str) else self.rank
        if not isinstance(layer, Conv | TransposedConv):
            cores = TTDense.of(weight, rank, *self._modes(layer), max_error=self.max_error)
            return cores.fastest() if self.form == "fastest" else cores
        return chain_of(layer, train(weight, train_ranks(weight, rank, self.max_error)))

    def _modes(self, layer: Layer) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
        theirs = (mode_product(self.in_dims), mode_product(self.out_dims)) == (layer.inputs, layer.outputs)
        return (mode_sizes(self.in_dims), mode_sizes(self.out_dims)) if theirs else (None, None)
