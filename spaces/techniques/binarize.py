"""Binarization: a sign for every weight and a step for every channel; a sign for every input of a layer."""

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from ..errors import AtollError
from ..graph.non_negative import layers_with_unsigned_inputs
from ..layers.binary import Binary
from ..layers.codebook import Codebook
from ..layers.factor import Factor
from ..layers.layer import Layer
from ..layers.sign import InputSign
from ..layers.statistics import reestimate
from ..layers.structure import settle, to_meta
from ..technique.context import Context
from ..technique.domains import Choice, Float
from ..technique.targets import end_layers, targeted_layers
from ..technique.technique import Decisions, Technique, layers_setting, setting

#: images on which statistics are measured again
IMAGES = 512
#: told with every network whose activations are binary
NO_BINARY_KERNEL = (
    "no runtime of ours has a binary kernel: signs of activations are computed exactly and the layer behind "
    "them runs in the arithmetic of its weights, and is priced so"
)


@dataclass(frozen=True)
class Binarize(Technique):
    """Replaces weights by their signs times a trained step, and, if asked, inputs of layers by their signs.

    Trained through the straight-through estimator: gradient 1 where |x| <= threshold, else 0 (eq. 4), for
    weights and activations alike. The first layer's input is always as it is; first and last layer stay as
    they are altogether unless `first_last` says otherwise. A layer behind a ReLU keeps its input: signs of
    what is never negative say nothing.

    Binary activations make neither file nor time smaller: LiteRT has no binary kernel. The sign is computed
    exactly, by two element-wise operations, and the layer is priced as the arithmetic that really runs. Where
    an int8 layer before it is a step off in the file, as it may be, a sign next to zero falls the other way.
    """

    name: ClassVar[str] = "binarize"
    version: ClassVar[int] = 1
    stage: ClassVar = "numbers"
    source: ClassVar[str] = "THESIS §2.1.1 eqs. 3-4 (step per channel: XNOR-Net)"

    first_last: str = setting(
        "keep", Choice(("keep", "binary"), ("keep",)), "THESIS: first and last layer stay in float"
    )
    threshold: float = setting(1.0, Float(0.01, 100.0, (1.0,)), "THESIS eq. 4: |x| <= 1")
    weights: str = setting(
        "binary", Choice(("binary", "keep"), ("binary",)), "THESIS §2.1.1: weights and/or activations"
    )
    activations: str = setting(
        "keep", Choice(("keep", "binary"), ("keep",)), "THESIS §2.1.1: weights and/or activations"
    )
    layers: str = layers_setting()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weights == self.activations == "keep":
            raise AtollError(
                "binarize: got weights=keep and activations=keep, allowed is that one of them is binary"
            )

    @property
    def levels_per_weight(self) -> int | None:
        return 2 if self.weights == "binary" else None

    def plan(self, model: nn.Module) -> nn.Module:
        planned = settle(to_meta(model)) if self.weights == "binary" else to_meta(model)
        self._binarize(planned)
        return planned

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        binary = deepcopy(model)
        if self.weights == "binary":
            settle(binary)
        notes = self._binarize(binary)
        reestimate(binary, context.images(IMAGES))
        return binary, self.decisions(model, binary, **notes)

    def _binarize(self, network: nn.Module) -> dict[str, object]:
        """Imposes signs, in place; returns what there is to tell: by layer, why it was left alone."""
        ends = end_layers(network)
        rectified = layers_with_unsigned_inputs(network) if self.activations == "binary" else set()
        left_alone, own_input = {}, {}
        for name, layer in targeted_layers(network, self.layers):
            if name in ends and self.first_last == "keep":
                left_alone[name] = f"the network's {ends[name]} layer stays as it is (first_last=keep)"
                continue
            if self.weights == "binary":
                for factor in layer.factors().values():
                    factor.impose(self._signs(factor))
            if self.activations == "keep":
                continue
            reason = _needs_its_input(layer, ends.get(name) == "first", id(layer) in rectified)
            if reason is None:
                layer.input_sign = InputSign(self.threshold)
            elif self.weights == "binary":
                own_input[name] = reason
            else:
                left_alone[name] = reason
        notes: dict[str, object] = {"left_alone": left_alone}
        if self.activations == "binary":
            notes |= {"inputs_left_alone": own_input, "note": NO_BINARY_KERNEL}
        return notes

    def _signs(self, factor: Factor) -> Binary:
        per_channel = factor.find(Codebook) is None
        if factor.device.type == "meta":
            spec = {"per_channel": per_channel, "threshold": self.threshold}
            return Binary.from_spec(spec, factor.shape, torch.device("meta"))
        return Binary.fit(factor.effective(), per_channel, self.threshold)


def _needs_its_input(layer: Layer, first: bool, behind_relu: bool) -> str | None:
    """Returns why a layer cannot compute on the signs of its input, None where it can."""
    if layer.float_alone:
        return "a recurrence adds to what it reads: it multiplies its state alone"
    if first:
        return "the network's input stays as it is"
    return "its input is never negative, as behind a ReLU: its sign says nothing" if behind_relu else None
