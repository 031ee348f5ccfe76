"""Reads a ``.tflite`` file back without running it: tensor types, memory by liveness, structure overhead."""

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .tensors import TENSOR_TYPES, TYPE_NAMES

# Operators whose second input only steers them: axes, target shape, paddings.
_STEERED = {
    schema.BuiltinOperator.RESHAPE,
    schema.BuiltinOperator.TRANSPOSE,
    schema.BuiltinOperator.PAD,
    schema.BuiltinOperator.MEAN,
    schema.BuiltinOperator.RESIZE_BILINEAR,
    schema.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR,
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


def _graph(content: bytes) -> tuple[schema.Model, schema.SubGraph]:
    model = schema.Model.GetRootAs(content)
    return model, model.Subgraphs(0)


def operator_names(content: bytes) -> list[str]:
    """Builtin operators of a file in the order of execution."""
    model, graph = _graph(content)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    return [names[_code(model, graph.Operators(i))] for i in range(graph.OperatorsLength())]


def _code(model: schema.Model, operator: schema.Operator) -> int:
    entry = model.OperatorCodes(operator.OpcodeIndex())
    return max(entry.BuiltinCode(), entry.DeprecatedBuiltinCode())


def tensor_rows(content: bytes) -> list[TensorRow]:
    """All tensors of a file."""
    model, graph = _graph(content)
    rows = []
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        dtype = TYPE_NAMES.get(tensor.Type(), f"type {tensor.Type()}")
        shape = tuple(int(size) for size in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
        bits = TENSOR_TYPES[dtype][1] if dtype in TENSOR_TYPES else 32
        size = (int(np.prod(shape)) * bits + 7) // 8
        constant = model.Buffers(tensor.Buffer()).DataLength() > 0
        name = (tensor.Name() or b"").decode()
        rows.append(TensorRow(index, name, dtype, shape, size, constant))
    return rows


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
    _, graph = _graph(content)
    rows, names = tensor_rows(content), operator_names(content)
    makers: dict[int, int] = {}
    readers: dict[int, int] = {}
    for step in range(graph.OperatorsLength()):
        operator = graph.Operators(step)
        for index in operator.InputsAsNumpy():
            readers.setdefault(int(index), step)
        makers.update({int(index): step for index in operator.OutputsAsNumpy()})
    found = []
    for row in rows:
        if row.dtype.startswith("float"):
            step = makers.get(row.index, readers.get(row.index, 0))
            found.append(FloatTensor(row, step, names[step]))
    return sorted(found, key=lambda tensor: (tensor.operator, tensor.tensor.index))


def peak_tensor_bytes(content: bytes) -> int:
    """Largest number of bytes of computed tensors that are alive at once, without kernel scratch.

    A tensor lives from the operator that makes it to the last one that reads it; graph inputs from the start,
    graph outputs to the end. The float copy of a constant behind DEQUANTIZE stays for good.
    """
    _, graph = _graph(content)
    rows = tensor_rows(content)
    count = graph.OperatorsLength()
    born = {int(index): 0 for index in graph.InputsAsNumpy()}
    dies = {index: 0 for index in born}
    for step in range(count):
        operator = graph.Operators(step)
        sources = [int(index) for index in operator.InputsAsNumpy() if index >= 0]
        for index in sources:
            dies[index] = step
        for index in operator.OutputsAsNumpy():
            from_constant = all(rows[source].constant for source in sources)
            born[int(index)] = 0 if from_constant else step
            dies[int(index)] = count - 1 if from_constant else step
    for index in graph.OutputsAsNumpy():
        dies[int(index)] = count - 1
    alive = [
        sum(rows[index].bytes for index, start in born.items() if start <= step <= dies[index])
        for step in range(count)
    ]
    return max(alive, default=sum(rows[index].bytes for index in born))


def overhead_bytes(content: bytes) -> int:
    """Bytes of a file that are structure: its size less weights, biases, scales and zero points.

    What is shared in the file is counted once.
    """
    model, graph = _graph(content)
    payload: dict[int, int] = {}

    def count(vector: object) -> None:
        if isinstance(vector, np.ndarray):
            payload[vector.__array_interface__["data"][0]] = vector.nbytes

    steering: set[int] = set()
    for step in range(graph.OperatorsLength()):
        operator = graph.Operators(step)
        if _code(model, operator) in _STEERED:
            steering.update(int(index) for index in operator.InputsAsNumpy()[1:])
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        quantization = tensor.Quantization()
        if quantization is not None:
            count(quantization.ScaleAsNumpy())
            count(quantization.ZeroPointAsNumpy())
        if index not in steering:
            count(model.Buffers(tensor.Buffer()).DataAsNumpy())
    return len(content) - sum(payload.values())
