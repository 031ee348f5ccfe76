"""Structured pruning: whole channels and neurons are removed physically."""

from collections.abc import Collection, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import lcm
from typing import ClassVar

import torch
from torch import nn

from ..channels.channel_group import ChannelGroup
from ..channels.groups import channel_groups, keep_channels
from ..channels.importance import CRITERIA, has_norm, scorer
from ..channels.removal import Cut, remove_channels
from ..channels.zero_groups import drive_to_zero
from ..importance.gates import gated_inputs
from ..kernels.schedules import SCHEDULES, cumulative_shares
from ..layers.structure import input_shape_of, to_meta
from ..technique.context import Context
from ..technique.domains import Choice, Float
from ..technique.targets import meant_names, targeted_layers
from ..technique.technique import Decisions, Technique, layers_setting, setting

#: images for statistics and for the fit of decomposed layers (own measurement, 2026: more bring nothing)
IMAGES = 1024
#: share of the step's epochs in which `oto` drives groups to zero; the rest trains what is left (own choice)
OTO_SHARE = 0.5

#: channels of each group before the step, by the layers that make them
Sizes = dict[str, int]


@dataclass(frozen=True)
class PruneChannels(Technique):
    """Removes the least important channels from every group of dependent layers.

    Channels that are added, normalised or convolved depthwise together go together, and so do those that a
    pixel shuffle makes one channel of. Dense layers and
    convolutions that lost inputs get the weights with which they come nearest to what they gave before
    (`refit`), unless they are under constraints (the decisions tell which, `not_refitted`); decomposed ones
    are fitted step by step, a tensor train that loses inputs or outputs is decomposed again before.

    `iterative` and `agp` remove in stages with training between; the epochs of the step are divided evenly,
    the last part is left for after the final stage. `oto` chooses the channels first, drives what is
    read of them to zero while it trains and then erases them, which changes nothing that the network computes
    (but for layers that are decomposed again).
    """

    name: ClassVar[str] = "prune_channels"
    version: ClassVar[int] = 2
    stage: ClassVar = "structure"
    source: ClassVar[str] = (
        "THESIS §2.1.2 eq. 10; HYBRID; CLUSTER (threshold from ratio); CONVNEXT (OTO: Chen et al. 2023)"
    )
    repeatable: ClassVar[bool] = True

    ratio: float = setting(
        0.5, Float(0.0, 1.0, (0.25, 0.5, 0.75), open_ends=True), "HYBRID and CLUSTER: beta = 0.5", shown=True
    )
    multiple: int = setting(
        8, Choice((1, 4, 8, 16), (8,)), "own measurement, 2026: time follows counts rounded up to 16"
    )
    criterion: str = setting("l1", Choice(CRITERIA, ("l1",)), "THESIS eq. 10: magnitude")
    schedule: str = setting("one_shot", Choice((*SCHEDULES, "oto"), ("one_shot",)), "HYBRID: at once")
    refit: str = setting(
        "least_squares",
        Choice(("least_squares", "none"), ("least_squares",)),
        "He et al. 2017; own measurement, 2026: worth 3.4 to 4.3 points after an epoch at half the channels",
    )
    layers: str = layers_setting()

    def plan(self, model: nn.Module) -> nn.Module:
        planned = to_meta(model)
        targeted_layers(planned, self.layers)  # refuses a pattern that means no layer
        groups = _groups(planned)
        sizes = _sizes(groups)
        for stage, share in enumerate(cumulative_shares(self.schedule)):
            groups = _groups(planned) if stage else groups
            for group, kept in self._shrinking(planned, groups, sizes, share):
                keep_channels(planned, group, torch.arange(kept))
        return planned

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        notes, not_refitted = self._notes(model), dict[str, str]()
        sizes = _sizes(_groups(model))
        *early, last = cumulative_shares(self.schedule)
        epochs = context.epochs_left / (len(early) + 1)
        network = model
        for share in early:
            network, reasons = self._cut(network, sizes, share, context)
            not_refitted |= reasons
            context.fit(network, epochs=epochs)
        if self.schedule == "oto":
            network = self._drive_and_erase(network, sizes, last, context)
        else:
            network, reasons = self._cut(network, sizes, last, context)
            not_refitted |= reasons
        if not_refitted:
            notes["not_refitted"] = not_refitted
        return network, self.decisions(model, network, **notes)

    def _cut(
        self, before: nn.Module, sizes: Sizes, share: float, context: Context
    ) -> tuple[nn.Module, dict[str, str]]:
        """Returns a copy without the channels that go at this share of the way, and what was not refitted."""
        after = deepcopy(before)
        cuts = self._cuts(after, sizes, share, context)
        mend = self.refit == "least_squares"
        not_refitted = remove_channels(before, after, cuts, context.images(IMAGES), context.generator, mend)
        return after, not_refitted

    def _drive_and_erase(self, before: nn.Module, sizes: Sizes, share: float, context: Context) -> nn.Module:
        """Returns a copy that was trained to do without the channels that go, and lost them."""
        trained = deepcopy(before)
        cuts = list(self._cuts(trained, sizes, share, context))
        groups = drive_to_zero(trained, cuts, context, OTO_SHARE * context.epochs_left)
        after = deepcopy(trained)
        with gated_inputs(trained, groups.gates):
            # nothing broke: what went is zero already
            remove_channels(trained, after, cuts, context.images(IMAGES), context.generator, mend=False)
        return after

    def _cuts(self, network: nn.Module, sizes: Sizes, share: float, context: Context) -> Iterator[Cut]:
        """Yields what stays of each group, chosen when asked for: earlier cuts may be made meanwhile."""
        shrinking = list(self._shrinking(network, _groups(network), sizes, share))
        score = scorer(self.criterion, network, [group for group, _ in shrinking], context)
        for group, kept in shrinking:
            yield group, group.largest(score(group), kept)

    def _shrinking(
        self, network: nn.Module, groups: Sequence[ChannelGroup], sizes: Sizes, share: float
    ) -> Iterator[tuple[ChannelGroup, int]]:
        """Yields the groups that shrink on the way to a share of the ratio, and how many channels stay."""
        targeted = meant_names(network, self.layers)
        for group in groups:
            kept = self.kept_count(sizes[group.makers[0]], share, group.block)
            if not _refusal(group, targeted) and kept < group.size:
                yield group, kept

    def kept_count(self, size: int, share: float = 1.0, block: int = 1) -> int:
        """Returns how many of `size` channels stay: the nearest multiple, at least one, at most all.

        Args:
            size: channels before the step.
            share: of the ratio.
            block: of channels that stay or go together; `size` is a multiple of it.
        """
        wanted, step = size * (1 - self.ratio * share), lcm(self.multiple, block)
        return min(size, max(min(step, size), round(wanted / step) * step))

    # What is left as it was --------------------------------------------------------------------------

    def _notes(self, network: nn.Module) -> dict[str, dict[str, str]]:
        """Returns which targeted layers are left alone, and which are not rated by the criterion, and why."""
        reasons: dict[str, str] = {}
        rated: dict[str, str] = {}
        meant = meant_names(network, self.layers)
        for group in _groups(network):
            enough = self.kept_count(group.size, block=group.block) < group.size
            reason = _refusal(group, meant) or ("" if enough else "too few channels to round down")
            for path in [*group.makers, *group.norms, *(norm.path for norm in group.spread_norms)]:
                reasons[path] = reasons.get(path, reason) and reason  # one group that shrinks will do
            if self.criterion == "bn_scale" and not reason and not has_norm(network, group):
                rated.update(dict.fromkeys(group.makers, "no normalisation over its channels"))
        targeted = [path for path, _ in targeted_layers(network, self.layers)]
        left_alone = {
            path: reasons.get(path, "it makes no channels that can be told apart") for path in targeted
        }
        notes = {"left_alone": {path: reason for path, reason in left_alone.items() if reason}}
        return {**notes, "rated_by_l1": rated} if rated else notes


def _groups(network: nn.Module) -> Sequence[ChannelGroup]:
    return channel_groups(network, input_shape_of(network))


def _sizes(groups: Sequence[ChannelGroup]) -> Sizes:
    return {path: group.size for group in groups for path in group.makers}


def _refusal(group: ChannelGroup, targeted: Collection[str]) -> str:
    """Returns why a group keeps all its channels, empty where it can lose some."""
    others = [path for path in group.makers if path not in targeted]
    if others:
        return f"its channels go together with those of {', '.join(others)}, not targeted"
    return group.fixed
