"""An adopted network's graph as JSON, and the network from it, on the meta device."""

from typing import Any

import torch
from torch import fx, nn

from ..errors import AtollError
from ..graph.tracing import trace_calls
from ..layers.parts import LARGEST_ROW, row_shape
from ..layers.program import Program, ValueGrids
from ..layers.scaling import Scaling
from ..layers.shape import InputShape
from ..layers.structure import input_parts_of, input_shape_of, never_called, scaling_of
from ..outside.foreign_file import damage_told
from .calls import calls_json, calls_of_json
from .modules import is_leaf, modules_json, modules_of_json

#: version of the form
GRAPH_FORMAT = 1
#: a camera of 200 megapixels has sides of 16,384; a vector of features one channel a feature
LARGEST_SIDE = 2**20


def graph_json(network: nn.Module) -> dict[str, Any]:
    """Returns a network's operations, options, sizes and layers in JSON's own types, without weights.

    Args:
        network: adopted, or compressed since.

    Raises:
        AtollError: it makes a call that has no name here (it has no price either).
    """
    modules, tensors = modules_json(network)
    parts = input_parts_of(network)
    written = {
        "format": GRAPH_FORMAT,
        "input_shape": list(input_shape_of(network)),
        **({"input_parts": [list(shape) for shape in parts]} if parts else {}),
        "scaling": scaling_of(network).to_json(),
        "modules": modules,
        "tensors": tensors,
        "calls": calls_json(network.calls if isinstance(network, Program) else _evaluated(network)),
        "never_called": sorted(never_called(network)),
    }
    if isinstance(network, Program) and network.value_grids.roundings:
        written["value_grids"] = network.value_grids.spec()
    return written


def _evaluated(network: nn.Module) -> fx.Graph:
    """Returns the calls that evaluation makes; the network's mode stays."""
    were = {module: module.training for module in network.modules()}
    try:
        return trace_calls(network.eval())
    finally:
        for module, training in were.items():
            module.training = training


def network_of_json(written: Any) -> Program:
    """Returns the network that `graph_json` wrote, on the meta device and in evaluation mode.

    Nothing of it is run: it is put together from layers, modules and functions that are listed.

    Args:
        written: what may have been made by somebody else.

    Raises:
        AtollError: it is none.
    """
    if not isinstance(written, dict) or written.get("format") != GRAPH_FORMAT:
        got = written.get("format") if isinstance(written, dict) else written
        raise AtollError(f"got a graph of format {got!r:.80}, allowed is {GRAPH_FORMAT}")
    with damage_told("the graph is none"):
        return _network(written)


def _network(written: dict[str, Any]) -> Program:
    root = modules_of_json(written["modules"], written["tensors"])
    paths = dict(root.named_modules(remove_duplicate=False))
    leaves = frozenset(path for path, module in paths.items() if path and is_leaf(module))
    held = (*root.named_parameters(remove_duplicate=False), *root.named_buffers(remove_duplicate=False))
    network = Program(root, calls_of_json(written["calls"], leaves, frozenset(path for path, _ in held)))
    if "value_grids" in written:
        network.value_grids = ValueGrids.from_spec(written["value_grids"], torch.device("meta"))
    parts = tuple(map(_shape, written.get("input_parts", [])))
    shape = _shape(written["input_shape"], LARGEST_ROW if parts else LARGEST_SIDE)
    inputs = sum(node.op == "placeholder" for node in network.calls.nodes)
    if inputs != max(1, len(parts)) or (parts and row_shape(parts) != shape):
        raise AtollError(f"got calls of {inputs} inputs and {parts!r:.80} as their shapes, in {shape}")
    idle = written["never_called"]
    if not isinstance(idle, list) or not set(idle) <= leaves:
        raise AtollError(f"got {idle!r:.80} as what is never called, allowed are paths of layers")
    network.input_shape = shape  # type: ignore[assignment]
    scaling = Scaling.from_json(written["scaling"])
    scaling.check_fits(shape)
    network.input_scaling = scaling  # type: ignore[assignment]
    network.never_called = frozenset(idle)  # type: ignore[assignment]
    if parts:
        network.input_parts = parts
    return network.eval()


def _shape(written: Any, most: int = LARGEST_SIDE) -> InputShape:
    """Returns the shape of one input, or of the row of several."""
    sizes = written if isinstance(written, list) else []
    if not 1 <= len(sizes) <= 3 or any(type(one) is not int or not 1 <= one <= most for one in sizes):
        raise AtollError(f"got inputs of {written!r:.80}, allowed are one to three sizes up to {most:,}")
    return tuple(sizes)
