"""What the named layers of a network give on the way to its output, and which of two networks compare."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ..layers.structure import input_shape_of, named_layers, to_meta
from .heads import Outputs, as_outputs, heads

#: layer -> its output for a batch, [B, ...]; of a layer that runs twice the last one
FeatureMaps = dict[str, Tensor]


def with_features(network: nn.Module, names: Iterable[str], images: Tensor) -> tuple[Outputs, FeatureMaps]:
    """Runs a network and returns what it says together with the outputs of these layers.

    The hooks are there for this pass alone, so that the network stays as it was.
    """
    seen: FeatureMaps = {}

    def keep(name: str) -> Any:
        return lambda module, inputs, output: seen.__setitem__(name, output)

    handles = [network.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        return as_outputs(network(images)), seen
    finally:
        for handle in handles:
            handle.remove()


def comparable_layers(student: nn.Module, teacher: nn.Module) -> tuple[list[str], dict[str, str]]:
    """Returns the layers of one name whose outputs can be compared, and by layer why the others cannot.

    Maps compare where height and width agree and are more than one position; vectors where they have as
    many features. Layers that make an output of the network are left out: the response compares it.

    Args:
        student, teacher: adopted networks, on any device.
    """
    ours, theirs = _shapes(student), _shapes(teacher)
    reasons = {name: _why_not(shape, theirs.get(name)) for name, shape in ours.items()}
    return [n for n, why in reasons.items() if not why], {n: why for n, why in reasons.items() if why}


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every layer's output without the batch; () of the one that is the network's."""
    structure = to_meta(network).eval()
    names = [name for name, _ in named_layers(structure)]
    images = torch.empty(1, *input_shape_of(network), device="meta")
    with torch.no_grad():
        said, seen = with_features(structure, names, images)
    outputs: tuple[Tensor, ...] = heads(said)
    return {
        name: () if any(value is output for output in outputs) else tuple(value.shape[1:])
        for name, value in seen.items()
    }


def _why_not(ours: tuple[int, ...], theirs: tuple[int, ...] | None) -> str:
    """Returns in words why two outputs cannot be compared; empty where they can."""
    if ours == ():
        return "the network's output"
    if not theirs:
        return "the teacher has no such layer"
    if len(ours) == len(theirs) == 3:
        if ours[1:] != theirs[1:]:
            return f"a map of {ours[1]}x{ours[2]}, the teacher's has {theirs[1]}x{theirs[2]}"
        return "a map of one position" if ours[1:] == (1, 1) else ""
    return "" if ours == theirs else f"{_size(ours)} features, the teacher's has {_size(theirs)}"


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(str(n) for n in shape)
