"""Binarization: a sign for every weight and a step for every channel."""

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from ..context import Context
from ..domains import Choice, Float
from ..kernels.statistics import reestimate
from ..layers.binary import Binary
from ..layers.codebook import Codebook
from ..layers.factor import Factor
from ..layers.structure import named_layers, settle, to_meta
from ..targets import targeted_layers
from ..technique import Decisions, Technique, layers_setting, setting

#: images on which statistics are measured again
IMAGES = 512


@dataclass(frozen=True)
class Binarize(Technique):
    """Replaces weights by their signs times a trained step; first and last layer stay as they are.

    Trained through the straight-through estimator: gradient 1 where |w| <= threshold, else 0 (eq. 4).
    """

    name: ClassVar[str] = "binarize"
    version: ClassVar[int] = 1
    stage: ClassVar = "numbers"
    source: ClassVar[str] = "THESIS §2.1.1 eqs. 3-4 (step per channel: XNOR-Net)"

    first_last: str = setting(
        "keep", Choice(("keep", "binary"), ("keep",)), "THESIS: first and last layer stay in float"
    )
    threshold: float = setting(1.0, Float(0.01, 100.0, (1.0,)), "THESIS eq. 4: |x| <= 1")
    layers: str = layers_setting()

    @property
    def levels_per_weight(self) -> int | None:
        return 2

    def plan(self, model: nn.Module) -> nn.Module:
        planned = settle(to_meta(model))
        self._binarize(planned)
        return planned

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        binary = settle(deepcopy(model))
        self._binarize(binary)
        reestimate(binary, context.images(IMAGES))
        return binary, self.decisions(model, binary)

    def _binarize(self, network: nn.Module) -> None:
        names = [name for name, _ in named_layers(network)]
        kept = (names[0], names[-1]) if self.first_last == "keep" else ()
        for name, layer in targeted_layers(network, self.layers):
            if name in kept:
                continue
            for factor in layer.factors().values():
                factor.impose(self._signs(factor))

    def _signs(self, factor: Factor) -> Binary:
        per_channel = factor.find(Codebook) is None
        if factor.device.type == "meta":
            spec = {"per_channel": per_channel, "threshold": self.threshold}
            return Binary.from_spec(spec, factor.shape, torch.device("meta"))
        return Binary.fit(factor.effective(), per_channel, self.threshold)
