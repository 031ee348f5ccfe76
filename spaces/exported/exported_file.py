"""A network from a file of torch.export: the one place where such a file is read."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from ..errors import AtollError
from ..layers.parts import Parts
from ..layers.program import Program
from .front_end import quiet
from .reading import Constant, Reading, Site

#: what a tensor that stands in the code goes through
_PASS_ON = ("lift_fresh", "lift_fresh_copy", "detach", "detach_", "alias", "clone")
_HOW = "torch.export.export(network, (images,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))"


def load_exported(path: Path) -> tuple[Program, Parts]:
    """Returns the network of a `.pt2` file, as its calls, and the shapes of its inputs without the batch.

    **This runs code that the file brings along**: torch unpickles parts of it. Call it with a path that the
    user named for this purpose, never with one that a store, a card or another file names.

    Args:
        path: written by `torch.export.save`, with a batch of any size.

    Raises:
        AtollError: it is no such file, or takes one size of the batch only.
    """
    try:
        with quiet():
            found = torch.export.load(path)
    except Exception as error:  # torch raises of every kind
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise AtollError(f"{path} is no file of torch.export.save that this torch reads: {said}") from error
    program = Reading(found, nn.Module(), batch=0).program(_as_it_is)
    return program, _shapes(found, path)


def _as_it_is(site: Site) -> Any:
    """Returns the call that was exported."""
    first = next(iter(site.given.values()), None)
    if site.operation in _PASS_ON and isinstance(first, Constant):  # a number by now
        return first
    values = torch.fx.node.map_arg((site.node.args, dict(site.node.kwargs)), site.reading.value_of)
    args, kwargs = site.reading.as_nodes(values)
    return site.reading.calls.call_function(site.node.target, args, kwargs)  # type: ignore[arg-type]


def _shapes(found: ExportedProgram, path: Path) -> Parts:
    inputs = set(found.graph_signature.user_inputs)
    values = [node.meta["val"] for node in found.graph.nodes if node.name in inputs]
    shapes = [tuple(value.shape) for value in values if isinstance(value, Tensor)]
    for batch, *sizes in shapes:
        if isinstance(batch, int) or not all(isinstance(size, int) for size in sizes):
            raise AtollError(
                f"{path}: got inputs of {(str(batch), *map(str, sizes))}, allowed is any number of images of "
                f"one size; export it with {_HOW}"
            )
    if not shapes:
        raise AtollError(f"{path}: got a network without an input, allowed is one tensor or more")
    return tuple(tuple(sizes) for _, *sizes in shapes)
