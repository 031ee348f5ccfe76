"""A network read: one traced pass, one operation a node, shapes without the batch.

What modules, functions and methods mean is read off one table (`operations/kinds.py`); what depends on sizes
(a view that flattens, a mean over all positions) is decided by the shapes before and after. Numbers computed
from sizes are no operations. What has no kind is `other`: it is left as it is, and nobody needs to understand
it.
"""

import operator
from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from torch import Tensor, fx, nn

from ..errors import AtollError
from ..layers.activation_grid import ActivationGrid
from ..layers.layer import Layer
from ..layers.norm import Norm
from ..layers.pooling import even_pooling, pooling
from ..layers.program import Program, run_call
from ..layers.shape import shape_said
from ..layers.structure import input_parts_of, to_meta
from ..operations.kinds import COMBINING, STAND_INS, meant, unread
from ..operations.kinds_by_shape import axes_of, bounds_of, kind_by_shape, names_sizes
from ..operations.moves import BATCH, Move, Shape, moves_of, padded_by, shuffled_by
from .graph import Graph, Operation
from .heads import heads
from .tracing import calls_of, writes_over_input

#: what is said of calls such as those that put windows of an image into the axis of the batch
_NO_IMAGES = " into another number of images"


def trace(network: nn.Module, input_shape: tuple[int, ...]) -> Graph:
    """Traces a network once and returns its graph.

    Args:
        network: adopted (`spaces.graph.adopt.adopt`) or compressed; any device.
        input_shape: (channels, height, width), (channels, length) or (features,); of a network with several
            inputs, that of the row (`spaces.layers.parts`).

    Raises:
        AtollError: where the network's forward depends on its data, or the input does not fit.
    """
    traced = calls_of(network)
    return _Reading(traced, _values(network, traced, input_shape), network).graph()


class _Reading:
    """From fx's nodes, with the value of each, to operations."""

    def __init__(self, traced: fx.Graph, values: dict[str, Any], network: nn.Module) -> None:
        self.traced, self.values, self.modules = traced, values, dict(network.named_modules())
        self.grids = network.value_grids if isinstance(network, Program) else None
        self.network = network
        self.constants: dict[str, Any] = {}
        #: node -> whether those who read it are views of what it reads itself
        self.passed_by: dict[str, bool] = {}
        #: values that are computed from the images, not from parameters alone
        self.batched: set[str] = set()
        #: value -> the one that overwrote it
        self.overwritten: dict[str, str] = {}

    def graph(self) -> Graph:
        return Graph(tuple(self._operation(node) for node in self.traced.nodes if self._is_tensor(node)))

    def _is_tensor(self, node: fx.Node) -> bool:
        """Whether a node gives a tensor, or several; sizes and numbers are no operations."""
        value = self.values[node.name]
        several = isinstance(value, tuple | list) and any(isinstance(part, Tensor) for part in value)
        whole = isinstance(value, Tensor) or several
        return node.op == "output" or (whole and not self._is_passed_by(node))

    def _is_split(self, node: fx.Node) -> bool:
        """Whether a node gives parts of a tensor, each read by itself: whoever reads one is a view."""
        module = self.modules[str(node.target)] if node.op == "call_module" else None
        splits = node.op.startswith("call_") and meant(node, module) == "split"
        return splits and all(user.target is operator.getitem for user in node.users)

    def _is_passed_by(self, node: fx.Node) -> bool:
        """Whether those who read a node are views of what it reads itself: it splits, or turns the batch.

        Queries, keys and values are such: parts along an axis that was put before the batch's.
        """
        if node.name not in self.passed_by:
            self.passed_by[node.name] = self._is_split(node) or self._turns_away(node)
        return self.passed_by[node.name]

    def _turns_away(self, node: fx.Node) -> bool:
        passed = all(self._is_view(user) or self._is_split(user) for user in node.users)
        if not self._is_view(node) or not passed:
            return False
        before = self._passed(node.all_input_nodes[0])
        if not self._is_batch(before.name):
            return False
        shape = self._shape(before.name)
        found = self._called(node, torch.empty(BATCH, *shape, device="meta"))
        return not isinstance(found, Tensor) or (*found.shape[:1], found.stride(0)) != (BATCH, prod(shape))

    def _is_batch(self, name: str) -> bool:
        """Whether a value is one of several images."""
        value = self.values[name]
        return name in self.batched and isinstance(value, Tensor) and value.shape[:1] == (BATCH,)

    def _leaves_images(self, node: fx.Node, inputs: tuple[str, ...]) -> bool:
        """Whether a call makes a value without an axis of images out of one that has it."""
        is_tensor = isinstance(self.values[node.name], Tensor) and node.op.startswith("call_")
        return is_tensor and not self._is_batch(node.name) and any(map(self._is_batch, inputs))

    def _is_view(self, node: fx.Node) -> bool:
        module = self.modules[str(node.target)] if node.op == "call_module" else None
        return node.op.startswith("call_") and meant(node, module) == "view"

    def _passed(self, node: fx.Node) -> fx.Node:
        """Returns what is read where a node is."""
        return self._passed(node.all_input_nodes[0]) if self._is_passed_by(node) else node

    def _operation(self, node: fx.Node) -> Operation:
        own = self.modules[str(node.target)] if node.op == "call_module" else None
        module = self._stand_in(node) if own is None else own
        inputs = self._inputs(node)
        if node.op == "placeholder" or self.batched.intersection(inputs):
            self.batched.add(node.name)
        if inputs and writes_over_input(node, module):
            self.overwritten[inputs[0]] = node.name
        moves = self._moves(node, own, inputs)
        kind = self._kind(node, own, inputs, moves)
        if kind == "parameter" and not writes_over_input(node, module):
            self._evaluate(node)
        if kind in ("max_pool", "avg_pool") and meant(node, own).startswith("global"):
            sizes = self._shape(inputs[0])[1:], self._shape(node.name)[1:]
            module = even_pooling(kind == "max_pool", *sizes)
        elif kind in ("max_pool", "avg_pool") and not self._has_windows(module, inputs[0], node.name):
            kind = "other"
        return Operation(
            name=node.name,
            kind=kind,
            path=str(node.target) if own is not None else "",
            module=module,
            inputs=inputs,
            shape=self._shape(node.name),
            described=_described(node, own) + (_NO_IMAGES if self._leaves_images(node, inputs) else ""),
            rigid=kind in ("flatten", "reshape") and names_sizes(node),
            numbers=bounds_of(node, own)
            if kind == "clamp"
            else self._numbers(node)
            if kind in COMBINING
            else (),
            grids=self._grids_behind(node, own),
            constant=self.constants.get(node.name),
            moves=moves or (),
            axes=axes_of(node, kind, len(self._shape(inputs[0]))) if inputs else (),
        )

    def _has_windows(self, module: Any, before: str, after: str) -> bool:
        """Whether the runtime has the windows of a pooling."""
        return pooling(module, self._shape(before)[1:], self._shape(after)[1:]) is not None

    @torch.no_grad()
    def _evaluate(self, node: fx.Node) -> None:
        """Computes what depends on parameters and buffers alone, with those of the network itself."""
        for source in filter(self._is_passed_by, node.all_input_nodes):
            self._evaluate(source)
        read = [n.name for n in node.all_input_nodes if self._is_tensor(n) or self._is_passed_by(n)]
        if not self.constants.keys() >= set(read):
            return
        known = {**self.values, **self.constants}
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda source: known[source.name])
        value = run_call(self.network, node, args, kwargs)
        self.constants[node.name] = value.detach() if isinstance(value, Tensor) else value

    def _moves(
        self, node: fx.Node, module: nn.Module | None, inputs: tuple[str, ...]
    ) -> tuple[Move, ...] | None:
        """Returns what a call does to values that it leaves as they are, None for any other."""
        kind = meant(node, module) if node.op.startswith("call_") and len(inputs) == 1 else ""
        if node.name not in self.batched or not kind or not self._is_batch(inputs[0]):
            return None
        if kind == "view":
            return moves_of(lambda x: self._called(node, x), self._shape(inputs[0]))
        if kind == "shuffle":
            return shuffled_by(module or self._stand_in(node), self._shape(inputs[0]))
        return padded_by(node, module, self._shape(inputs[0])) if kind == "pad" else None

    def _called(self, node: fx.Node, value: Tensor) -> Any:
        """Calls a node, and what it passes by, with another tensor in place of the one it reads."""

        def read(source: fx.Node) -> Any:
            if self._is_passed_by(source):
                return self._called(source, value)
            found = self.values[source.name]
            return value if isinstance(found, Tensor) else found

        return run_call(self.network, node, *fx.node.map_arg((node.args, node.kwargs), read))

    def _grids_behind(self, node: fx.Node, module: nn.Module | None) -> tuple[ActivationGrid, ...]:
        of_module = module.output_grid if isinstance(module, Layer | Norm) else None
        of_value = None if self.grids is None else self.grids.grid_of(node.name)
        return tuple(grid for grid in (of_module, of_value) if grid is not None)

    def _numbers(self, node: fx.Node) -> tuple[float | None, ...]:
        return tuple(float(given) if isinstance(given, int | float) else None for given in node.args)

    def _inputs(self, node: fx.Node) -> tuple[str, ...]:
        """Returns what a node reads, in the order of its arguments, twice what it reads twice."""
        read: list[fx.Node] = []
        arguments = heads(node.args[0], fx.Node) if node.op == "output" else (node.args, node.kwargs)
        fx.node.map_arg(arguments, read.append)
        sources = [self._passed(source) for source in read]
        return tuple(self._latest(source.name) for source in sources if self._is_tensor(source))

    def _latest(self, name: str) -> str:
        while name in self.overwritten:
            name = self.overwritten[name]
        return name

    def _shape(self, name: str) -> Shape:
        """Returns the shape of a value without the batch; a parameter's, as it meets values of one image."""
        value = self.values[name]
        if not isinstance(value, Tensor):
            return ()
        batch = name in self.batched
        if value.dim() > 1 and not batch:  # one for all images, or as many
            batch = value.shape[0] == 1 or (value.shape[0] == BATCH and value.stride(0) == 0)
        return tuple(value.shape[1:]) if batch else tuple(value.shape)

    def _stand_in(self, node: fx.Node) -> nn.Module | None:
        """Returns a module that does what a function call with settings does."""
        if node.target not in STAND_INS:
            return None
        module, names = STAND_INS[node.target]
        given = {**dict(zip(names, node.args[1:], strict=False)), **node.kwargs}
        settings = {name: value for name, value in given.items() if name in names}
        return module(**fx.node.map_arg(settings, lambda source: self.values[source.name]))

    def _kind(
        self,
        node: fx.Node,
        module: nn.Module | None,
        inputs: tuple[str, ...],
        moves: tuple[Move, ...] | None,
    ) -> str:
        if node.op in ("placeholder", "output"):
            return "input" if node.op == "placeholder" else "output"
        if node.name not in self.batched:
            return "parameter"
        value = self.values[node.name]
        if not isinstance(value, Tensor) or value.dim() == 0 or value.shape[0] != BATCH:
            return "other"
        shapes = [self._shape(name) for name in inputs]
        return kind_by_shape(node, module, shapes, self._shape(node.name), moves)


def _described(node: fx.Node, module: nn.Module | None) -> str:
    if node.op == "get_attr":
        return f"the parameter {node.target}"
    name = type(module).__name__ if module is not None else str(getattr(node.target, "__name__", node.target))
    option = unread(node, module)
    return f"{name} with {option}" if option else name


# Values on the meta device ---------------------------------------------------------------------------


def _values(network: nn.Module, traced: fx.Graph, input_shape: tuple[int, ...]) -> dict[str, Any]:
    planned = next(network.parameters(), torch.empty(0)).is_meta
    structure = network if planned else to_meta(network)
    shapes = input_parts_of(network) or (input_shape,)
    images = (torch.empty(BATCH, *shape, device="meta") for shape in shapes)
    try:
        with torch.no_grad():
            return _carried_out(structure, traced, images)
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise AtollError(
            f"the network does not take an input of {' and '.join(map(shape_said, shapes))}: {error}"
        ) from error


#: on the meta device torch takes a millisecond to say that these give the shape that they are given
_SAME_SHAPE = (nn.ReLU, nn.ReLU6)


def _carried_out(network: nn.Module, traced: fx.Graph, inputs: Iterator[Tensor]) -> dict[str, Any]:
    """Returns what every call gives, by name."""
    found: dict[str, Any] = {}
    for node in traced.nodes:
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda source: found[source.name])
        module = network.get_submodule(str(node.target)) if node.op == "call_module" else None
        if node.op in ("placeholder", "output"):
            found[node.name] = args[0] if node.op == "output" else next(inputs)
        elif args and type(module) in _SAME_SHAPE and not getattr(module, "inplace", False):
            found[node.name] = args[0].new_empty(args[0].shape)
        else:
            found[node.name] = run_call(network, node, args, kwargs)
    return found
