"""Ternarization: minus one, zero or one for every weight and a step for every channel."""

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from ..layers.binary import Binary
from ..layers.codebook import Codebook
from ..layers.factor import Factor
from ..layers.statistics import reestimate
from ..layers.structure import settle, to_meta
from ..layers.ternary import TWN_THRESHOLD, Ternary
from ..technique.context import Context
from ..technique.domains import Choice, Float
from ..technique.targets import end_layers, targeted_layers
from ..technique.technique import Decisions, Technique, layers_setting, setting

#: images on which statistics are measured again
IMAGES = 512


@dataclass(frozen=True)
class Ternarize(Technique):
    """Replaces weights by -1, 0 or +1 times a trained step; first and last layer stay as they are.

    Zero where |w| is at most `threshold` times the mean absolute weight of its channel; the step is the least
    squares fit to the others. Trained straight-through. A weight takes two bits: int2 in dense layers; the
    runtime's convolutions need int4.
    """

    name: ClassVar[str] = "ternarize"
    version: ClassVar[int] = 1
    stage: ClassVar = "numbers"
    source: ClassVar[str] = "THESIS §2.1.1; Li et al. 2016, Ternary Weight Networks (here a step a channel)"

    # more zeros make no smaller weights, but files that pack better
    threshold: float = setting(
        TWN_THRESHOLD, Float(0.0, 1.0, (0.7, 0.9), open_ends=True), "Li et al. 2016, eq. 6: 0.7 mean |w|"
    )
    first_last: str = setting(
        "keep", Choice(("keep", "ternary"), ("keep",)), "THESIS: first and last layer stay in float"
    )
    layers: str = layers_setting()

    @property
    def levels_per_weight(self) -> int | None:
        return 3

    @property
    def needs_levels(self) -> int | None:
        return 3

    def plan(self, model: nn.Module) -> nn.Module:
        planned = settle(to_meta(model))
        self._ternarize(planned)
        return planned

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        ternary = settle(deepcopy(model))
        left_alone = self._ternarize(ternary)
        reestimate(ternary, context.images(IMAGES))
        return ternary, self.decisions(model, ternary, left_alone=left_alone)

    def _ternarize(self, network: nn.Module) -> dict[str, str]:
        """Imposes three values, in place; returns by layer why it was left alone."""
        ends = end_layers(network)
        left_alone = {}
        for name, layer in targeted_layers(network, self.layers):
            if name in ends and self.first_last == "keep":
                left_alone[name] = f"the network's {ends[name]} layer stays as it is (first_last=keep)"
                continue
            wider = [factor for factor in layer.factors().values() if factor.find(Binary) is None]
            for factor in wider:
                factor.impose(self._three_values(factor))
            if not wider:
                left_alone[name] = "its weights are signs: they take two values only"
        return left_alone

    def _three_values(self, factor: Factor) -> Ternary:
        per_channel = factor.find(Codebook) is None
        if factor.device.type == "meta":
            spec = {"per_channel": per_channel, "threshold": self.threshold}
            return Ternary.from_spec(spec, factor.shape, torch.device("meta"))
        return Ternary.fit(factor.effective(), per_channel, self.threshold)
