"""Lowers a network to the bytes of a ``.tflite`` file.

One pass over the traced graph. Activations are fused into the layers before them; a normalisation directly
behind a dense layer or convolution is folded into its scales and bias, any other becomes a scale-and-shift;
flattening costs nothing where the next layer can read the maps as they lie. int8 and float parts meet in
QUANTIZE and DEQUANTIZE. A layer runs on int8 activations where its input and output have grids and its
weights are integers; otherwise integers are widened in the file (DEQUANTIZE of a constant), exactly.
"""

from dataclasses import dataclass, replace
from math import prod

from torch import nn

from ...hw_models.tables.run_order import run_order
from ...spaces.errors import AtollError
from ...spaces.graph.advice import advice
from ...spaces.graph.axis_order import laid_out, usual, wanted_orders
from ...spaces.graph.fusion import activation_among, carried_out, keeps_all_steps, written_grid
from ...spaces.graph.graph import Graph, Operation
from ...spaces.graph.non_negative import never_negative
from ...spaces.graph.reading import trace
from ...spaces.layers.layer import Layer
from ...spaces.layers.norm import Norm
from ...spaces.operations.kinds import MOVES
from . import operators, operators_moving
from .lower_functions import (
    COMBINATIONS,
    POINTWISE,
    lower_combination,
    lower_concatenation,
    lower_function,
    lower_product,
)
from .lower_layers import lower_layer, lower_norm
from .lower_moves import lower_moves
from .lower_pooling import lower_pooling
from .lower_recurrence import lower_recurrence
from .lower_standardised import lower_standardised
from .values import LoweredValue, Workbench
from .writer import TfliteModel


def lower(network: nn.Module, input_shape: tuple[int, ...]) -> bytes:
    """Writes a network as a ``.tflite`` file with batch 1; what it reads and gives has channels last.

    Args:
        network: adopted or compressed; on the meta device the file has the right size and zeros inside.
        input_shape: (channels, height, width), (channels, length) or (features,).

    Returns:
        The bytes of the file; the same network always gives the same bytes. A network with several heads
        gives as many outputs, in its own order.

    Raises:
        AtollError: an operation cannot be written; the message names it and its layer.
    """
    return lower_graph(trace(network, input_shape))


def lower_graph(graph: Graph, drawn: bool = False) -> bytes:
    """Writes a network that was traced; else as `lower`.

    Args:
        graph: of the network.
        drawn: whether integer weights of a plan are drawn, as they may turn out, in place of zeros.
    """
    return lowered_graph(graph, drawn).model.to_bytes()


def operator_layers(network: nn.Module, input_shape: tuple[int, ...]) -> list[str]:
    """Returns the layer that each operator of the file comes from, in the order of execution."""
    return lowered(network, input_shape).layers


@dataclass(frozen=True)
class Lowered:
    """A network written as tensors and operators.

    Args:
        model: what becomes the file.
        layers: for each operator the layer that it comes from.
        values: which tensor holds a value, by its name in the graph; one that is fused holds that behind it.
    """

    model: TfliteModel
    layers: list[str]
    values: dict[str, LoweredValue]


def lowered(network: nn.Module, input_shape: tuple[int, ...]) -> Lowered:
    """Writes a network and keeps where everything in the file comes from; else as `lower`."""
    return lowered_graph(trace(network, input_shape))


def lowered_graph(graph: Graph, drawn: bool = False) -> Lowered:
    """Writes a network that was traced; else as `lowered` and `lower_graph`."""
    graph = run_order(graph)
    bench = Workbench(TfliteModel(drawn=drawn), never_negative(graph))
    values: dict[str, LoweredValue] = {}
    layers: list[str] = []
    for operation in graph.operations:
        if operation.name in values:
            continue  # fused into an earlier one
        if operation.kind == "output":
            bench.model.outputs = [_output(bench, values[name]) for name in operation.inputs]
            break
        if operation.constant is not None:
            found = graph.constant_as_read(operation)
            if found is not None:
                values[operation.name] = bench.constant(found, next(iter(operation.grids), None))
            continue
        sources = [values[name] for name in operation.inputs]
        try:
            value, last = _lower_operation(bench, graph, operation, sources)
        except AtollError as error:
            raise AtollError(f"{operation.path or operation.name}: {error}") from error
        layers += [operation.path or operation.name] * (len(bench.model.operators) - len(layers))
        while True:
            values[last.name] = value
            if last is operation:
                break
            last = graph[last.inputs[0]]
    layers += ["output"] * (len(bench.model.operators) - len(layers))
    return Lowered(bench.model, layers, values)


def _output(bench: Workbench, value: LoweredValue) -> int:
    value = bench.in_torch_order(value)
    value = bench.in_order(value, usual(len(value.shape)))
    return bench.shaped(value, (1, *value.shape))


def _lower_operation(
    bench: Workbench, graph: Graph, operation: Operation, sources: list[LoweredValue]
) -> tuple[LoweredValue, Operation]:
    """Writes an operation and what is fused behind it; returns its value and the last operation covered."""
    kind, module = operation.kind, operation.module
    if kind == "input":
        shape = laid_out(operation.shape, usual(len(operation.shape)))
        several = sum(other.kind == "input" for other in graph.operations) > 1
        name = operation.name if several else None  # whoever feeds the file must tell them apart
        index = bench.model.add_input((1, *shape), bench.grid(written_grid(graph, [operation])), name)
        return LoweredValue(index, shape), operation
    if not sources:
        raise AtollError(f"{operation.described} cannot be written for LiteRT")
    shapes = [source.torch_shape if source.constant is None else () for source in sources]
    orders = wanted_orders(operation, shapes, [source.order for source in sources])
    sources = [bench.in_order(source, order) for source, order in zip(sources, orders, strict=True)]
    covered = carried_out(graph, operation)
    activation, target = activation_among(covered), bench.grid(written_grid(graph, covered))
    if kind == "recurrence":
        value = lower_recurrence(bench, operation, sources[0], keeps_all_steps(covered))
    elif isinstance(module, Layer):
        norm = next((other.module for other in covered if isinstance(other.module, Norm)), None)
        value = lower_layer(bench, module, sources[0], norm, activation, target)
    elif isinstance(module, Norm):
        value = lower_norm(bench, module, sources[0], activation, target)
    elif kind == "standardise":
        value = lower_standardised(bench, operation, sources[0])
    elif kind == "matmul":
        value = lower_product(bench, sources, target)
    elif kind == "concatenate":
        value = lower_concatenation(bench, sources, operation.axes[0], target)
    elif kind in COMBINATIONS:
        value = lower_combination(bench, operation, sources, target, activation)
    elif kind in POINTWISE:
        value = lower_function(bench, operation, sources[0], target)
    elif kind in MOVES:
        source = bench.to_float(sources[0]) if kind == "constant_pad" else sources[0]
        value = lower_moves(bench, operation, source)
    else:
        value = lower_pooling(bench, operation, sources[0], target) or _handed_on(
            bench, operation, sources[0]
        )
    for own in [grid for other in covered for grid in other.grids]:
        value = bench.on_grid(value, bench.grid(own))
    return value, covered[-1]


def _handed_on(bench: Workbench, operation: Operation, source: LoweredValue) -> LoweredValue:
    """Writes what hands values on: as they are, cut off at zero, several times over, or flattened."""
    kind = operation.kind
    if kind == "identity":
        return source
    if kind == "relu":
        return replace(source, index=operators.relu(bench.model, source.index))
    if kind == "channels_last_flatten":
        return LoweredValue(source.index, (prod(source.shape),))
    if kind == "expand":
        shape = laid_out(operation.shape, source.order)
        maps = bench.shaped(source, (1, *source.shape))
        return replace(source, index=operators_moving.broadcast(bench.model, maps, (1, *shape)), shape=shape)
    what = operation.described or kind
    raise AtollError(f"{what} cannot be written for LiteRT{advice([operation.module])}")
