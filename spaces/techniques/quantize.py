"""Quantization: weights and activations as small integers, trained on their grids."""

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ..activation_grids import place_grids
from ..context import Context
from ..domains import Choice
from ..kernels.affine import symmetric_levels
from ..kernels.statistics import reestimate
from ..layers.codebook import Codebook
from ..layers.grid import Grid
from ..layers.layer import Layer
from ..layers.structure import named_layers, settle, to_meta
from ..targets import targeted_layers
from ..technique import Decisions, Technique, layers_setting, setting

#: images on which activation ranges are observed
IMAGES = 512


@dataclass(frozen=True)
class Quantize(Technique):
    """Puts weights on symmetric grids and activations on 8-bit ones; the fine-tuning trains on them.

    Steps of the weights' grids are learned (LSQ); ranges of activations are observed on training images and
    follow slowly in training. `quantize(bits=8)` is integer everywhere, input and output included.
    """

    name: ClassVar[str] = "quantize"
    version: ClassVar[int] = 1
    stage: ClassVar = "numbers"
    source: ClassVar[str] = "THESIS §2.1.1 eqs. 1-2; PUB-II (quantization-aware training); Esser et al. 2020"

    bits: int = setting(8, Choice((8, 4, 2)), "THESIS: 8 bits", shown=True)
    first_last: str = setting(
        "int8",
        Choice(("int8", "same", "float"), ("int8", "same")),
        "THESIS: first and last layer are kept finer",
    )
    activations: str = setting(
        "int8", Choice(("int8", "float"), ("int8",)), "PUB-III: integer only for Edge TPU"
    )
    layers: str = layers_setting()

    @property
    def levels_per_weight(self) -> int | None:
        return 2 * symmetric_levels(self.bits) + 1

    @property
    def needs_levels(self) -> int | None:
        return self.levels_per_weight

    def plan(self, model: nn.Module) -> nn.Module:
        planned = settle(to_meta(model))
        self._quantize(planned)
        return planned

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        quantized = settle(deepcopy(model))
        widths = self._quantize(quantized)
        reestimate(quantized, context.images(IMAGES))
        return quantized, self.decisions(model, quantized, bits=widths)

    def _quantize(self, network: nn.Module) -> dict[str, int]:
        """Puts the grids in; returns the bits of every layer."""
        ends = [name for name, _ in named_layers(network)]
        layers = targeted_layers(network, self.layers)
        widths = {}
        for name, layer in layers:
            bits = self._width(name in (ends[0], ends[-1]))
            if bits is not None:
                widths[name] = bits
                self._quantize_weights(layer, bits)
        if self.activations == "int8":
            place_grids(network, [layer for name, layer in layers if name in widths], bits=8)
        return widths

    def _width(self, first_or_last: bool) -> int | None:
        if not first_or_last or self.first_last == "same":
            return self.bits
        return None if self.first_last == "float" else max(8, self.bits)

    @staticmethod
    def _quantize_weights(layer: Layer, bits: int) -> None:
        for factor in layer.factors().values():
            # shared values must stay shared after rounding: one scale for all channels then
            per_channel = factor.find(Codebook) is None
            factor.impose(Grid.fit(factor.effective(), bits, per_channel))
