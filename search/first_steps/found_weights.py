"""What a file of weights tells of the network that it belongs to."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ...evaluators.own.weights_file import read_weights

#: parts of names that last layers have in torchvision, timm and transformers
_LAST = re.compile(r"(^|[._])(fc|head|classifier|logits|output|out|last)\d*([._]|$)")


@dataclass(frozen=True)
class FoundWeights:
    """What a state dict tells.

    Args:
        tensors, weights: how many.
        channels: that the first layer takes, where it is a convolution of all channels; None where it is not.
        classes: that the last layer gives; None where there is none.
        last: its name.
    """

    tensors: int
    weights: int
    channels: int | None
    classes: int | None
    last: str


def look_at_weights(path: Path) -> FoundWeights:
    """Reads a file of weights; nothing in it is run.

    Args:
        path: as `weights` of a task names it.

    Raises:
        AtollError: it cannot be read, or holds no state dict.
    """
    state = read_weights(path)
    # safetensors come in the order of their names as text, in which 10 is before 2
    is_in_order = path.suffix != ".safetensors"
    in_order = list(state) if is_in_order else sorted(state, key=_numbered)
    layers = [name for name in in_order if state[name].dim() >= 2]
    last = _last(state, layers, is_in_order)
    return FoundWeights(
        tensors=len(state),
        weights=sum(tensor.numel() for tensor in state.values()),
        channels=_channels(state, layers),
        classes=state[last].shape[0] if last else None,
        last=last.rpartition(".")[0],
    )


def _last(state: Mapping[str, Tensor], layers: list[str], is_in_order: bool) -> str:
    """Returns the name of the last layer's weights; empty where it cannot be told."""
    named = [name for name in layers if _LAST.search(name)]
    if named or is_in_order:
        return (named or layers or [""])[-1]
    # whose outputs no other layer takes
    taken = {name: state[name].shape[1] for name in layers}
    ends = [name for name in layers if state[name].shape[0] not in {taken[o] for o in layers if o != name}]
    return ends[0] if len(ends) == 1 else ""


def _channels(state: Mapping[str, Tensor], layers: list[str]) -> int | None:
    """Returns the input channels of the first convolution, where no depthwise one can be meant."""
    kernels = [state[name] for name in layers if state[name].dim() == 4]
    if not kernels or (kernels[0].shape[1] == 1 and kernels[0].shape[0] < 8):
        return None
    return kernels[0].shape[1]


def _numbered(name: str) -> list[tuple[int, int, str]]:
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part
    ]
