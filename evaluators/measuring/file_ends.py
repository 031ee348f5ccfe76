"""What a program has to know of a `.tflite` file: inputs, outputs and operators, read off its bytes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from pydantic import Field

from ...hw_models.tables.tflite_file import FileTensor, TfliteFile
from ...spaces.errors import AtollError

#: ends and kinds of operators; the schema has 200 of these
_MOST = 1_000


@dataclass(frozen=True)
class FileEnd:
    """One input or output of a file.

    Args:
        name: of the argument, or of the output, in the network's own code.
        shape: of one sample, the batch of 1 first, channels last.
        type: of its numbers, `float32` or `int8`.
        scale, zero_point: of its grid, number = (integer - zero_point) * scale; None where it is float.
    """

    name: str
    shape: Annotated[list[int], Field(min_length=1, max_length=8)]
    type: str
    scale: float | None
    zero_point: int | None


def file_inputs(content: bytes) -> list[FileEnd] | None:
    """Returns the inputs in the file's order, None where it has one.

    Args:
        content: the bytes of the file.

    Raises:
        AtollError: they are no `.tflite` file.
    """
    file = TfliteFile.parse(content)
    if len(file.inputs) < 2:
        return None
    return [_described(content, file.tensors[index].name, file.tensors[index]) for index in file.inputs]


def file_outputs(content: bytes, names: Sequence[str]) -> list[FileEnd]:
    """Returns the outputs in the file's order.

    Args:
        content: the bytes of the file.
        names: of the network's outputs, as many.

    Raises:
        AtollError: they are no `.tflite` file, or it has not as many outputs.
    """
    file = TfliteFile.parse(content)
    if len(names) != len(file.outputs):
        raise AtollError(f"got {len(names)} names of outputs, allowed are {len(file.outputs)}, the file's")
    return [
        _described(content, name, file.tensors[index])
        for name, index in zip(names, file.outputs, strict=True)
    ]


@dataclass(frozen=True)
class FileInterface:
    """What a program has to know of a file.

    Args:
        inputs, outputs: in the file's order.
        operators: how many of each kind there are, by the schema's name, in the order of their first use;
            those of a loop's body count once.
    """

    inputs: Annotated[list[FileEnd], Field(max_length=_MOST)]
    outputs: Annotated[list[FileEnd], Field(max_length=_MOST)]
    operators: Annotated[dict[str, int], Field(max_length=_MOST)]

    @classmethod
    def of(cls, file: TfliteFile) -> Self:
        """Reads it off a file."""
        names = (operator.name for graph in file.graphs for operator in graph.operators)
        return cls(*file_ends(file), dict(Counter(names)))


def file_ends(file: TfliteFile) -> tuple[list[FileEnd], list[FileEnd]]:
    """Returns all inputs and all outputs of a file that was read, each in the file's order."""
    first, last = (
        [_described(file.content, file.tensors[index].name, file.tensors[index]) for index in places]
        for places in (file.inputs, file.outputs)
    )
    return first, last


def _described(content: bytes, name: str, tensor: FileTensor) -> FileEnd:
    scale, zero_point = (
        np.frombuffer(content, kind, 1, first)[0].item() if number else None
        for kind, (first, number) in (("<f4", tensor.scales), ("<i8", tensor.zero_points))
    )
    return FileEnd(name, [int(size) for size in tensor.shape], tensor.dtype.lower(), scale, zero_point)
