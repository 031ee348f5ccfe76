"""What a file gives: its outputs with shape, type and grid, read off its bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from ...hw_models.tables.tflite_file import TfliteFile


@dataclass(frozen=True)
class FileOutput:
    """One output of a file.

    Args:
        name: that the network has for it.
        shape: of one sample, the batch of 1 first, channels last.
        type: of its numbers.
        scale, zero_point: of its grid, number = (integer - zero_point) * scale; None of a float output.
    """

    name: str
    shape: Annotated[list[int], Field(max_length=8)]
    type: str
    scale: float | None
    zero_point: int | None


def file_outputs(content: bytes, names: Sequence[str]) -> list[FileOutput]:
    """Returns the outputs of a file in their order.

    Args:
        content: the bytes of the file.
        names: of the network's outputs, as many.

    Raises:
        AtollError: the file is damaged.
    """
    file = TfliteFile.parse(content)
    found = []
    for name, index in zip(names, file.outputs, strict=True):
        tensor = file.tensors[index]
        scale = zero_point = None
        if tensor.scales[1]:
            scale = float(np.frombuffer(content, "<f4", 1, tensor.scales[0])[0])
            zero_point = int(np.frombuffer(content, "<i8", 1, tensor.zero_points[0])[0])
        found.append(
            FileOutput(name, [int(size) for size in tensor.shape], tensor.dtype.lower(), scale, zero_point)
        )
    return found
