"""The layer table of a ``.tflite`` file: its own operators, priced without the network it was made of."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from ...spaces.errors import AtollError
from ...spaces.layers.bits import FLOAT_BITS
from ...spaces.layers.cost import Compute, OperationCost, OperationKind, loop_costs
from .layer_table import LayerTable, TracedValue, table_of_values
from .operator_table import OPERATORS, UNKNOWN
from .tflite_file import FileOperator, FileTensor, TfliteFile

_DENSE = "FULLY_CONNECTED"
#: types of trained values; what steers an operator (axes, sizes, orders) is 32 bits wide
_VALUES = ("FLOAT32", "FLOAT16", "INT8", "INT4", "INT2")
_WEIGHTED = (_DENSE, "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "BATCH_MATMUL")


def layer_table_of_file(path: Path) -> LayerTable:
    """Returns the layer table of a ``.tflite`` file, named by its stem.

    Raises:
        AtollError: the file cannot be read, or holds no operators.
    """
    return layer_table_of(TfliteFile.read(path), Path(path).stem)


def layer_table_of(file: TfliteFile, name: str) -> LayerTable:
    """Returns the layer table of a file that was read; operators that are not known are named in it.

    Args:
        file: of one image: its first input is [1, height, width, channels].
        name: for messages.

    Raises:
        AtollError: an operator's tensors do not fit it, or there is nothing to run.
    """
    values = [_input(file, index) for index in file.inputs]
    for at, operator in enumerate(file.operators):
        if file.computed.intersection(operator.inputs):
            try:
                values += _values(file, operator)
            except (IndexError, ZeroDivisionError, ValueError) as error:
                shapes = ", ".join(str(list(file.tensors[index].shape)) for index in operator.inputs)
                raise AtollError(
                    f"{name}: operator {at}, {operator.name}, cannot read shapes {shapes}"
                ) from error
    if not values:
        raise AtollError(f"{name}: got a .tflite file without inputs, allowed is one with one at least")
    shape = _channels_first(file.tensors[file.inputs[0]].shape) if file.inputs else ()
    return table_of_values(name, shape, values)


def _input(file: TfliteFile, index: int) -> TracedValue:
    tensor = file.tensors[index]
    return TracedValue(_name(index), "", (), _channels_first(tensor.shape), tensor.bits)


def _name(index: int) -> str:
    return f"tensor_{index}"


def _channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns (channels, height, width) of a [1, height, width, channels], else the shape without batch."""
    inner = shape[1:] if len(shape) > 1 and shape[0] == 1 else shape
    return (inner[-1], *inner[:-1]) if len(inner) == 3 else inner


def _values(file: TfliteFile, operator: FileOperator) -> list[TracedValue]:
    """Returns an operator's outputs; the first one carries its cost, of a loop what it holds does too."""
    sources = tuple(_name(index) for index in operator.inputs if index in file.computed)
    loop = loop_of(file, operator)
    if loop is None:
        view = OPERATORS.get(operator.name, UNKNOWN).view
        return _outputs(file, operator, sources, () if view else (_cost(file, operator),))
    product, steps = loop_costs([_cost(loop.body, one) for one in _running(loop.body)], loop.times)
    held = f"{_name(operator.outputs[0])}.held"
    filled = [i for i in operator.inputs if not (i in file.computed or file.tensors[i].constant)]
    held_bytes = loop.inside_bytes + sum(file.tensors[i].bytes for i in (*operator.outputs[1:], *filled))
    inside = TracedValue(held, operator.name, sources, (held_bytes,), 8, (product,))
    return [inside, *_outputs(file, operator, (*sources, held), (steps,))]


def _outputs(
    file: TfliteFile, operator: FileOperator, sources: tuple[str, ...], costs: tuple[OperationCost, ...]
) -> list[TracedValue]:
    """Returns an operator's outputs, of which the first one carries the costs."""
    entry = OPERATORS.get(operator.name, UNKNOWN)
    values = []
    for position, index in enumerate(operator.outputs):
        tensor = file.tensors[index]
        in_place = entry.in_place and tensor.shape == file.tensors[operator.inputs[0]].shape
        values.append(
            TracedValue(
                name=_name(index),
                path=operator.name,
                inputs=sources,
                shape=_channels_first(tensor.shape),
                bits=tensor.bits,
                costs=costs if position == 0 else (),
                in_place=in_place,
                view=entry.view,
                output=index in file.outputs,
            )
        )
    return values


def macs_of(file: TfliteFile, operator: FileOperator) -> int:
    """Returns the multiply-accumulates of one operator of a file; those of a loop's body are not counted."""
    return _cost(file, operator).macs


def _cost(file: TfliteFile, operator: FileOperator) -> OperationCost:
    if operator.name in _WEIGHTED and len(operator.inputs) > 1:
        return _weighted_cost(file, operator)
    output = file.tensors[operator.outputs[0]]
    read = sum(file.tensors[index].elements for index in operator.inputs if index in file.computed)
    made = sum(file.tensors[index].elements for index in operator.outputs)
    entry = OPERATORS.get(operator.name, UNKNOWN)
    weights = _constants(file, operator)
    return OperationCost(
        kind=entry.kind,
        weight_elements=sum(tensor.elements for tensor in weights),
        weight_bits=weights[0].bits if weights else FLOAT_BITS,
        input_elements=made if entry.picks else read,
        output_elements=made,
        activation_bits=output.bits,
        compute="int8" if output.bits == 8 else "float32",
        moved_elements=output.elements if operator.name == "TRANSPOSE" else 0,
        calibrated=entry.calibrated,
        operation=operator.name,
    )


def _constants(file: TfliteFile, operator: FileOperator) -> list[FileTensor]:
    """Returns the trained values that an operator reads; a number of the network has one axis."""
    read = [file.tensors[index] for index in operator.inputs if index not in file.computed]
    return [tensor for tensor in read if tensor.dtype in _VALUES and len(tensor.shape) > 1]


def _weighted_cost(file: TfliteFile, operator: FileOperator) -> OperationCost:
    """Returns the cost of an operator with weights; of a transposed convolution the image comes last."""
    places = (2, 1) if operator.name == "TRANSPOSE_CONV" else (0, 1)
    source, weight = (operator.inputs[place] for place in places)
    biases = [index for index in operator.inputs[2:] if index != source and index not in file.computed]
    image, output = file.tensors[source], file.tensors[operator.outputs[0]]
    stored = file.constant_behind(weight)
    kind, macs, patch = _work(operator.name, image.shape, stored.shape, output.shape)
    constant = weight not in file.computed
    reduction, columns = _matrix(operator.name, image.shape, stored.shape, output.shape)
    return OperationCost(
        kind=kind,
        macs=macs,
        weight_elements=stored.elements if constant else 0,
        weight_bits=stored.bits,
        bias_elements=sum(file.tensors[index].elements for index in biases),
        input_elements=image.elements if constant else image.elements + stored.elements,
        output_elements=output.elements,
        activation_bits=image.bits,
        compute=_compute(kind, stored.bits, widened=file.tensors[weight].dtype == "FLOAT32"),
        rank_elements=_train_rank(file, operator) * output.elements if operator.name == _DENSE else 0,
        patch_elements=patch,
        reduction=reduction,
        columns=columns,
        # as `spaces.layers.cost.kernel` says of the layers: float alone, or 8 bits on both sides
        calibrated=stored.bits == FLOAT_BITS or (stored.bits == 8 and image.bits == 8),
    )


def _matrix(
    name: str, image: tuple[int, ...], weight: tuple[int, ...], output: tuple[int, ...]
) -> tuple[int, int]:
    """Returns (products that are summed in an output element, output channels of a group)."""
    if name == _DENSE:
        return weight[1], weight[0]
    if name == "BATCH_MATMUL":
        return image[-1], output[-1]
    if name == "TRANSPOSE_CONV":
        return weight[3], prod(weight[:3])
    if name == "DEPTHWISE_CONV_2D":
        return prod(weight[1:3]), 1
    return prod(weight[1:]), weight[0] * weight[-1] // image[-1]


def _train_rank(file: TfliteFile, operator: FileOperator) -> int:
    """Returns the rank of a tensor-train stage, 0 for any other dense operator.

    Behind a stage its mode moves in front of rows and rank, so it is the last axis of what is transposed, and
    all before it are rank times the stage's rows (`evaluators.litert.lower_layers`).
    """
    output = file.tensors[operator.outputs[0]]
    if len(output.shape) > 2:
        return 0  # rows of values, each by itself
    if output.shape[0] == 1 and len(operator.inputs) > 2:
        return 0  # the layer's bias comes behind the whole train
    index = operator.outputs[0]
    readers = file.readers(index)
    while len(readers) == 1 and OPERATORS.get(readers[0].name, UNKNOWN).view:
        index = readers[0].outputs[0]
        readers = file.readers(index)
    if len(readers) != 1 or readers[0].name != "TRANSPOSE":
        columns = output.shape[-1]
        next_stage = len(readers) == 1 and readers[0].name == _DENSE and len(operator.inputs) == 2
        if output.shape[0] > 1 and next_stage:
            others = file.constant_behind(readers[0].inputs[1]).shape[1]
            return 1 if others == columns else columns  # of a mode of 1 nothing is moved: [rows, rank]
        return int(output.shape[0] > 1)
    return prod(file.tensors[index].shape[:-1]) // output.shape[0]


def _work(
    name: str, image: tuple[int, ...], weight: tuple[int, ...], output: tuple[int, ...]
) -> tuple[OperationKind, int, int]:
    """Returns kind, multiply-accumulates and elements of the patch matrix."""
    if name == _DENSE:
        rows = prod(output) // weight[0]
        stage = rows > 1 and len(output) == 2  # of a tensor train; a dense layer on rows keeps their axes
        return ("contraction" if stage else "dense"), rows * prod(weight), 0
    if name == "BATCH_MATMUL":
        return "contraction", prod(output) * image[-1], 0
    if name == "TRANSPOSE_CONV":
        return "conv", prod(image[1:3]) * prod(weight), 0
    positions, window = prod(output[1:3]), prod(weight[1:3])
    if name == "DEPTHWISE_CONV_2D":
        # 1x1 with one output a channel: the scale-and-shift that a norm becomes
        kind: OperationKind = "norm" if window == 1 and image[-1] == output[-1] else "depthwise"
        return kind, positions * prod(weight), 0
    patch = prod(weight[1:])  # of one group
    return (
        ("pointwise" if window == 1 else "conv"),
        positions * prod(weight),
        positions * patch * (window > 1),
    )


def _compute(kind: str, weight_bits: int, widened: bool) -> Compute:
    """Returns the arithmetic of the kernel, as `spaces.layers.cost.kernel` does for layers.

    int4 and int2 convolutions run on integers widened as they go, at the price of float.
    """
    if widened or weight_bits > 8:
        return "float32"
    convolution = kind not in ("dense", "contraction")
    if convolution and weight_bits < 8:
        return "float32"
    return "int8"


# Loops --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loop:
    """A loop with one matrix product at every step.

    Args:
        condition: says whether there is another step.
        body: what a step does.
        times: how often.
    """

    condition: TfliteFile
    body: TfliteFile
    times: int

    @property
    def inside_bytes(self) -> int:
        """Bytes of the tensors inside that the file does not hold: both graphs have a copy of the state."""
        return _computed_bytes(self.condition) + _computed_bytes(self.body)


def loop_of(file: TfliteFile, operator: FileOperator) -> Loop | None:
    """Returns the loop that an operator runs; None for others, and for loops of any other kind."""
    if operator.name != "WHILE" or operator.options is None:
        return None
    numbers = [operator.options.number(place, "<i") - 1 for place in (0, 1)]
    if not all(0 <= number < len(file.others) for number in numbers):
        return None
    condition, body = (file.others[number] for number in numbers)
    states = (operator.inputs, operator.outputs, condition.inputs, body.inputs, body.outputs)
    alike = len({len(state) for state in states}) == 1
    times = _times(file, operator, condition, body) if alike else 0
    running = _running(body)
    kinds = [OPERATORS.get(one.name, UNKNOWN).kind for one in running if one.name != _DENSE]
    if times < 1 or len(kinds) != len(running) - 1 or not {*kinds} <= {"elementwise", "move"}:
        return None
    return Loop(condition, body, times)


def _computed_bytes(graph: TfliteFile) -> int:
    made = {*graph.inputs, *(index for operator in _running(graph) for index in operator.outputs)}
    return sum(graph.tensors[index].bytes for index in made)


def _running(graph: TfliteFile) -> list[FileOperator]:
    """Returns the operators that run each time; those that read constants alone run once."""
    return [operator for operator in graph.operators if graph.computed.intersection(operator.inputs)]


def _times(file: TfliteFile, operator: FileOperator, condition: TfliteFile, body: TfliteFile) -> int:
    """Returns how often a loop runs that counts from zero up to a constant, 0 for any other."""
    if [(one.name, len(one.inputs)) for one in condition.operators] != [("LESS", 2)]:
        return 0
    counter, limit = condition.operators[0].inputs
    if counter not in condition.inputs:
        return 0
    place = condition.inputs.index(counter)
    start, step = operator.inputs[place], body.inputs[place]
    counts = [one for one in body.operators if body.outputs[place] in one.outputs]
    if [(one.name, one.inputs[:1], len(one.inputs)) for one in counts] != [("ADD", (step,), 2)]:
        return 0
    numbers = [_number(file, start), _number(body, counts[0].inputs[1]), _number(condition, limit)]
    return numbers[2] if numbers[:2] == [0, 1] else 0


def _number(graph: TfliteFile, index: int) -> int:
    """Returns a constant of one whole number, -1 for any other tensor."""
    found = graph.values(index, np.int32)
    return int(found[0]) if graph.tensors[index].dtype == "INT32" and found.size == 1 else -1
