"""What the inputs of a `.tflite` file are, where it has several: whoever feeds it must tell them apart."""

from dataclasses import dataclass

import numpy as np

from ...hw_models.tables.tflite_file import FileTensor, TfliteFile


@dataclass(frozen=True)
class FileInput:
    """One of several inputs of a file.

    Args:
        name: of the argument in the network's own code.
        shape: with the batch, channels last.
        type: `float32` or `int8`.
        scale, zero_point: of its grid; none where it is float.
    """

    name: str
    shape: list[int]
    type: str
    scale: float | None
    zero_point: int | None


def file_inputs(content: bytes) -> list[FileInput] | None:
    """Returns the inputs in the file's order, None where it has one.

    Args:
        content: the bytes of the file.

    Raises:
        AtollError: they are no `.tflite` file.
    """
    file = TfliteFile.parse(content)
    if len(file.inputs) < 2:
        return None
    return [_described(content, file.tensors[index]) for index in file.inputs]


def _described(content: bytes, tensor: FileTensor) -> FileInput:
    scales, zero_points = (
        np.frombuffer(content, kind, number, first).tolist()
        for kind, (first, number) in (("<f4", tensor.scales), ("<i8", tensor.zero_points))
    )
    scale, zero_point = next(iter(scales), None), next(iter(zero_points), None)
    return FileInput(tensor.name, list(tensor.shape), tensor.dtype.lower(), scale, zero_point)
