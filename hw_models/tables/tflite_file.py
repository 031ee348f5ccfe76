"""A ``.tflite`` file as its graph of tensors and operators, read without running it and without a network.

The one reader of such files. They may come from anywhere: whatever does not hold together ends in an
AtollError, and nothing is allocated because a file says so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from math import prod
from pathlib import Path
from typing import Self

import numpy as np

from ...spaces.errors import AtollError
from ...spaces.outside.foreign_file import read_bytes
from .flatbuffer import Flatbuffer, Table

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
#: most axes of one tensor: LiteRT's kernels take eight at most
MOST_AXES = 8

#: operators that readers look into -> axes of the inputs that they must have, 0 for any number of them
_AXES: dict[str, tuple[int, ...]] = {
    "CONV_2D": (4, 4),
    "DEPTHWISE_CONV_2D": (4, 4),
    "FULLY_CONNECTED": (0, 2),
    "TRANSPOSE_CONV": (1, 4, 4),
    "BATCH_MATMUL": (0, 0),
    **dict.fromkeys(("MAX_POOL_2D", "AVERAGE_POOL_2D"), (4,)),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "PAD"), (0, 0)),
    "SOFTMAX": (0,),
    "STRIDED_SLICE": (0, 0, 0, 0),
}


@dataclass(frozen=True)
class FileTensor:
    """One tensor of a file.

    Args:
        shape: with the batch; a dimension that is not static counts as 1.
        dtype: name of its type in the schema, `FLOAT32`.
        constant: whether the file holds its values.
        name: as the file has it, empty where it has none.
        data: (first byte, bytes) of its values in the file; none where they are computed or lie behind it.
        behind: whether its values lie behind the flatbuffer.
        variable: whether it keeps its values from run to run.
        fixed: whether every size is.
        scales, zero_points: (first byte, number) of them in the file.
    """

    shape: tuple[int, ...]
    dtype: str
    constant: bool
    name: str = ""
    data: tuple[int, int] = (0, 0)
    behind: bool = False
    variable: bool = False
    fixed: bool = True
    scales: tuple[int, int] = (0, 0)
    zero_points: tuple[int, int] = (0, 0)

    @property
    def elements(self) -> int:
        """Number of its elements."""
        return prod(self.shape)

    @property
    def bits(self) -> int:
        """Width of one element."""
        return _BITS.get(self.dtype, 32)

    @property
    def bytes(self) -> int:
        """Its size in memory."""
        return (self.elements * self.bits + 7) // 8


@dataclass(frozen=True)
class FileOperator:
    """One operator: its name in the schema (a custom one's own name), and the indices of its tensors.

    Args:
        inputs: optional ones that are left out are left out here too.
        version: of the operator.
        places: all inputs in their places, negative for one that is left out.
        options: its settings, None for none.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    version: int = 1
    places: tuple[int, ...] = ()
    options: Table | None = field(default=None, compare=False)


@dataclass(frozen=True)
class TfliteFile:
    """A subgraph of a file, operators in the order of execution; the first one unless another is asked for.

    Args:
        size_bytes: of the file.
        inputs, outputs: indices of the tensors that go in and come out.
        subgraphs: how many there are.
        content: the file itself.
        others: of the first subgraph: those that its operators may run, from number 1 on.
    """

    size_bytes: int
    tensors: tuple[FileTensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraphs: int = 1
    content: bytes = field(default=b"", repr=False, compare=False)
    others: "tuple[TfliteFile, ...]" = field(default=(), repr=False)

    @property
    def graphs(self) -> "tuple[TfliteFile, ...]":
        """Returns the subgraphs, itself first."""
        return (self, *self.others)

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
        if content[4:8] != FILE_IDENTIFIER:
            raise AtollError("got no .tflite file, allowed is one (its bytes 4 to 7 are TFL3)")
        model = Flatbuffer(content).root()
        graphs = model.tables(2)
        if not graphs:
            raise AtollError("got a damaged .tflite file (no subgraph, allowed is one at least)")
        buffers = [_stored(buffer) for buffer in model.tables(4)]
        codes = [(_operator_name(code), code.number(2, "<i", 1)) for code in model.tables(1)]
        first, *others = (cls._graph(content, graph, buffers, codes, len(graphs)) for graph in graphs)
        return replace(first, others=tuple(others))

    @classmethod
    def _graph(
        cls,
        content: bytes,
        graph: Table,
        buffers: Sequence[tuple[tuple[int, int], bool]],
        codes: Sequence[tuple[str, int]],
        subgraphs: int,
    ) -> Self:
        tensors = tuple(_tensor(table, buffers, at) for at, table in enumerate(graph.tables(0)))
        operators = tuple(
            _operator(table, codes, len(tensors), at) for at, table in enumerate(graph.tables(3))
        )
        inputs, outputs = (
            _indices(graph.numbers(place, np.int32), len(tensors), "the graph") for place in (1, 2)
        )
        for at, operator in enumerate(operators):
            _check_axes(tensors, operator, at)
        _check_order(tensors, operators, inputs)
        return cls(len(content), tensors, operators, inputs, outputs, subgraphs, content)

    def values(self, index: int, dtype: type) -> np.ndarray:
        """Returns the stored values of a constant as they lie; none where they are computed."""
        start, size = self.tensors[index].data
        width = np.dtype(dtype).itemsize
        return np.frombuffer(self.content, np.dtype(dtype).newbyteorder("<"), size // width, start)

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
        seen: set[int] = set()  # a graph that was not parsed may have a circle
        while (maker := self._makers.get(index)) and maker.inputs and index not in self.computed:
            if index in seen:
                break
            seen.add(index)
            index = maker.inputs[0]
        return self.tensors[index]


def _damaged(what: str) -> AtollError:
    return AtollError(f"got a damaged .tflite file ({what})")


@cache
def _names(enumeration: str) -> dict[int, str]:
    """Returns code -> name of an enumeration of the schema."""
    from ai_edge_litert import schema_py_generated as schema

    members = vars(getattr(schema, enumeration))
    return {code: name for name, code in members.items() if not name.startswith("_")}


def _indices(found: Iterable[int], count: int, where: str, optional: bool = False) -> tuple[int, ...]:
    indices = tuple(int(index) for index in found)
    for index in indices:
        if index >= count or index < (-1 if optional else 0):
            raise _damaged(f"{where} names tensor {index} of {count}")
    return indices


def _stored(buffer: Table) -> tuple[tuple[int, int], bool]:
    """Returns where a buffer's bytes lie, and whether they lie behind the flatbuffer."""
    return buffer.vector(0, 1), buffer.number(2, "<Q") > 1


def _tensor(table: Table, buffers: Sequence[tuple[tuple[int, int], bool]], at: int) -> FileTensor:
    number = table.number(2, "<I")
    if number >= len(buffers):
        raise _damaged(f"tensor {at} names buffer {number} of {len(buffers)}")
    sizes = table.vector(0, 4)[1]
    if sizes > MOST_AXES:
        raise _damaged(f"tensor {at} has {sizes} axes, allowed are {MOST_AXES}")
    shape = tuple(max(1, int(size)) if size < 0 else int(size) for size in table.numbers(0, np.int32))
    data, behind = buffers[number]
    grid = table.table(4)
    code = table.number(1, "<b")
    tensor = FileTensor(
        shape=shape,
        dtype=_names("TensorType").get(code, f"type {code}"),
        constant=data[1] > 0 or behind,
        name=table.text(3),
        data=data,
        behind=behind,
        variable=bool(table.number(5, "<B")),
        fixed=bool((table.numbers(7, np.int32) >= 0).all() and (table.numbers(0, np.int32) >= 0).all()),
        scales=(0, 0) if grid is None else grid.vector(2, 4),
        zero_points=(0, 0) if grid is None else grid.vector(3, 8),
    )
    if tensor.elements > LARGEST_ELEMENTS:
        raise _damaged(f"a tensor of more than {LARGEST_ELEMENTS:,} elements")
    sparse = table.table(6) is not None
    if data[1] and tensor.dtype in _BITS and not sparse and data[1] < tensor.bytes:
        raise _damaged(f"tensor {at} of shape {list(shape)} needs {tensor.bytes} bytes and has {data[1]}")
    return tensor


def _operator(table: Table, codes: Sequence[tuple[str, int]], tensors: int, at: int) -> FileOperator:
    number = table.number(0, "<I")
    if number >= len(codes):
        raise _damaged(f"operator {at} has code {number} of {len(codes)}")
    name, version = codes[number]
    places = _indices(table.numbers(1, np.int32), tensors, f"operator {at}", optional=True)
    outputs = _indices(table.numbers(2, np.int32), tensors, f"operator {at}")
    inputs = tuple(index for index in places if index >= 0)
    return FileOperator(name, inputs, outputs, version, places, table.table(4))


def _operator_name(entry: Table) -> str:
    code = max(entry.number(3, "<i"), entry.number(0, "<b"))
    name = _names("BuiltinOperator").get(code, f"operator {code}")
    return (entry.text(1) or name) if name == "CUSTOM" else name


def _check_axes(tensors: Sequence[FileTensor], operator: FileOperator, at: int) -> None:
    """Every operator makes something, and those that readers look into have the axes they look at."""
    data = [tensors[index] for index in (*operator.places[:1], *operator.outputs[:1]) if index >= 0]
    if not operator.outputs:
        raise _damaged(f"operator {at}, {operator.name}, makes nothing")
    axes = _AXES.get(operator.name)
    if axes is None:
        return
    positions = operator.places[: len(axes)]
    lacking = [
        position for position in range(len(axes)) if position >= len(positions) or positions[position] < 0
    ]
    if lacking:
        raise _damaged(f"operator {at}, {operator.name}, lacks its input {lacking[0]}")
    for position, (index, count) in enumerate(zip(positions, axes, strict=True)):
        shape = tensors[index].shape
        if (len(shape) != count and count) or 0 in shape or not shape:
            allowed = f"allowed are {count or 'one or more'} axes above 0"
            raise _damaged(f"input {position} of operator {at}, {operator.name}, is {list(shape)}: {allowed}")
    if any(0 in one.shape or not one.shape for one in data):
        raise _damaged(f"operator {at}, {operator.name}, makes nothing")


def _check_order(
    tensors: Sequence[FileTensor], operators: Sequence[FileOperator], inputs: Sequence[int]
) -> None:
    """Every tensor is made once, before it is read."""
    known = {*inputs, *(at for at, one in enumerate(tensors) if one.constant or one.variable)}
    known.update(at for at, one in enumerate(tensors) if not one.elements)
    for at, operator in enumerate(operators):
        early = [index for index in operator.inputs if index not in known]
        if early:
            raise _damaged(f"operator {at} reads tensor {early[0]} before anything makes it")
        again = [index for index in operator.outputs if index in known and not tensors[index].variable]
        if again and tensors[again[0]].elements:
            raise _damaged(f"operator {at} makes tensor {again[0]}, which is there already")
        known.update(operator.outputs)
