"""Lowers a network to the bytes of a ``.tflite`` file.

One pass over the traced graph. Activations are fused into the layers before them; a normalisation directly
behind a dense layer or convolution is folded into its scales and bias, any other becomes a scale-and-shift;
flattening costs nothing where the next layer can read the maps as they lie. int8 and float parts meet in
QUANTIZE and DEQUANTIZE. A layer runs on int8 activations where its input and output have grids and its
weights are integers; otherwise integers are widened in the file (DEQUANTIZE of a constant), exactly.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

from torch import nn

from ...spaces.channels.groups import reads_channels
from ...spaces.errors import AtollError
from ...spaces.graph import Graph, Operation, trace
from ...spaces.layers.layer import Layer
from ...spaces.layers.norm import Norm
from ...spaces.layers.same_padding import SameAvgPool2d, SameMaxPool2d
from . import operators
from .lower_layers import lower_layer, lower_norm, padded
from .tensors import Grid
from .values import Value, Workbench
from .writer import TfliteModel

_ACTIVATIONS = ("relu", "relu6")
#: functions of one value with an operator of their own -> (the operator, its options in the schema)
_FUNCTIONS: dict[str, tuple[str, str | None]] = {
    "sigmoid": ("LOGISTIC", None),
    "tanh": ("TANH", None),
    "hard_swish": ("HARD_SWISH", "HardSwish"),
    "elu": ("ELU", None),
    "leaky_relu": ("LEAKY_RELU", "LeakyRelu"),
    "softmax": ("SOFTMAX", "Softmax"),
}
# Operations that hand integers on as they are.
_TRANSPARENT = ("identity", "max_pool", "flatten", "channels_last_flatten", *_ACTIVATIONS)


def lower(network: nn.Module, input_shape: tuple[int, int, int]) -> bytes:
    """Writes a network as a ``.tflite`` file with batch 1 and channels-last images.

    Args:
        network: adopted or compressed; on the meta device the file has the right size and zeros inside.
        input_shape: (channels, height, width).

    Returns:
        The bytes of the file; the same network always gives the same bytes. A network with several heads
        gives as many outputs, in its own order.

    Raises:
        AtollError: an operation cannot be written; the message names it and its layer.
    """
    return _lowered(network, input_shape)[0].to_bytes()


def operator_layers(network: nn.Module, input_shape: tuple[int, int, int]) -> list[str]:
    """Returns the layer that each operator of the file comes from, in the order of execution."""
    return _lowered(network, input_shape)[1]


def _lowered(network: nn.Module, input_shape: tuple[int, int, int]) -> tuple[TfliteModel, list[str]]:
    """Returns the file's tensors and operators, and the layer that each operator comes from."""
    graph = trace(network, input_shape)
    bench = Workbench()
    values: dict[str, Value] = {}
    layers: list[str] = []
    for operation in graph.operations:
        if operation.name in values:
            continue  # fused into an earlier one
        if operation.kind == "output":
            bench.model.outputs = [_output(bench, values[name]) for name in operation.inputs]
            break
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
    return bench.model, layers


def _output(bench: Workbench, value: Value) -> int:
    value = bench.in_torch_order(value)
    return bench.shaped(value, (1, *value.shape))


def _lower_operation(
    bench: Workbench, graph: Graph, operation: Operation, sources: list[Value]
) -> tuple[Value, Operation]:
    """Writes an operation and what is fused behind it; returns its value and the last operation covered."""
    kind, module = operation.kind, operation.module
    if kind == "input":
        channels, height, width = operation.shape
        grid = _wanted_grid(bench, graph, operation)
        index = bench.model.add_input((1, height, width, channels), grid)
        return Value(index, (height, width, channels)), operation
    if not sources:
        raise AtollError(f"{operation.described} cannot be written for LiteRT")
    if isinstance(module, Layer):
        if not reads_channels(operation, graph.input_shapes(operation)[0]):
            raise AtollError("a dense layer on rows of maps cannot be written for LiteRT")
        last, norm = operation, None
        follower = _only_reader(graph, operation)
        if follower and isinstance(follower.module, Norm) and _folds(module):
            last, norm = follower, follower.module
        last, activation = _fused_activation(graph, last)
        return lower_layer(bench, module, sources[0], norm, activation), last
    if isinstance(module, Norm):
        last, activation = _fused_activation(graph, operation)
        return lower_norm(bench, module, sources[0], activation), last
    if kind == "add":
        last, activation = _fused_activation(graph, operation)
        return _add(bench, sources, _wanted_grid(bench, graph, last), activation), last
    if kind == "multiply":
        last, activation = _fused_activation(graph, operation)
        return _multiply(bench, sources, activation), last
    if kind == "concatenate":
        return _concatenate(bench, sources, _wanted_grid(bench, graph, operation)), operation
    if kind == "global_avg_pool" and operation.shape[1:] in ((1, 1), ()):
        return _mean(bench, sources[0], _wanted_grid(bench, graph, operation), operation), operation
    return _lower_simple(bench, operation, sources[0]), operation


def _lower_simple(bench: Workbench, operation: Operation, source: Value) -> Value:
    """Writes an operation with one input and no weights."""
    kind, module = operation.kind, operation.module
    if kind == "identity":
        return source
    if kind in _ACTIVATIONS:
        index = operators.relu(bench.model, source.index, kind)
        return replace(source, index=index, non_negative=True)
    if kind == "channels_last_flatten":
        return replace(source, shape=(prod(source.shape),))
    if kind == "flatten":
        moved = len(source.shape) == 3 and source.shape[2] > 1 and source.shape[0] * source.shape[1] > 1
        unflattened = source.shape if moved else source.unflattened
        return replace(source, shape=(prod(source.shape),), unflattened=unflattened)
    if kind == "reshape" and source.shape == (operation.shape[0],):  # features become maps of one position
        return replace(bench.in_torch_order(source), shape=(1, 1, operation.shape[0]))
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return _pool(bench, module, source)
    if isinstance(module, nn.Upsample):
        return _upsample(bench, module, source, operation.shape)
    if kind in (*_FUNCTIONS, "silu", "hard_sigmoid"):
        return _function(bench, operation, source)
    raise AtollError(f"{operation.described or kind} cannot be written for LiteRT")


def _function(bench: Workbench, operation: Operation, source: Value) -> Value:
    """A function of one value, in float: integer kernels would want grids that are not trained."""
    kind, module = operation.kind, operation.module
    source = bench.to_float(source)
    if kind == "silu":  # x sigmoid(x)
        gate = operators.function(bench.model, source.index, *_FUNCTIONS["sigmoid"])
        return replace(source, index=operators.mul(bench.model, source.index, gate), non_negative=False)
    if kind == "hard_sigmoid":
        return replace(source, index=operators.hard_sigmoid(bench.model, source.index), non_negative=True)
    settings: dict[str, Any] = {}
    if kind == "leaky_relu":
        settings["alpha"] = getattr(module, "negative_slope", 0.01)
    if kind == "elu" and getattr(module, "alpha", 1.0) != 1.0:
        raise AtollError("an ELU with another alpha than 1 cannot be written for LiteRT")
    if kind == "softmax":
        if getattr(module, "dim", None) not in (1, -len(source.shape)):
            raise AtollError("a softmax over another dimension than channels cannot be written for LiteRT")
        source, settings["beta"] = bench.in_torch_order(source), 1.0
    index = operators.function(bench.model, source.index, *_FUNCTIONS[kind], **settings)
    return replace(source, index=index, non_negative=kind in ("sigmoid", "softmax"))


def _mean(bench: Workbench, source: Value, wanted: Grid | None, operation: Operation) -> Value:
    """Global average pooling; int8 maps give int8 on the grid that the reader wants, or on their own."""
    grid = wanted if bench.grid_of(source) is not None else None
    keep = len(operation.shape) == 3
    index = operators.mean(bench.model, bench.maps(source), (1, 2), keep_dims=keep, grid=grid)
    shape = (1, 1, source.shape[2]) if keep else (source.shape[2],)
    return Value(index, shape, non_negative=source.non_negative)


def _pool(bench: Workbench, module: nn.MaxPool2d | nn.AvgPool2d, source: Value) -> Value:
    window, strides = _pair(module.kernel_size), _pair(module.stride)
    largest = isinstance(module, nn.MaxPool2d)
    kind = "max" if largest else "average"
    if isinstance(module, SameMaxPool2d | SameAvgPool2d):
        index = operators.pool_2d(bench.model, bench.maps(source), kind, window, strides, "same")
        return Value(index, bench.model.tensors[index].shape[1:], non_negative=source.non_negative)
    padding = _pair(module.padding)
    if module.ceil_mode or _pair(getattr(module, "dilation", 1)) != (1, 1):
        raise AtollError("pooling with ceil_mode or dilation cannot be written for LiteRT")
    if not largest and any(padding) and (not module.count_include_pad or module.divisor_override):
        raise AtollError("average pooling that leaves its padding out cannot be written for LiteRT")
    if largest and any(padding) and not source.non_negative:
        raise AtollError("max pooling with padding can be written for LiteRT only behind a ReLU")
    if any(padding):
        zeros = ((padding[0], padding[0]), (padding[1], padding[1]))
        maps, mode = padded(bench, source, window, strides, zeros)
        if mode == "same" and not largest:  # LiteRT's SAME leaves the padding out of the average
            height, width = padding
            maps = operators.pad_2d(bench.model, bench.maps(source), (height, height), (width, width))
            mode = "valid"
    else:
        maps, mode = bench.maps(source), "valid"
    index = operators.pool_2d(bench.model, maps, kind, window, strides, mode)
    return Value(index, bench.model.tensors[index].shape[1:], non_negative=source.non_negative)


#: torch's interpolation -> (LiteRT's operator, whether positions are the middles of pixels)
_RESIZES = {
    "nearest": ("nearest_neighbor", False),
    "nearest-exact": ("nearest_neighbor", True),
    "bilinear": ("bilinear", True),
}


def _upsample(bench: Workbench, module: nn.Upsample, source: Value, shape: Sequence[int]) -> Value:
    """Interpolation; int8 maps keep their grid, on which LiteRT rounds what lies between."""
    size = (shape[1], shape[2])
    factors = module.scale_factor or tuple(new / old for new, old in zip(size, source.shape, strict=False))
    factors = factors if isinstance(factors, tuple) else (factors, factors)
    aligned = bool(module.align_corners)
    # LiteRT goes by the sizes alone, torch by the factor where one is given
    exact = aligned or all(f * old == new for f, old, new in zip(factors, source.shape, size, strict=False))
    if module.mode not in _RESIZES or not exact:
        raise AtollError(
            f"an upsampling of mode {module.mode!r} from {source.shape[:2]} by {factors} cannot be written "
            f"for LiteRT; allowed are {', '.join(_RESIZES)}, to whole numbers"
        )
    kind, centered = _RESIZES[module.mode]
    index = operators.resize(bench.model, bench.maps(source), size, kind, aligned, centered and not aligned)
    return replace(source, index=index, shape=(*size, source.shape[2]))


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _add(bench: Workbench, sources: list[Value], grid: Grid | None, activation: str | None) -> Value:
    sources = [bench.in_torch_order(source) for source in sources]
    if len(sources) != 2 or sources[0].shape != sources[1].shape:
        raise AtollError("an addition of other than two equal shapes cannot be written for LiteRT")
    if grid is None or any(bench.grid_of(source) is None for source in sources):
        grid, sources = None, [bench.to_float(source) for source in sources]
    one, other = (bench.shaped(source, (1, *source.shape)) for source in sources)
    index = operators.add(bench.model, one, other, grid, activation)
    return Value(index, sources[0].shape, non_negative=activation is not None)


def _multiply(bench: Workbench, sources: list[Value], activation: str | None) -> Value:
    """A product, one of them perhaps the same at all positions; in float: its grid would not be trained."""
    sources = [bench.to_float(bench.in_torch_order(source)) for source in sources]
    if len(sources) != 2 or len(sources[0].shape) != len(sources[1].shape):
        raise AtollError("a product of other than two values of one kind cannot be written for LiteRT")
    one, other = (bench.shaped(source, (1, *source.shape)) for source in sources)
    index = operators.mul(bench.model, one, other, activation=activation)
    return Value(index, bench.model.tensors[index].shape[1:], non_negative=activation is not None)


def _concatenate(bench: Workbench, sources: list[Value], grid: Grid | None) -> Value:
    """Channels of maps, or features, one after the other."""
    sources = [bench.in_torch_order(source) for source in sources]
    if grid is None or any(bench.grid_of(source) is None for source in sources):
        sources = [bench.to_float(source) for source in sources]
    else:
        sources = [bench.on_grid(source, grid) for source in sources]
    parts = [bench.shaped(source, (1, *source.shape)) for source in sources]
    index = operators.concatenation(bench.model, parts, len(sources[0].shape))
    non_negative = all(source.non_negative for source in sources)
    return Value(index, bench.model.tensors[index].shape[1:], non_negative=non_negative)


def _only_reader(graph: Graph, operation: Operation) -> Operation | None:
    readers = graph.consumers(operation.name)
    return readers[0] if len(readers) == 1 else None


def _folds(layer: Layer) -> bool:
    """Whether a normalisation can be folded into a layer: into its last weight, and no rounding between."""
    return layer.sliceable and layer.output_grid is None


def _fused_activation(graph: Graph, operation: Operation) -> tuple[Operation, str | None]:
    """The activation that alone reads an operation, if any: (last operation covered, its kind)."""
    follower = _only_reader(graph, operation)
    if follower and follower.kind in _ACTIVATIONS:
        return follower, follower.kind
    return operation, None


def _wanted_grid(bench: Workbench, graph: Graph, operation: Operation) -> Grid | None:
    """The grid that the one reader of an operation puts on it, None where there is none."""
    reader = _only_reader(graph, operation)
    while reader is not None and reader.kind in _TRANSPARENT:
        reader = _only_reader(graph, reader)
    if reader is not None and isinstance(reader.module, Layer):
        return bench.grid(reader.module.input_grid)
    return None
