"""The graph of a network: one traced pass, one operation a node, shapes without the batch.

What modules, functions and methods mean is read off one table (`_KINDS`); what depends on sizes (a view that
flattens, a mean over all positions) is decided by the shapes before and after. Numbers computed from sizes
are no operations. What has no kind is `other`: it is left as it is, and nobody needs to understand it.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from .errors import AtollError
from .heads import heads
from .layers.combine import Add, Concatenate, Multiply
from .layers.flatten import ChannelsLastFlatten
from .layers.layer import Layer
from .layers.norm import Norm
from .layers.structure import to_meta

#: images in the traced batch: with two, what lost its batch dimension shows
_BATCH = 2
Shape = tuple[int, ...]

#: operation kind -> the module types, functions and names of methods that mean it
_KINDS: dict[str, tuple[Any, ...]] = {
    "layer": (Layer,),
    "norm": (Norm,),
    "channels_last_flatten": (ChannelsLastFlatten,),
    "identity": (
        nn.Identity, nn.Dropout, nn.Dropout2d, F.dropout, F.dropout2d, "contiguous", "clone",
    ),
    # one value from one value
    "relu": (nn.ReLU, F.relu, torch.relu, "relu", "relu_"),
    "relu6": (nn.ReLU6, F.relu6),
    "leaky_relu": (nn.LeakyReLU, F.leaky_relu),
    "elu": (nn.ELU, F.elu),
    "gelu": (nn.GELU, F.gelu),
    "sigmoid": (nn.Sigmoid, F.sigmoid, torch.sigmoid, "sigmoid", "sigmoid_"),
    "hard_sigmoid": (nn.Hardsigmoid, F.hardsigmoid),
    "silu": (nn.SiLU, F.silu),
    "hard_swish": (nn.Hardswish, F.hardswish),
    "tanh": (nn.Tanh, F.tanh, torch.tanh, "tanh", "tanh_"),
    # one value from two
    "add": (Add, operator.add, operator.iadd, torch.add, "add", "add_"),
    "subtract": (operator.sub, operator.isub, torch.sub, torch.subtract, "sub", "sub_"),
    "multiply": (Multiply, operator.mul, operator.imul, torch.mul, torch.multiply, "mul", "mul_"),
    "divide": (operator.truediv, operator.itruediv, torch.div, torch.divide, "div", "div_"),
    # over windows of each channel
    "max_pool": (nn.MaxPool2d, F.max_pool2d),
    "avg_pool": (nn.AvgPool2d, F.avg_pool2d),
    "global_avg_pool": (nn.AdaptiveAvgPool2d, F.adaptive_avg_pool2d),
    "global_max_pool": (nn.AdaptiveMaxPool2d, F.adaptive_max_pool2d),
    "mean": (torch.mean, "mean"),
    "upsample": (nn.Upsample, F.interpolate),
    # over channels
    "softmax": (nn.Softmax, F.softmax, torch.softmax, "softmax"),
    "concatenate": (Concatenate, torch.cat, torch.concat, torch.concatenate),
    # the same values in another shape
    "flatten": (
        nn.Flatten, torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze,
        "flatten", "reshape", "view", "squeeze", "unsqueeze",
    ),
    "expand": ("expand_as",),
}  # fmt: skip
#: functions of one value, the same for every element
POINTWISE = (
    "relu", "relu6", "leaky_relu", "elu", "gelu", "sigmoid", "hard_sigmoid", "silu", "hard_swish", "tanh",
)  # fmt: skip
#: element by element from two values, or one value and a number
COMBINING = ("add", "subtract", "multiply", "divide")

#: functions with settings -> the module that stands for a call, and what its arguments are called there
_STAND_INS: dict[Any, tuple[type[nn.Module], tuple[str, ...]]] = {
    F.max_pool2d: (
        nn.MaxPool2d, ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    ),
    F.avg_pool2d: (
        nn.AvgPool2d,
        ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    ),
    F.adaptive_avg_pool2d: (nn.AdaptiveAvgPool2d, ("output_size",)),
    F.adaptive_max_pool2d: (nn.AdaptiveMaxPool2d, ("output_size", "return_indices")),
    F.leaky_relu: (nn.LeakyReLU, ("negative_slope", "inplace")),
    F.elu: (nn.ELU, ("alpha", "inplace")),
    F.softmax: (nn.Softmax, ("dim",)),
    torch.softmax: (nn.Softmax, ("dim",)),
    "softmax": (nn.Softmax, ("dim",)),
}  # fmt: skip

_MODULES = tuple((t, kind) for kind, meant in _KINDS.items() for t in meant if isinstance(t, type))
_CALLS = {call: kind for kind, meant in _KINDS.items() for call in meant if not isinstance(call, type)}


@dataclass(frozen=True)
class Operation:
    """One operation of the network.

    Args:
        name: name of the value that it makes, unique.
        kind: a key of the table above, `reshape` (channels stay channels), `input`, `parameter`, `output`,
            or `other`.
        path: dotted name of the module, empty for functions.
        module: the module that runs; for functions with settings one that does the same, else None.
        inputs: names of the values that it reads, in the order of its arguments.
        shape: shape of its value without the batch: (C, H, W) or (features,).
        described: what it is, for messages about kinds that are not supported.
        rigid: whether the network's code names the number of channels of its result.
    """

    name: str
    kind: str
    path: str
    module: nn.Module | None
    inputs: tuple[str, ...]
    shape: Shape
    described: str = ""
    rigid: bool = False


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

    def input_shapes(self, operation: Operation) -> list[Shape]:
        """Returns the shapes of the values that an operation reads."""
        return [self[name].shape for name in operation.inputs]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the values that the network returns, in its order."""
        return self.operations[-1].inputs


class _Proxy(fx.Proxy):
    """Tells `a += b`, which changes `a` for whoever has it, from `a = a + b`; torch's own proxy does not."""

    def __iadd__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.iadd, other)

    def __isub__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.isub, other)

    def __imul__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.imul, other)

    def __itruediv__(self, other: Any) -> fx.Proxy:
        return self._in_place(operator.itruediv, other)

    def _in_place(self, function: Callable[..., Any], other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", function, (self, other), {})


class _Tracer(fx.Tracer):
    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

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
    placeholders = sum(node.op == "placeholder" for node in traced.nodes)
    if placeholders != 1:
        raise AtollError(f"got a network with {placeholders} inputs, allowed is one image tensor in")
    return _Reading(traced, _values(network, traced, input_shape), dict(network.named_modules())).graph()


class _Reading:
    """From fx's nodes, with the value of each, to operations."""

    def __init__(self, traced: fx.Graph, values: dict[str, Any], modules: dict[str, nn.Module]) -> None:
        self.traced, self.values, self.modules = traced, values, modules
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
        return node.op == "output" or several or isinstance(value, Tensor)

    def _operation(self, node: fx.Node) -> Operation:
        own = self.modules[str(node.target)] if node.op == "call_module" else None
        module = self._stand_in(node) if own is None else own
        inputs = self._inputs(node)
        if node.op == "placeholder" or self.batched.intersection(inputs):
            self.batched.add(node.name)
        if inputs and _in_place(node, module):
            self.overwritten[inputs[0]] = node.name
        kind = self._kind(node, own, inputs)
        return Operation(
            name=node.name,
            kind=kind,
            path=str(node.target) if own is not None else "",
            module=module,
            inputs=inputs,
            shape=self._shape(node.name),
            described=_described(node, own),
            rigid=kind in ("flatten", "reshape") and _names_sizes(node),
        )

    def _inputs(self, node: fx.Node) -> tuple[str, ...]:
        """Returns what a node reads, in the order of its arguments, twice what it reads twice."""
        read: list[fx.Node] = []
        arguments = heads(node.args[0], fx.Node) if node.op == "output" else (node.args, node.kwargs)
        fx.node.map_arg(arguments, read.append)
        return tuple(self._latest(source.name) for source in read if self._is_tensor(source))

    def _latest(self, name: str) -> str:
        while name in self.overwritten:
            name = self.overwritten[name]
        return name

    def _shape(self, name: str) -> Shape:
        """Returns the shape of a value without the batch; a parameter's, as it meets values of one image."""
        value = self.values[name]
        if not isinstance(value, Tensor):
            return ()
        batch = name in self.batched or (value.dim() > 1 and value.shape[0] == 1)
        return tuple(value.shape[1:]) if batch else tuple(value.shape)

    def _stand_in(self, node: fx.Node) -> nn.Module | None:
        """Returns a module that does what a function call with settings does."""
        if node.target not in _STAND_INS:
            return None
        module, names = _STAND_INS[node.target]
        given = {**dict(zip(names, node.args[1:], strict=False)), **node.kwargs}
        settings = {name: value for name, value in given.items() if name in names}
        return module(**fx.node.map_arg(settings, lambda source: self.values[source.name]))

    def _kind(self, node: fx.Node, module: nn.Module | None, inputs: tuple[str, ...]) -> str:
        if node.op in ("placeholder", "output"):
            return "input" if node.op == "placeholder" else "output"
        if node.name not in self.batched:
            return "parameter"
        value = self.values[node.name]
        if not isinstance(value, Tensor) or value.dim() == 0 or value.shape[0] != _BATCH:
            return "other"
        if module is not None:
            kind = next((kind for known, kind in _MODULES if isinstance(module, known)), "other")
        else:
            kind = _CALLS.get(node.target, "other")
        if kind not in _BY_SHAPE or isinstance(module, Add | Multiply | Concatenate):
            return kind
        return _BY_SHAPE[kind](node, [self._shape(name) for name in inputs], self._shape(node.name))


def _in_place(node: fx.Node, module: nn.Module | None) -> bool:
    """Whether an operation writes over its first input: who reads that later reads the result."""
    method = node.op == "call_method" and str(node.target).endswith("_")
    assignment = node.target in (operator.iadd, operator.isub, operator.imul, operator.itruediv)
    return method or assignment or bool(getattr(module, "inplace", node.kwargs.get("inplace", False)))


# What depends on sizes -------------------------------------------------------------------------------


def _combining(node: fx.Node, shapes: list[Shape], _: Shape) -> str:
    """Element by element, without further settings and without numbers that depend on sizes."""
    plain = len(node.args) == 2 and not node.kwargs
    numbers = sum(isinstance(argument, int | float) for argument in node.args)
    return _CALLS[node.target] if plain and len(shapes) + numbers == 2 else "other"


def _reshaping(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    before = shapes[0]
    if shape == before:
        return "identity"
    if len(shape) == 1 and shape[0] == torch.Size(before).numel():
        return "flatten"
    return "reshape" if shape and before and shape[0] == before[0] else "other"


def _averaging(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """A mean over height and width, and over nothing else."""
    (before,) = shapes
    over = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    axes = {axis % 4 for axis in over} if isinstance(over, tuple | list) and len(before) == 3 else set()
    return "global_avg_pool" if axes == {2, 3} else "other"


def _concatenating(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """Along channels or features."""
    alike = all(before[1:] == shape[1:] for before in shapes)
    return "concatenate" if alike and sum(before[0] for before in shapes) == shape[0] else "other"


def _expanding(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """Over height and width."""
    same = len(shapes[0]) == len(shape) and shapes[0][0] == shape[0]
    return "expand" if same else "other"


def _upsampling(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    return "upsample" if len(shape) == 3 else "other"


#: kinds that shapes decide: (node, shapes read, shape made) -> kind
_BY_SHAPE: dict[str, Callable[[fx.Node, list[Shape], Shape], str]] = {
    **dict.fromkeys(COMBINING, _combining),
    "flatten": _reshaping,
    "mean": _averaging,
    "concatenate": _concatenating,
    "expand": _expanding,
    "upsample": _upsampling,
}


def _names_sizes(node: fx.Node) -> bool:
    """Whether a reshaping call has a size of its result, other than 1, written as a number."""
    if node.target not in ("view", "reshape", torch.reshape):
        return False
    sizes: list[Any] = []
    for argument in (*node.args[1:], *node.kwargs.values()):
        sizes.extend(argument if isinstance(argument, tuple | list) else (argument,))
    return any(isinstance(size, int) and size not in (-1, 1) for size in sizes[1:])


def _described(node: fx.Node, module: nn.Module | None) -> str:
    if module is not None:
        return type(module).__name__
    if node.op == "get_attr":
        return f"the parameter {node.target}"
    return str(getattr(node.target, "__name__", node.target))


# Values on the meta device ---------------------------------------------------------------------------


class _Values(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[str, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.found[n.name] = super().run_node(n)
        return self.found[n.name]


def _values(network: nn.Module, traced: fx.Graph, input_shape: tuple[int, int, int]) -> dict[str, Any]:
    planned = next(network.parameters(), torch.empty(0)).is_meta
    structure = network if planned else to_meta(network)
    interpreter = _Values(fx.GraphModule(structure, traced))
    try:
        with torch.no_grad():
            interpreter.run(torch.empty(_BATCH, *input_shape, device="meta"))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        size = "x".join(str(n) for n in (*input_shape[1:], input_shape[0]))
        raise AtollError(
            f"the network does not take an input of {size} (height x width x channels): {error}"
        ) from error
    return interpreter.found
