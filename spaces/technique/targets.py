"""The layers that a step touches, by the pattern of names and groups in its settings."""

from collections.abc import Mapping

from torch import nn

from ..errors import AtollError
from ..layers.conv import Conv
from ..layers.conv_chain import ConvChain
from ..layers.dense import Dense
from ..layers.layer import Layer
from ..layers.norm import Norm
from ..layers.structure import named_layers, never_called
from ..layers.transposed_conv import TransposedConv
from ..layers.tt_dense import TTDense
from ..nearest import known_names
from .domains import GROUPS, LEFT_OUT, matches

#: what a layer of a group is, decomposed or not; the other groups are places
_KINDS: Mapping[str, tuple[type[Layer], ...]] = {
    "convolutions": (Conv, TransposedConv, ConvChain),
    "dense": (Dense, TTDense),
}


def targeted_layers(network: nn.Module, pattern: str) -> list[tuple[str, Layer]]:
    """Returns the layers with weights that are meant, in order of definition; a shared one once.

    Names are those of the base network: every step keeps them. Groups are of the network as it is.

    Args:
        pattern: a checked `LayerPattern` value.

    Raises:
        AtollError: no layer is meant; the message lists the layers.
    """
    layers, meant = list(named_layers(network)), meant_names(network, pattern)
    found = [(name, layer) for name, layer in layers if name in meant]
    idle = sorted(never_called(network) & meant)
    if not found and idle:
        raise AtollError(f"layers: {pattern!r} means layers that the network never calls: {', '.join(idle)}")
    if not found and layers:
        named = [name for name, _ in layers]
        groups = (group for group in GROUPS if group not in (*pattern.split("|"), *named))
        known = known_names(pattern, [*named, *groups])
        raise AtollError(f"layers: no layer matches {pattern!r}; {known}")
    return found


def meant_names(network: nn.Module, pattern: str) -> set[str]:
    """Returns the names of the layers and normalisations, called or not, that a pattern means.

    Parts behind a `~` are left out of what the others mean, of everything where there are no others.
    """
    parts = pattern.split("|")
    left_out = [part for part in parts if part.startswith(LEFT_OUT)]
    taken = [part for part in parts if part not in left_out] or ["*"]
    meant = set().union(*(_meant_by(network, part) for part in taken))
    return meant.difference(*(_meant_by(network, part.removeprefix(LEFT_OUT)) for part in left_out))


def _meant_by(network: nn.Module, part: str) -> set[str]:
    """Returns the names that one part of a pattern means."""
    modules = {name: one for name, one in network.named_modules() if isinstance(one, Layer | Norm)}
    names = modules.keys() | never_called(network)
    if part not in GROUPS or part in names:
        return {name for name in names if matches(part, name)}
    if part in _KINDS:
        return {name for name, module in modules.items() if isinstance(module, _KINDS[part])}
    running = [name for name, _ in named_layers(network)]
    return set(running[:1] if part == "first" else running[-1:])


def end_layers(network: nn.Module) -> dict[str, str]:
    """Returns which layers are the network's `first` and `last` in order of definition, by name."""
    names = [name for name, _ in named_layers(network)]
    return {names[0]: "first", names[-1]: "last"} if names else {}
