"""Singular value decomposition of dense layers and of convolutions."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..decomposition.decomposable import unsuited_kind
from ..decomposition.decomposed_form import chain_of
from ..decomposition.decomposition import Decomposition, fit_steps_setting, max_error_setting, start_setting
from ..kernels.conv_factors import svd
from ..layers.conv import Conv
from ..layers.layer import Layer
from ..layers.transposed_conv import TransposedConv
from ..layers.tt_dense import TTDense
from ..technique.domains import Choice, CountOrShare, OrWord
from ..technique.technique import layers_setting, setting


@dataclass(frozen=True)
class SVD(Decomposition):
    """Writes a large dense layer as two: inputs to `rank` features, these to the outputs.

    A convolution becomes one with `rank` channels, and a 1x1 convolution to the outputs.
    """

    name: ClassVar[str] = "svd"
    version: ClassVar[int] = 1
    stage: ClassVar = "structure"
    source: ClassVar[str] = "THESIS eqs. 6-9; Denton et al. 2014; Zhang et al. 2016; Eckart and Young 1936"

    rank: int | float | str = setting(
        8,
        OrWord("auto", CountOrShare(512, (), "of what the layer's rank can be"), (24, 16, 12, 8)),
        "own choice: an eighth of the weights of PUB-II's layer, 16384 to 64",
        shown=True,
    )
    fit_steps: int = fit_steps_setting()
    kinds: str = setting(
        "dense", Choice(("dense", "conv", "all"), ("dense",)), "THESIS: the dense layer is decomposed"
    )
    max_error: float = max_error_setting()
    start: str = start_setting()
    layers: str = layers_setting()

    def unsuited(self, layer: Layer) -> str | None:
        return unsuited_kind(layer, self.kinds)

    def factored(self, layer: Layer, weight: Tensor) -> Layer:
        rank = None if isinstance(self.rank, str) else self._rank(weight)
        if isinstance(layer, Conv | TransposedConv):
            return chain_of(layer, svd(weight, rank, self.max_error))
        modes = (1, layer.inputs), (layer.outputs, 1)
        return TTDense.of(weight, rank, *modes, max_error=self.max_error)

    def _rank(self, weight: Tensor) -> int:
        rank, most = float(self.rank), min(weight.shape[0], weight.shape[1:].numel())
        return max(1, round(rank * most)) if rank < 1 else int(rank)
