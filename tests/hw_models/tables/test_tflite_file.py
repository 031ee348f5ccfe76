"""A `.tflite` file by somebody else: what its figures cannot be is one sentence, at once."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from atoll.evaluators.litert import operators_pooling as pooling
from atoll.evaluators.litert.writer import TfliteModel
from atoll.hw_models.tables.tflite_file import FileOperator, FileTensor, TfliteFile
from atoll.spaces.errors import AtollError
from flatbuffers import Builder


def content(shape: tuple[int, ...] = (1, 4, 4, 1)) -> bytes:
    """A file of a pooling over an input of this shape."""
    model = TfliteModel()
    model.outputs = [pooling.pool_2d(model, model.add_input((1, 4, 4, 1)), "max", (4, 4))]
    plain = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model.to_bytes()))
    plain.subgraphs[0].tensors[0].shape = np.array(shape, np.int32)
    builder = Builder(1024)
    builder.Finish(plain.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_a_sane_file_is_read() -> None:
    assert [operator.name for operator in TfliteFile.parse(content()).operators] == ["MAX_POOL_2D"]


def test_a_tensor_of_more_elements_than_there_are_is_refused() -> None:
    with pytest.raises(AtollError, match=r"a tensor of more than 9,007,199,254,740,992 elements"):
        TfliteFile.parse(content(shape=(2**31 - 1,) * 3))


@pytest.mark.parametrize("place", range(0, 400, 4))
def test_any_word_of_a_file_may_be_huge(place: int) -> None:
    """Offsets, lengths, types and sizes alike: read, or one sentence, and at once."""
    damaged = bytearray(content())
    if place + 4 > len(damaged) or place == 4:
        return
    for word in (0x7FFFFFFF, 0x00FFFFFF, 0xFFFFFFFF, len(damaged)):
        damaged[place : place + 4] = word.to_bytes(4, "little")
        start = time.monotonic()
        try:
            TfliteFile.parse(bytes(damaged))
        except AtollError as error:
            assert "\n" not in str(error)
        assert time.monotonic() - start < 5


def test_a_constant_made_of_itself_is_found_at_once() -> None:
    tensors = tuple(FileTensor((2,), "FLOAT32", False) for _ in range(3))
    circle = (FileOperator("CAST", (1,), (2,)), FileOperator("CAST", (2,), (1,)))
    file = TfliteFile(0, tensors, circle, (0,), (2,))
    assert file.constant_behind(1) in tensors


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.tflite")
    with pytest.raises(AtollError, match="no regular file"):
        TfliteFile.read(tmp_path / "x.tflite")
