"""The graph of a network: one traced pass, one operation a node, shapes without the batch."""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from .errors import AtollError
from .layers.flatten import ChannelsLastFlatten
from .layers.layer import Layer
from .layers.norm import Norm
from .layers.structure import to_meta

#: module type -> operation kind
_MODULES: tuple[tuple[type[nn.Module], str], ...] = (
    (Layer, "layer"),
    (Norm, "norm"),
    (ChannelsLastFlatten, "channels_last_flatten"),
    (nn.Flatten, "flatten"),
    (nn.ReLU, "relu"),
    (nn.ReLU6, "relu6"),
    (nn.MaxPool2d, "max_pool"),
    (nn.AvgPool2d, "avg_pool"),
    (nn.AdaptiveAvgPool2d, "global_avg_pool"),
    (nn.Identity, "identity"),
    (nn.Dropout, "identity"),
)
_FUNCTIONS: tuple[tuple[Callable[..., Any] | str, str], ...] = (
    (operator.add, "add"),
    (torch.add, "add"),
    (operator.iadd, "add"),
    (torch.flatten, "flatten"),
    ("flatten", "flatten"),
    (torch.relu, "relu"),
    ("relu", "relu"),
    (nn.functional.relu, "relu"),
    (torch.cat, "concatenate"),
)


@dataclass(frozen=True)
class Operation:
    """One operation of the network.

    Args:
        name: name of the value that it makes, unique.
        kind: input, layer, norm, relu, relu6, max_pool, avg_pool, global_avg_pool, flatten,
            channels_last_flatten, add, concatenate, identity, output, or other.
        path: dotted name of the module, empty for functions.
        module: the module that runs, None for functions.
        inputs: names of the values that it reads.
        shape: shape of its value without the batch: (C, H, W) or (features,).
        described: what it is, for messages about kinds that are not supported.
    """

    name: str
    kind: str
    path: str
    module: nn.Module | None
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    described: str = ""


@dataclass(frozen=True)
class Graph:
    """Operations in the order of execution."""

    operations: tuple[Operation, ...]
    _by_name: dict[str, Operation] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        self._by_name.update({operation.name: operation for operation in self.operations})

    def __getitem__(self, name: str) -> Operation:
        return self._by_name[name]

    def consumers(self, name: str) -> list[Operation]:
        """Returns the operations that read a value."""
        return [operation for operation in self.operations if name in operation.inputs]

    def input_shapes(self, operation: Operation) -> list[tuple[int, ...]]:
        """Returns the shapes of the values that an operation reads."""
        return [self[name].shape for name in operation.inputs]


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, path: str) -> bool:
        return any(isinstance(module, known) for known, _ in _MODULES) or super().is_leaf_module(module, path)


def trace(network: nn.Module, input_shape: tuple[int, int, int]) -> Graph:
    """Traces a network once and returns its graph.

    Args:
        network: adopted (`layers.structure.adopt`) or compressed; any device.
        input_shape: (channels, height, width).

    Raises:
        AtollError: where the network's forward depends on its data, or the input does not fit.
    """
    try:
        traced = _Tracer().trace(network)
    except (fx.proxy.TraceError, TypeError, RuntimeError) as error:
        raise AtollError(
            f"the network cannot be traced: its forward depends on the data it sees ({error}); "
            "allowed is a forward without control flow over tensors"
        ) from error
    _check_one_head(traced)
    shapes = _shapes(network, traced, input_shape)
    modules = dict(network.named_modules())
    operations = []
    for node in traced.nodes:
        module = modules[node.target] if node.op == "call_module" else None
        operations.append(
            Operation(
                name=node.name,
                kind=_kind(node, module),
                path=node.target if module is not None else "",
                module=module,
                inputs=tuple(source.name for source in node.all_input_nodes),
                shape=shapes[node.name],
                described=type(module).__name__ if module is not None else str(node.target),
            )
        )
    return Graph(tuple(operations))


def _check_one_head(traced: fx.Graph) -> None:
    inputs = sum(node.op == "placeholder" for node in traced.nodes)
    (returned,) = (node.args[0] for node in traced.nodes if node.op == "output")
    if inputs != 1 or not isinstance(returned, fx.Node):
        what = f"{inputs} inputs" if inputs != 1 else f"an output of type {type(returned).__name__}"
        raise AtollError(f"got a network with {what}, allowed is one image tensor in and one tensor out")


def _kind(node: fx.Node, module: nn.Module | None) -> str:
    if node.op == "placeholder":
        return "input"
    if node.op == "output":
        return "output"
    if module is not None:
        return next((kind for known, kind in _MODULES if isinstance(module, known)), "other")
    return next((kind for known, kind in _FUNCTIONS if known == node.target), "other")


class _Shapes(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        self.found[n.name] = tuple(value.shape[1:]) if isinstance(value, torch.Tensor) else ()
        return value


def _shapes(
    network: nn.Module, traced: fx.Graph, input_shape: tuple[int, int, int]
) -> dict[str, tuple[int, ...]]:
    planned = next(network.parameters(), torch.empty(0)).is_meta
    structure = network if planned else to_meta(network)
    interpreter = _Shapes(fx.GraphModule(structure, traced))
    try:
        with torch.no_grad():
            interpreter.run(torch.empty(1, *input_shape, device="meta"))
    except RuntimeError as error:
        size = "x".join(str(n) for n in (*input_shape[1:], input_shape[0]))
        raise AtollError(
            f"the network does not take an input of {size} (height x width x channels): {error}"
        ) from error
    return interpreter.found
