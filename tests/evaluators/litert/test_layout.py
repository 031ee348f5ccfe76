"""Parts of a flatbuffer: written once, aligned, and without gaps where small vectors can fill them."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from atoll.evaluators.litert.layout import BUFFER_ALIGNMENT, FileLayout
from hypothesis import given
from hypothesis import strategies as st


def content_of(buffers: list[bytes], shapes: list[list[int]]) -> bytes:
    """A model of buffers, and of tensors with these shapes."""
    layout = FileLayout()
    held = [
        layout.table("Buffer", Data=layout.vector(list(data), np.uint8, BUFFER_ALIGNMENT, number))
        for number, data in enumerate(buffers)
    ]
    tensors = [layout.table("Tensor", Shape=layout.vector(shape, np.int32)) for shape in shapes]
    graph = layout.table("SubGraph", Tensors=layout.references(tensors))
    root = layout.table("Model", Subgraphs=layout.references([graph]), Buffers=layout.references(held))
    return layout.to_bytes(root, b"TFL3")


@given(
    st.lists(st.binary(min_size=1, max_size=70), min_size=1, max_size=9),
    st.lists(st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=5), max_size=9),
)
def test_everything_comes_back_and_buffers_are_aligned(buffers: list[bytes], shapes: list[list[int]]) -> None:
    content = content_of(buffers, shapes)
    read = schema.Model.GetRootAs(content)
    base = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
    found = [read.Buffers(i).DataAsNumpy() for i in range(read.BuffersLength())]
    assert [data.tobytes() for data in found] == buffers
    assert all((data.__array_interface__["data"][0] - base) % 16 == 0 for data in found)
    graph = read.Subgraphs(0)
    assert [graph.Tensors(i).ShapeAsNumpy().tolist() for i in range(graph.TensorsLength())] == shapes


def test_small_vectors_fill_the_gaps_before_aligned_ones() -> None:
    """Behind its length of 4 bytes every buffer but the first would lose 12."""
    buffers, shapes = [bytes([n] * 16) for n in range(8)], [[n, n] for n in range(8)]
    parts = 8 * (4 + 16) + 8 * (4 + 8)  # vectors with their lengths
    tables = 8 * 8 + 8 * 8 + 8 + 12 + 3 * 4 + 4 * (8 + 8 + 1)  # and the references
    kinds = 4 * 8 + 12  # what each kind of table looks like, with two bytes to the next word
    assert len(content_of(buffers, shapes)) <= parts + tables + kinds + 8 + 15


def test_equal_parts_are_one() -> None:
    once, twice = content_of([b"a"], [[1, 2]]), content_of([b"a"], [[1, 2], [1, 2]])
    assert len(twice) - len(once) in range(4, 20)  # one more reference, and the file ends on 16 bytes


def test_lists_lie_over_each_other_and_weights_do_not() -> None:
    """The shape (2, 16) ends as (16, 2) begins; a list in another is nothing but a reference to it."""
    layout = FileLayout()
    shapes = [layout.sizes(shape) for shape in ([2, 16], [16, 2], [2])]
    held = [layout.vector([1, 1, 1], np.float32, token=number) for number in range(2)]
    tensors = [layout.table("Tensor", Shape=shape) for shape in shapes]
    tables = [layout.table("QuantizationParameters", Scale=scales) for scales in held]
    root = layout.table("SubGraph", Tensors=layout.references([*tensors, *tables]))
    content = layout.to_bytes(root, b"TFL3")
    words = np.frombuffer(content, np.int32).tolist()
    assert [2, 2, 16, 2] in [words[at : at + 4] for at in range(len(words))]
    assert sum(words[at : at + 2] == [2, 16] for at in range(len(words))) == 1
    assert np.frombuffer(content, np.float32).tolist().count(1.0) == 6
    graph = schema.SubGraph.GetRootAs(content)
    assert [graph.Tensors(i).ShapeAsNumpy().tolist() for i in range(3)] == [[2, 16], [16, 2], [2]]


def test_a_shape_and_a_list_of_tensors_are_never_one() -> None:
    """Else the size would depend on which number a tensor has, which signs of trained values decide."""
    layout = FileLayout()
    assert layout.sizes([16]) is layout.sizes((16,))
    assert layout.sizes([16]) is not layout.vector([16], np.int32)


def test_a_part_that_was_not_written_has_no_offset() -> None:
    layout = FileLayout()
    with pytest.raises(ValueError, match="before it is written"):
        int(layout.table("Buffer").__index__())
