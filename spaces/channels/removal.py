"""Removes channels from a network and mends what that broke without training it as a whole."""

from collections.abc import Collection, Iterable

import torch
from torch import Tensor, nn

from ..graph.reading import trace
from ..kernels.layer_fit import MAP_BATCH, MAP_IMAGES, fit_layer
from ..layers.layer import Layer
from ..layers.structure import input_shape_of
from .channel_group import ChannelGroup
from .groups import keep_channels
from .passes import passes_over
from .reconstruction import reconstruct, refusal

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
    mend: bool = True,
) -> dict[str, str]:
    """Keeps the channels that stay, in place; measures statistics again and mends layers that lost inputs.

    Args:
        before: the network with all its channels.
        after: a copy of it, which shrinks; left in evaluation mode.
        cuts: taken one by one, so that one may be chosen in view of what those before it left.
        images: float32 [N, C, H, W], for the statistics and the fit.
        generator: draws the batches of the fit.
        mend: whether layers that lost inputs are fitted to what they gave before (those under constraints or
            on integers stay as they are); those that have to be decomposed again are fitted in any case.

    Returns:
        why layers that were to be fitted could not be, by path.
    """
    not_refitted: dict[str, str] = {}
    changed: dict[str, Tensor | None] = {}  # layers and which of their outputs are left
    readers: set[str] = set()
    for group, index in cuts:
        for reader in group.readers:
            changed.setdefault(reader.path, None)
            readers.add(reader.path)
        changed.update({path: index for path in group.makers})
        keep_channels(after, group, index)
    passes = passes_over(before, after, images)
    for path in _in_order(after, changed):
        layer, outputs = after.get_submodule(path), changed[path]
        if isinstance(layer, Layer) and (not layer.sliceable or (mend and path in readers)):
            reason = None if layer.decomposed else refusal(layer)
            if reason is not None:  # before anything is run for what it reads and gives
                not_refitted[path] = reason
                continue
            inputs, wanted = passes.at(path)
            axis = -1 if layer.features_last else 1
            wanted = wanted if outputs is None else wanted.index_select(axis, outputs)
            reason = _mend(layer, inputs, wanted, generator)
            if reason is None:
                passes.mended()
            else:
                not_refitted[path] = reason
    passes.end()
    return not_refitted


def _in_order(network: nn.Module, paths: Collection[str]) -> list[str]:
    """Returns paths in the order of execution: each layer is fitted to what those before it give by then."""
    operations = trace(network, input_shape_of(network)).operations
    return [path for path in dict.fromkeys(operation.path for operation in operations) if path in paths]


def _mend(layer: Layer, inputs: Tensor, wanted: Tensor, generator: torch.Generator) -> str | None:
    """Fits a layer to what it gave before, a decomposed one step by step, any other in closed form.

    Returns:
        None; or why it could not be, in words.
    """
    if not layer.decomposed:
        return reconstruct(layer, inputs, wanted, generator)
    if inputs.dim() > 2:  # every position of a map counts like an image
        fit_layer(layer, inputs[:MAP_IMAGES], wanted[:MAP_IMAGES], FIT_STEPS, generator, MAP_BATCH)
    else:
        fit_layer(layer, inputs, wanted, FIT_STEPS, generator)
    return None
