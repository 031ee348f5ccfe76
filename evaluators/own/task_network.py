"""The network that a task names, with its weights, adopted."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...spaces.errors import AtollError
from ...spaces.graph.adopt import adopt
from ...spaces.layers.parts import Parts
from ...spaces.layers.scaling import Scaling
from ...spaces.layers.shape import InputShape
from ..tasks.user_code import UserCode
from .mistake import told_at
from .network_source import build
from .new_head import put_head, without_head
from .task import Task
from .transformers_network import Logits
from .weights_file import fill, read_weights, without_prefix


def task_network(
    task: Task, folder: Path, shape: InputShape | Parts, classes: int, scaling: Scaling
) -> tuple[nn.Module, str | None]:
    """Returns a task's network in evaluation mode, and the name of its head where that is new.

    Args:
        task: names network and weights.
        folder: that paths are relative to.
        shape: of one input; of several, a tuple of such.
        classes: how many the data have, or numbers a target; 0 where they do not tell.
        scaling: what makes of stored inputs what the network takes.

    Raises:
        AtollError: there is no such network, or its weights do not fit.
    """
    with told_at("network"):
        made = task.network
        if isinstance(made, str):
            made = build(made, task.arguments, UserCode(folder), classes, shape)
        elif task.head is not None:
            made = deepcopy(made)  # its user keeps the old head
        if isinstance(made, torch.jit.ScriptModule):
            raise AtollError(
                f"{label_of(task.network)} is a program of TorchScript, allowed is the module that it was "
                "made of; without that, export it by torch.export to a .pt2 file"
            )
        made = getattr(made, "_orig_mod", made)  # what torch.compile was given
    head = None
    if task.head is not None:
        with told_at("head"):
            head = put_head(made, classes)
    if task.weights is not None:
        with told_at("weights"):
            state = read_weights(folder / task.weights)
            if isinstance(made, Logits):
                state = made.in_own_names(state)
            state = without_prefix(state, made.state_dict())
            fill(made, state if head is None else without_head(state, head, made), f"weights {task.weights}")
    with told_at("network"), UserCode(folder).running(label_of(task.network)):  # its forward runs
        return adopt(made.float(), shape, scaling).eval(), head


def label_of(what: Any) -> str:
    """Returns what reports call a network or a function."""
    if isinstance(what, str):
        return what
    return getattr(what, "__qualname__", type(what).__name__)
