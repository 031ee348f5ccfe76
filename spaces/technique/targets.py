"""The layers that a step touches, by the pattern of names in its settings."""

from torch import nn

from ..errors import AtollError
from ..layers.layer import Layer
from ..layers.structure import named_layers, never_called
from ..nearest import known_names
from .domains import matches


def targeted_layers(network: nn.Module, pattern: str) -> list[tuple[str, Layer]]:
    """Returns the layers with weights whose names match, in order of definition; a shared one once.

    Names are those of the base network: every step keeps them.

    Args:
        pattern: a checked `LayerPattern` value.

    Raises:
        AtollError: no layer matches; the message lists the layers.
    """
    layers = list(named_layers(network))
    found = [(name, layer) for name, layer in layers if matches(pattern, name)]
    idle = sorted(name for name in never_called(network) if matches(pattern, name))
    if not found and idle:
        raise AtollError(f"layers: {pattern!r} means layers that the network never calls: {', '.join(idle)}")
    if not found and layers:
        known = known_names(pattern, [name for name, _ in layers])
        raise AtollError(f"layers: no layer matches {pattern!r}; {known}")
    return found


def end_layers(network: nn.Module) -> dict[str, str]:
    """Returns which layers are the network's `first` and `last` in order of definition, by name."""
    names = [name for name, _ in named_layers(network)]
    return {names[0]: "first", names[-1]: "last"} if names else {}
