"""Removes channels from a network and mends what that broke without training it as a whole."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .channel_groups import ChannelGroup, keep_channels
from .kernels.layer_fit import fit_layer
from .kernels.statistics import layer_inputs, reestimate
from .layers.layer import Layer

#: Adam steps of the fit of a decomposed layer that lost inputs or outputs
FIT_STEPS = 150

#: a group and the ascending numbers of its channels that stay
Cut = tuple[ChannelGroup, Tensor]


def remove_channels(
    before: nn.Module,
    after: nn.Module,
    cuts: Iterable[Cut],
    images: Tensor,
    generator: torch.Generator,
) -> None:
    """Keeps the channels that stay, in place; measures statistics again and fits decomposed layers.

    Args:
        before: the network with all its channels.
        after: a copy of it, which shrinks; left in evaluation mode.
        cuts: taken one by one, so that one may be chosen in view of what those before it left.
        images: float32 [N, C, H, W], for the statistics and the fit.
        generator: draws the batches of the fit.
    """
    changed: dict[str, Tensor | None] = {}  # layers and which of their outputs are left
    for group, index in cuts:
        for reader in group.readers:
            changed.setdefault(reader.path, None)
        changed.update({path: index for path in group.makers})
        keep_channels(after, group, index)
    reestimate(after, images)
    _refit(before, after, changed, images, generator)


def _refit(
    before: nn.Module,
    after: nn.Module,
    changed: dict[str, Tensor | None],
    images: Tensor,
    generator: torch.Generator,
) -> None:
    """Fits layers that were decomposed again to what they gave before; slicing alone loses nothing."""
    for path, outputs in changed.items():
        layer = after.get_submodule(path)
        if not isinstance(layer, Layer) or layer.sliceable:
            continue
        _, wanted = layer_inputs(before, before.get_submodule(path), images)
        inputs, _ = layer_inputs(after, layer, images)
        wanted = wanted if outputs is None else wanted.index_select(1, outputs)
        fit_layer(layer, inputs, wanted, FIT_STEPS, generator)
        reestimate(after, images)
