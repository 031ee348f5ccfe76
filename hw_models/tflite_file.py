"""A ``.tflite`` file as its graph of tensors and operators, read without running it and without a network."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ..spaces.errors import AtollError
from ..spaces.foreign_file import read_bytes

if TYPE_CHECKING:
    from ai_edge_litert import schema_py_generated as schema

#: `file_identifier` of the schema, at byte 4
FILE_IDENTIFIER = b"TFL3"
#: bits of one element by the name of its type in the schema; a type that is not here counts as 32
_BITS = {
    "INT2": 2, "INT4": 4, "UINT4": 4, "INT8": 8, "UINT8": 8, "BOOL": 8, "INT16": 16, "UINT16": 16,
    "FLOAT16": 16, "BFLOAT16": 16, "FLOAT32": 32, "INT32": 32, "UINT32": 32, "FLOAT64": 64, "INT64": 64,
    "UINT64": 64, "COMPLEX64": 64, "COMPLEX128": 128,
}  # fmt: skip

#: of one tensor: whole numbers up to here are exact as floats, with which costs are reckoned
LARGEST_ELEMENTS = 2**53


@dataclass(frozen=True)
class FileTensor:
    """One tensor of a file.

    Args:
        shape: with the batch; a dimension that is not static counts as 1.
        dtype: name of its type in the schema, `FLOAT32`.
        constant: whether the file holds its values.
    """

    shape: tuple[int, ...]
    dtype: str
    constant: bool

    @property
    def elements(self) -> int:
        """Number of its elements."""
        return prod(self.shape)

    @property
    def bits(self) -> int:
        """Width of one element."""
        return _BITS.get(self.dtype, 32)


@dataclass(frozen=True)
class FileOperator:
    """One operator: its name in the schema (a custom one's own name), and the indices of its tensors.

    Args:
        inputs: optional ones that are left out are left out here too.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class TfliteFile:
    """The first subgraph of a file, operators in the order of execution.

    Args:
        size_bytes: of the file.
        inputs, outputs: indices of the tensors that go in and come out.
    """

    size_bytes: int
    tensors: tuple[FileTensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a file.

        Raises:
            AtollError: it cannot be opened, or is no ``.tflite`` file.
        """
        try:
            content = read_bytes(Path(path))
        except OSError as error:
            raise AtollError(f"cannot read {path}: {error.strerror}") from error
        try:
            return cls.parse(content)
        except AtollError as error:
            raise AtollError(f"{path}: {error}") from error

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Reads the bytes of a file.

        Raises:
            AtollError: they are no ``.tflite`` file, or a damaged one.
        """
        import struct

        if content[4:8] != FILE_IDENTIFIER:
            raise AtollError("got no .tflite file, allowed is one (its bytes 4 to 7 are TFL3)")
        try:
            return cls._of_schema(content)
        except (struct.error, IndexError, TypeError, ValueError, AttributeError) as error:
            raise AtollError(f"got a damaged .tflite file ({error})") from error

    @classmethod
    def _of_schema(cls, content: bytes) -> Self:
        from ai_edge_litert import schema_py_generated as schema

        model = schema.Model.GetRootAs(content)
        graph = model.Subgraphs(0)
        _check_lengths(graph, len(content))
        types = _names_of(schema.TensorType)
        tensors = tuple(_tensor(model, graph.Tensors(index), types) for index in range(graph.TensorsLength()))
        names = [_operator_name(schema, model, index) for index in range(model.OperatorCodesLength())]
        operators = []
        for index in range(graph.OperatorsLength()):
            operator = graph.Operators(index)
            ins, outs = (
                _indices(operator.Inputs(i) for i in range(operator.InputsLength())),
                _indices(operator.Outputs(i) for i in range(operator.OutputsLength())),
            )
            operators.append(FileOperator(names[operator.OpcodeIndex()], ins, outs))
        return cls(
            len(content),
            tensors,
            tuple(operators),
            _indices(graph.Inputs(i) for i in range(graph.InputsLength())),
            _indices(graph.Outputs(i) for i in range(graph.OutputsLength())),
        )

    @cached_property
    def computed(self) -> frozenset[int]:
        """Tensors that depend on the graph's inputs; the others are constants or made of constants alone."""
        found = set(self.inputs)
        for operator in self.operators:
            if found.intersection(operator.inputs):
                found.update(operator.outputs)
        return frozenset(found)

    def readers(self, index: int) -> list[FileOperator]:
        """Returns the operators that read a tensor."""
        return self._readers.get(index, [])

    @cached_property
    def _readers(self) -> dict[int, list[FileOperator]]:
        found: dict[int, list[FileOperator]] = {}
        for operator in self.operators:
            for index in dict.fromkeys(operator.inputs):
                found.setdefault(index, []).append(operator)
        return found

    @cached_property
    def _makers(self) -> dict[int, FileOperator]:
        return {index: operator for operator in self.operators for index in operator.outputs}

    def constant_behind(self, index: int) -> FileTensor:
        """Returns the constant that a tensor was made of: a widened weight's stored one."""
        seen: set[int] = set()  # a file may say that a tensor is made of itself
        while (maker := self._makers.get(index)) and maker.inputs and index not in self.computed:
            if index in seen:
                break
            seen.add(index)
            index = maker.inputs[0]
        return self.tensors[index]


def _check_lengths(graph: "schema.SubGraph", size: int) -> None:
    """Refuses lists that together are longer than the file: they lie over one another, or behind its end."""
    operators = [graph.Operators(index) for index in range(min(graph.OperatorsLength(), size))]
    tensors = [graph.Tensors(index) for index in range(min(graph.TensorsLength(), size))]
    listed = sum(operator.InputsLength() + operator.OutputsLength() for operator in operators)
    listed += sum(tensor.ShapeLength() for tensor in tensors) + graph.InputsLength() + graph.OutputsLength()
    if listed > size:
        raise ValueError(f"its lists have {listed:,} entries, the file {size:,} bytes")


def _indices(values: Iterable[int]) -> tuple[int, ...]:
    return tuple(int(value) for value in values if value >= 0)


def _names_of(enumeration: type) -> dict[int, str]:
    return {code: name for name, code in vars(enumeration).items() if not name.startswith("_")}


def _tensor(model: "schema.Model", tensor: "schema.Tensor", types: dict[int, str]) -> FileTensor:
    shape = tuple(max(1, int(tensor.Shape(axis))) for axis in range(tensor.ShapeLength()))
    if prod(shape) > LARGEST_ELEMENTS:
        raise ValueError(f"a tensor of more than {LARGEST_ELEMENTS:,} elements")
    buffer = model.Buffers(tensor.Buffer())
    # Size() is set where the values lie behind the flatbuffer
    constant = buffer.DataLength() > 0 or buffer.Size() > 1
    return FileTensor(shape, types.get(tensor.Type(), f"type {tensor.Type()}"), constant)


def _operator_name(schema_module: object, model: "schema.Model", index: int) -> str:
    codes = _names_of(schema_module.BuiltinOperator)  # type: ignore[attr-defined]
    entry = model.OperatorCodes(index)
    name = codes.get(max(entry.BuiltinCode(), entry.DeprecatedBuiltinCode()), "?")
    custom = entry.CustomCode()
    return custom.decode() if name == "CUSTOM" and custom else name
