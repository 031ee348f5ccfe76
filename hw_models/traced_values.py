"""From a network to its values: which operations the runtime fuses, folds or runs in place."""

from collections.abc import Iterator
from dataclasses import replace
from math import prod

from torch import nn

from ..spaces.errors import AtollError
from ..spaces.graph import Graph, Operation, trace
from ..spaces.layers.cost import FLOAT_BITS, OperationCost, OperationKind
from ..spaces.layers.layer import Layer
from ..spaces.layers.norm import Norm
from ..spaces.operation_kinds import ACTIVATIONS, COMBINING, POINTWISE, hands_on
from .layer_table import Value
from .run_order import run_order

#: operations without arithmetic, that share their input's memory
_VIEWS = ("identity", "channels_last_flatten", "reshape")
#: what the runtime computes together with a ReLU that alone reads it
_RECTIFYING = ("layer", "norm", "add", "multiply")
#: run in place where their first input dies and is as large as the result
_ELEMENTWISE = (*POINTWISE, *COMBINING)
_KINDS: dict[str, OperationKind] = {
    **dict.fromkeys(_ELEMENTWISE, "elementwise"),
    "softmax": "elementwise",
    "max_pool": "pool",
    "avg_pool": "pool",
    "global_avg_pool": "pool",
    "global_max_pool": "pool",
    "concatenate": "move",
    "upsample": "move",
    "expand": "move",
    "flatten": "move",  # channels last in the runtime: torch's order needs a transpose first
}


def traced_values(
    network: nn.Module, input_shape: tuple[int, int, int], as_written: bool = False
) -> list[Value]:
    """Traces a network and returns its values as the runtime computes them.

    A ReLU behind a layer, a norm, a sum or a product is fused into it, a norm directly behind a layer is
    folded into its weights (what stays is a bias), a norm elsewhere is one scale-and-shift, a 1x1 depthwise
    convolution, behind a pooling where it can be. Maps of one position are flattened for nothing.

    Args:
        network: adopted or compressed.
        input_shape: (channels, height, width).
        as_written: leave normalisations where the network has them, as other converters do.

    Raises:
        AtollError: for operations that are not supported.
    """
    graph = trace(network, input_shape)
    _check_kinds(graph)
    graph = graph if as_written else run_order(graph)
    values: dict[str, Value] = {}
    #: value of the graph -> value that stands for it
    stands_for: dict[str, str] = {}
    for operation in graph.operations:
        if operation.kind == "output":
            continue
        inputs = tuple(stands_for[name] for name in operation.inputs)
        fused = _fused(graph, operation, values, inputs)
        value = _value(graph, operation, inputs, values) if fused is None else fused
        values[value.name] = value
        stands_for[operation.name] = value.name
    for name in {stands_for[output] for output in graph.outputs}:
        values[name] = replace(values[name], output=True)
    return list(_with_input_bits(values, graph))


def _check_kinds(graph: Graph) -> None:
    """Refuses a network with operations that nothing prices; the message lists all of them."""
    priced = {"layer", "norm", *_KINDS, *_VIEWS}
    found = [
        operation for operation in graph.operations if operation.kind not in (*priced, "input", "output")
    ]
    if found:
        named = ", ".join(f"{(one.described or one.kind)!r} at {one.path or one.name}" for one in found)
        raise AtollError(
            f"operation{'s' if len(found) > 1 else ''} {named}: allowed are {', '.join(sorted(priced))}"
        )


def _fused(
    graph: Graph, operation: Operation, values: dict[str, Value], inputs: tuple[str, ...]
) -> Value | None:
    """Returns the value before with the operation taken into it, or None where it runs by itself."""
    if operation.kind not in ("relu", "relu6", "norm"):
        return None
    source = graph[operation.inputs[0]]
    if len(graph.consumers(source.name)) != 1:
        return None
    before = values[inputs[0]]
    if operation.kind == "norm" and source.kind == "layer":
        *others, last = before.costs
        folded = replace(last, bias_elements=max(last.bias_elements, prod(before.shape[:1])))
        return replace(before, costs=(*others, folded))
    if operation.kind != "norm" and source.kind in _RECTIFYING and before.costs:
        return before
    return None


def _bits(graph: Graph, operation: Operation, before: int) -> int:
    """Returns the width of a value: of its grid, or that behind an activation that the same kernel computes.

    Args:
        before: width of what the operation reads, which some hand on.
    """
    if hands_on(operation.kind, operation.module):
        return before
    reader = graph.only_reader(operation)
    behind = reader.grids if reader is not None and reader.kind in ACTIVATIONS else ()
    return min((grid.bits for grid in (*operation.grids, *behind)), default=FLOAT_BITS)


def _value(graph: Graph, operation: Operation, inputs: tuple[str, ...], values: dict[str, Value]) -> Value:
    if operation.kind == "input":
        return Value(operation.name, "", (), operation.shape, _bits(graph, operation, FLOAT_BITS))
    sources = [values[name] for name in inputs]
    before = max(source.bits for source in sources)
    flat = operation.kind == "flatten" and prod(sources[0].shape[1:]) == 1
    if operation.kind in _VIEWS or flat:
        return Value(operation.name, operation.path, inputs, operation.shape, before, view=True)
    bits = _bits(graph, operation, before)
    if operation.kind in ("layer", "norm"):
        costs = tuple(_module_costs(operation, sources[0].shape, bits))
        own_bits = costs[-1].activation_bits
        # a norm too: it ships as a 1x1 depthwise convolution, which does not run in place
        return Value(operation.name, operation.path, inputs, operation.shape, own_bits, costs)
    cost = OperationCost(
        kind=_KINDS[operation.kind],
        input_elements=sum(prod(source.shape) for source in sources),
        output_elements=prod(operation.shape),
        activation_bits=bits,
        compute="int8" if bits == 8 else "float32",
        operation=operation.kind,
    )
    in_place = operation.kind in _ELEMENTWISE and sources[0].shape == operation.shape
    return Value(operation.name, operation.path, inputs, operation.shape, bits, (cost,), in_place)


def _module_costs(operation: Operation, input_shape: tuple[int, ...], bits: int) -> list[OperationCost]:
    module = operation.module
    if isinstance(module, Layer):
        before = module.input_costs(input_shape)
        return [*before, *module.costs(input_shape, operation.shape)]
    assert isinstance(module, Norm)
    return module.costs(input_shape, operation.shape, bits)


def _with_input_bits(values: dict[str, Value], graph: Graph) -> Iterator[Value]:
    """Gives the network's input the width of the grids that its readers put on it, where it has none."""
    for name, value in values.items():
        if not value.inputs and value.bits == FLOAT_BITS:
            readers = graph.consumers(name)
            found = [getattr(reader.module, "input_grid", None) for reader in readers]
            grids = [grid for grid in found if grid is not None]
            if grids and len(grids) == len(readers):
                yield replace(value, bits=max(grid.bits for grid in grids))
                continue
        yield value
