"""A network from a file of torch.export: the one place where such a file is read."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from ..errors import AtollError
from ..layers.program import Program
from .front_end import quiet
from .reading import Constant, Reading, Site

#: what a tensor that stands in the code goes through
_PASS_ON = ("lift_fresh", "lift_fresh_copy", "detach", "detach_", "alias", "clone")
_HOW = "torch.export.export(network, (images,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))"


def load_exported(path: Path) -> tuple[Program, tuple[int, ...]]:
    """Returns the network of a `.pt2` file, as its calls, and the shape of its input without the batch.

    **This runs code that the file brings along**: torch unpickles parts of it. Call it with a path that the
    user named for this purpose, never with one that a store, a card or another file names.

    Args:
        path: written by `torch.export.save`, with a batch of any size.

    Raises:
        AtollError: it is no such file, or takes one size of the batch only, or more than one tensor.
    """
    try:
        with quiet():
            found = torch.export.load(path)
    except Exception as error:  # torch raises of every kind
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise AtollError(f"{path} is no file of torch.export.save that this torch reads: {said}") from error
    program = Reading(found, nn.Module(), batch=0).program(_as_it_is)
    return program, _input_shape(found, path)


def _as_it_is(site: Site) -> Any:
    """Returns the call that was exported."""
    first = next(iter(site.given.values()), None)
    if site.operation in _PASS_ON and isinstance(first, Constant):  # a number by now
        return first
    values = torch.fx.node.map_arg((site.node.args, dict(site.node.kwargs)), site.reading.value_of)
    args, kwargs = site.reading.as_nodes(values)
    return site.reading.calls.call_function(site.node.target, args, kwargs)  # type: ignore[arg-type]


def _input_shape(found: ExportedProgram, path: Path) -> tuple[int, ...]:
    inputs = set(found.graph_signature.user_inputs)
    shapes = [tuple(node.meta["val"].shape) for node in found.graph.nodes if node.name in inputs]
    if len(shapes) != 1:
        raise AtollError(f"{path}: got a network of {len(shapes)} inputs, allowed is one tensor")
    (batch, *sizes), fixed = shapes[0], [size for size in shapes[0] if isinstance(size, int)]
    if isinstance(batch, int) or len(fixed) != len(sizes):
        raise AtollError(
            f"{path}: got inputs of {tuple(map(str, shapes[0]))}, allowed is any number of images of one "
            f"size; export it with {_HOW}"
        )
    return tuple(sizes)
