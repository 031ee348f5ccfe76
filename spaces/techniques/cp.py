"""CP decomposition of convolutions."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..decomposition.decomposable import not_smaller, unsuited_conv
from ..decomposition.decomposed_form import chain_of
from ..decomposition.decomposition import Decomposition, fit_steps_setting, max_error_setting, start_setting
from ..kernels.conv_factors import cp, relative_error
from ..layers.conv import Conv
from ..layers.conv_chain import ConvChain
from ..layers.layer import Layer
from ..layers.transposed_conv import TransposedConv
from ..technique.domains import Int, OrWord
from ..technique.technique import layers_setting, setting

#: largest rank that is tried; alternating least squares takes minutes from there on
LARGEST_RANK = 512


@dataclass(frozen=True)
class CP(Decomposition):
    """Writes a convolution as 1x1, depthwise kh x 1 and 1 x kw, and 1x1 convolutions of `rank` channels.

    No formula gives the best factors, nor the smallest rank for an error: they are found by alternating least
    squares, and an automatic rank by doubling and halving.
    """

    name: ClassVar[str] = "cp"
    version: ClassVar[int] = 1
    stage: ClassVar = "structure"
    source: ClassVar[str] = "THESIS eqs. 6-9; Lebedev et al. 2015 (CP of kernels)"

    rank: int | str = setting(
        16,
        OrWord("auto", Int(1, LARGEST_RANK, ()), (32, 16, 8)),
        "own choice: a ninth of the weights of a 64x64x3x3 kernel at rank 32; Lebedev et al. 2015 use 64",
        shown=True,
    )
    fit_steps: int = fit_steps_setting()
    max_error: float = max_error_setting()
    start: str = start_setting()
    layers: str = layers_setting()

    def unsuited(self, layer: Layer) -> str | None:
        if isinstance(layer, TransposedConv):
            return "is a transposed convolution, of which the runtime has none for each channel by itself"
        return unsuited_conv(layer)

    def factored(self, layer: Layer, weight: Tensor) -> Layer:
        assert isinstance(layer, Conv)  # others are not suited
        return self._chain(layer, weight, 1 if isinstance(self.rank, str) else self.rank, seed=0)

    def write(self, layer: Layer, weight: Tensor, generator: torch.Generator) -> Layer | str:
        assert isinstance(layer, Conv)
        seed = int(torch.randint(2**31, (), generator=generator))
        if isinstance(self.rank, str):
            return self._smallest(layer, weight, seed)
        return self._chain(layer, weight, self.rank, seed)

    @staticmethod
    def _chain(layer: Conv, weight: Tensor, rank: int, seed: int) -> ConvChain:
        if weight.shape[2:].numel() == 1:  # a matrix has no more
            rank = min(rank, layer.inputs, layer.outputs)
        return chain_of(layer, cp(weight, rank, seed))

    def _smallest(self, layer: Conv, weight: Tensor, seed: int) -> ConvChain | str:
        """Returns the chain of the smallest rank found that keeps the error, or says that none pays."""
        largest = self._largest(layer, weight)
        low, high = 0, 1  # ranks up to low do not keep it
        while (found := self._within(layer, weight, high, seed)) is None:
            if high == largest:
                return f"no rank up to {largest} keeps the error {self.max_error:g}, and more do not pay"
            low, high = high, min(2 * high, largest)
        while high - low > 1:
            middle = (low + high) // 2
            smaller = self._within(layer, weight, middle, seed)
            if smaller is None:
                low = middle
            else:
                found, high = smaller, middle
        return found

    def _largest(self, layer: Conv, weight: Tensor) -> int:
        """Returns the largest rank that makes the layer smaller; rank 1 does."""
        sizes = weight.to("meta")
        paying = (
            r for r in range(LARGEST_RANK, 0, -1) if not not_smaller(layer, self._chain(layer, sizes, r, 0))
        )
        return next(paying, 1)

    def _within(self, layer: Conv, weight: Tensor, rank: int, seed: int) -> ConvChain | None:
        """Returns the chain of a rank, None where it does not keep the error."""
        chain = self._chain(layer, weight, rank, seed)
        return chain if relative_error(weight, chain.dense_weight()) <= self.max_error else None
