"""Reads a ``.tflite`` file back without running it: tensor types, memory by liveness, structure overhead."""

from dataclasses import dataclass

from ...hw_models.tables.file_table import loop_of
from ...hw_models.tables.tflite_file import TfliteFile

# Operators whose inputs from this one on only steer them: axes, target shape, paddings, where a loop begins.
_STEERED = {
    **dict.fromkeys(("RESHAPE", "TRANSPOSE", "PAD", "MEAN", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), 1),
    **dict.fromkeys(("SPLIT", "WHILE"), 0),
}


@dataclass(frozen=True)
class TensorRow:
    """One tensor of a file: its ``bytes`` in memory, and whether the file holds its values (``constant``)."""

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    constant: bool


def operator_names(content: bytes) -> list[str]:
    """Operators of a file in the order of execution."""
    return [operator.name for operator in TfliteFile.parse(content).operators]


def tensor_rows(content: bytes) -> list[TensorRow]:
    """All tensors of a file."""
    return rows_of(TfliteFile.parse(content))


def rows_of(file: TfliteFile) -> list[TensorRow]:
    """All tensors of a file that was read."""
    return [
        TensorRow(index, one.name, one.dtype.lower(), one.shape, one.bytes, one.constant)
        for index, one in enumerate(file.tensors)
    ]


@dataclass(frozen=True)
class FloatTensor:
    """A float tensor of a file.

    Args:
        tensor: which.
        operator: number of the operator that makes it, or of the first that reads it where none does.
        operator_name: of that operator in the schema.
    """

    tensor: TensorRow
    operator: int
    operator_name: str


def float_tensors(content: bytes) -> list[FloatTensor]:
    """Returns the tensors of a file that are no integers, in the order of their operators.

    A file that is integer throughout has none; `lower.operator_layers` says which layers the operators of any
    other come from.
    """
    file = TfliteFile.parse(content)
    rows, names = rows_of(file), [operator.name for operator in file.operators]
    makers: dict[int, int] = {}
    readers: dict[int, int] = {}
    for step, operator in enumerate(file.operators):
        for index in operator.inputs:
            readers.setdefault(index, step)
        makers.update(dict.fromkeys(operator.outputs, step))
    found = []
    for row in rows:
        if row.dtype.startswith("float"):
            step = makers.get(row.index, readers.get(row.index, 0))
            found.append(FloatTensor(row, step, names[step] if names else ""))
    return sorted(found, key=lambda tensor: (tensor.operator, tensor.tensor.index))


def peak_tensor_bytes(content: bytes) -> int:
    """Largest number of bytes of computed tensors that are alive at once, without kernel scratch.

    A tensor lives from the operator that makes it to the last one that reads it; graph inputs from the start,
    graph outputs to the end. The float copy of a constant behind DEQUANTIZE stays for good, in a loop too. A
    loop has what its own graphs compute besides.
    """
    return peak_bytes_of(TfliteFile.parse(content))


def peak_bytes_of(file: TfliteFile) -> int:
    """Returns that of a file that was read."""
    rows, count = file.tensors, len(file.operators)
    born = dict.fromkeys(file.inputs, 0)
    dies = dict.fromkeys(file.inputs, 0)
    for step, operator in enumerate(file.operators):
        dies.update(dict.fromkeys(operator.inputs, step))
        from_constant = all(rows[source].constant for source in operator.inputs)
        for index in operator.outputs:
            born[index] = 0 if from_constant else step
            dies[index] = count - 1 if from_constant else step
    dies.update(dict.fromkeys(file.outputs, count - 1))
    widened = sum(
        graph.tensors[index].bytes
        for graph in file.others
        for operator in graph.operators
        for index in operator.outputs
        if index not in graph.computed
    )
    alive = [
        sum(rows[index].bytes for index, start in born.items() if start <= step <= dies[index])
        + (0 if (loop := loop_of(file, operator)) is None else loop.inside_bytes)
        for step, operator in enumerate(file.operators)
    ]
    return widened + max(alive, default=sum(rows[index].bytes for index in born))


def overhead_bytes(content: bytes) -> int:
    """Bytes of a file that are structure: its size less weights, biases, scales and zero points.

    What is shared in the file is counted once.
    """
    payload: dict[int, int] = {}  # first byte -> bytes
    for graph in TfliteFile.parse(content).graphs:
        steered = [one for one in graph.operators if one.name in _STEERED]
        steering = {index for one in steered for index in one.inputs[_STEERED[one.name] :]}
        for index, tensor in enumerate(graph.tensors):
            payload[tensor.scales[0]] = 4 * tensor.scales[1]
            payload[tensor.zero_points[0]] = 8 * tensor.zero_points[1]
            if index not in steering:
                payload[tensor.data[0]] = tensor.data[1]
    payload.pop(0, None)  # what is not there
    return len(content) - sum(payload.values())
