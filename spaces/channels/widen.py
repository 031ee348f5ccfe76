"""A network made wider without changing what it computes (Net2WiderNet, Chen et al. 2016)."""

from copy import deepcopy

import torch
from torch import nn

from ..errors import AtollError
from ..layers.one_weight import OneWeight
from ..layers.recurrent import Recurrent
from ..layers.structure import input_shape_of, named_layers
from .channel_group import ChannelGroup
from .groups import channel_groups, keep_channels


def widened(network: nn.Module, noise: float = 0.0, generator: torch.Generator | None = None) -> nn.Module:
    """Returns a copy in which every channel that may multiply is there twice.

    Whoever makes a channel makes it twice, whoever reads it weighs each of the two by half. Two equal
    channels would have equal gradients for ever, therefore the noise (Chen et al. 2016, section 2.3). Groups
    of channels that cannot be widened alone stay as they are.

    Args:
        network: adopted; its layers without constraints. Recurrences stay as wide as they are.
        noise: standard deviation of what is added to the weights that make the second ones, in units of each
            layer's own; 0 leaves the function unchanged.
        generator: of the noise.

    Raises:
        AtollError: for compressed layers.
    """
    wide = deepcopy(network)
    for name, layer in named_layers(wide):
        if not isinstance(layer, OneWeight | Recurrent) or layer.weight.constraints:
            raise AtollError(
                f"widen: got {name}, a layer of type {layer.type_name} that is compressed already; "
                "allowed are dense layers, convolutions and recurrences without constraints"
            )
    for group in channel_groups(wide, input_shape_of(wide)):
        if not group.fixed:
            _double(wide, group, noise, generator)
    return wide


@torch.no_grad()
def _double(network: nn.Module, group: ChannelGroup, noise: float, generator: torch.Generator | None) -> None:
    """Doubles the channels of a group, in place: the first ones as they were, the second ones after them."""
    twice = torch.arange(group.size).repeat(2)
    for reader in group.readers:
        weight = _weight(network, reader.path)
        shares = torch.bincount(reader.features(twice), minlength=weight.shape[1]).to(weight)
        weight.div_(shares.reshape(1, -1, *[1] * (weight.dim() - 2)))
    keep_channels(network, group, twice)
    if noise > 0:
        for path in group.makers:
            weight = _weight(network, path)
            second = weight[group.size :]
            second += noise * weight.std(correction=0) * torch.randn(second.shape, generator=generator)


def _weight(network: nn.Module, path: str) -> nn.Parameter:
    weight = network.get_submodule(f"{path}.weight").raw
    assert isinstance(weight, nn.Parameter)
    return weight
