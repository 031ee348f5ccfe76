"""A student cut out of a trained network of the same make."""

from copy import deepcopy

import torch
from torch import nn

from ..layers.layer import Layer
from ..layers.structure import input_shape_of, structure
from .groups import channel_groups, group_importance, keep_channels


def cut_student(network: nn.Module, student: nn.Module) -> bool:
    """Fills a student with the most important channels of a trained network, in place, if it can.

    Cut out of the trained network, the papers' compact student came within 2 points of it; trained from
    scratch for six epochs it stayed 9 to 25 points behind (own measurement, 2026).

    Args:
        network: the trained network.
        student: a network with layers of the same names and kinds, and at most as many channels in each.

    Returns:
        whether the student is of the same make; left as it was otherwise.
    """
    cut = deepcopy(network)
    theirs = dict(student.named_modules())
    for group in channel_groups(cut, input_shape_of(network)):
        if group.fixed:
            continue
        sizes = {_outputs(theirs.get(path)) for path in group.makers}
        size = sizes.pop() if len(sizes) == 1 else None
        if size is None or size > group.size or size % group.block:
            return False
        keep_channels(cut, group, group.largest(group_importance(cut, group), size))
    if structure(cut) != structure(student) or _shapes(cut) != _shapes(student):
        return False
    with torch.no_grad():
        student.load_state_dict(cut.state_dict())
    return True


def _outputs(module: nn.Module | None) -> int | None:
    return module.outputs if isinstance(module, Layer) else None


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    """Returns the shape of every tensor, those of modules that are not ours included."""
    return {name: tensor.shape for name, tensor in network.state_dict().items()}
