"""Structured pruning: whole channels and neurons are removed physically."""

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..channel_groups import ChannelGroup, channel_groups, group_importance, keep_channels
from ..context import Context
from ..domains import Choice, Float, matches
from ..kernels.importance import largest
from ..kernels.layer_fit import fit_layer
from ..kernels.statistics import layer_inputs, reestimate
from ..layers.layer import Layer
from ..layers.structure import input_shape_of, to_meta
from ..technique import Decisions, Technique, layers_setting, setting

#: images for statistics and for the fit of decomposed layers (own measurement, 2026: more bring nothing)
IMAGES = 1024
#: Adam steps of the fit of a decomposed layer that lost inputs or outputs
FIT_STEPS = 150


@dataclass(frozen=True)
class PruneChannels(Technique):
    """Removes the channels with the smallest L1 norm from every group of dependent layers.

    Channels that are added, normalised or convolved depthwise together go together. A tensor-train layer
    whose inputs or outputs shrink is decomposed again and fitted to what it gave before.
    """

    name: ClassVar[str] = "prune_channels"
    version: ClassVar[int] = 1
    stage: ClassVar = "structure"
    source: ClassVar[str] = "THESIS §2.1.2 eq. 10; HYBRID; CLUSTER (threshold from ratio)"
    repeatable: ClassVar[bool] = True

    ratio: float = setting(
        0.5, Float(0.0, 1.0, (0.25, 0.5, 0.75), open_ends=True), "HYBRID and CLUSTER: beta = 0.5", shown=True
    )
    multiple: int = setting(
        8, Choice((1, 4, 8, 16), (8,)), "own measurement, 2026: time follows counts rounded up to 16"
    )
    layers: str = layers_setting()

    def plan(self, model: nn.Module) -> nn.Module:
        planned = to_meta(model)
        for group in channel_groups(planned, input_shape_of(planned)):
            if not group.fixed and self._means(group) and self.kept_count(group.size) < group.size:
                keep_channels(planned, group, torch.arange(self.kept_count(group.size)))
        return planned

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        pruned = deepcopy(model)
        left_alone = {}
        changed: dict[str, Tensor | None] = {}  # decomposed layers and which of their outputs are left
        for group in channel_groups(pruned, input_shape_of(model)):
            kept = self.kept_count(group.size)
            if group.fixed or not self._means(group) or kept == group.size:
                reason = group.fixed or "too few channels to round down"
                left_alone[", ".join(group.makers)] = reason if self._means(group) else "not targeted"
                continue
            index = largest(group_importance(pruned, group), kept).nonzero().flatten()
            for path in [reader.path for reader in group.readers]:
                changed.setdefault(path, None)
            changed.update({path: index for path in group.makers})
            keep_channels(pruned, group, index)
        images = context.images(IMAGES)
        reestimate(pruned, images)
        self._refit(model, pruned, changed, images, context.generator)
        return pruned, self.decisions(model, pruned, left_alone=left_alone)

    def _means(self, group: ChannelGroup) -> bool:
        """Whether every layer that makes the group's channels is targeted: they go together or not at all."""
        return all(matches(self.layers, path) for path in group.makers)

    def kept_count(self, size: int) -> int:
        """Returns how many of `size` channels stay: the nearest multiple, at least one, at most all."""
        wanted = size * (1 - self.ratio)
        return min(size, max(min(self.multiple, size), round(wanted / self.multiple) * self.multiple))

    @staticmethod
    def _refit(
        before: nn.Module,
        after: nn.Module,
        changed: dict[str, Tensor | None],
        images: Tensor,
        generator: torch.Generator,
    ) -> None:
        """Fits decomposed layers to what they gave before: slicing and decomposing again is lossy."""
        for path, outputs in changed.items():
            layer = after.get_submodule(path)
            if not (isinstance(layer, Layer) and layer.decomposed):
                continue
            _, wanted = layer_inputs(before, before.get_submodule(path), images)
            inputs, _ = layer_inputs(after, layer, images)
            wanted = wanted if outputs is None else wanted.index_select(1, outputs)
            fit_layer(layer, inputs, wanted, FIT_STEPS, generator)
            reestimate(after, images)
