"""Tucker-2 decomposition of convolutions."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..decomposition.decomposable import unsuited_conv
from ..decomposition.decomposed_form import chain_of
from ..decomposition.decomposition import Decomposition, fit_steps_setting, max_error_setting, start_setting
from ..kernels.conv_factors import tucker, tucker_ranks
from ..layers.conv import Conv
from ..layers.layer import Layer
from ..layers.transposed_conv import TransposedConv
from ..technique.domains import CountOrShare, OrWord
from ..technique.technique import layers_setting, setting


@dataclass(frozen=True)
class Tucker(Decomposition):
    """Writes a convolution as 1x1, kh x kw and 1x1 convolutions with fewer channels between them.

    A rank below 1 is a share of the channels on either side: widths differ by an order of magnitude within
    one network, and one number for all layers would take everything from one and nothing from another.
    A whole number is the same number of channels everywhere.
    """

    name: ClassVar[str] = "tucker"
    version: ClassVar[int] = 1
    stage: ClassVar = "structure"
    source: ClassVar[str] = "THESIS eqs. 6-9; Kim et al. 2016 (Tucker-2 of kernels)"

    rank: int | float | str = setting(
        0.25,
        OrWord("auto", CountOrShare(512, (), "of the layer's channels"), (0.5, 0.25, 0.125)),
        "Kim et al. 2016: their ranks are a quarter to a half of AlexNet's channels",
        shown=True,
    )
    fit_steps: int = fit_steps_setting()
    max_error: float = max_error_setting()
    start: str = start_setting()
    layers: str = layers_setting()

    def unsuited(self, layer: Layer) -> str | None:
        return unsuited_conv(layer)

    def factored(self, layer: Layer, weight: Tensor) -> Layer:
        assert isinstance(layer, Conv | TransposedConv)  # others are not suited
        wanted = None if self.rank == "auto" else (self._rank(layer.inputs), self._rank(layer.outputs))
        return chain_of(layer, tucker(weight, tucker_ranks(weight, wanted, self.max_error)))

    def _rank(self, channels: int) -> int:
        rank = float(self.rank)
        return max(1, round(rank * channels)) if rank < 1 else int(rank)
