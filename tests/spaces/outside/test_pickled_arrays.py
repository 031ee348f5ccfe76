"""Pickles of arrays are read as data: as pickle itself reads them, and nothing in them is ever called."""

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from atoll.spaces.errors import AtollError
from atoll.spaces.outside.pickled_arrays import read_pickled_arrays


def published(entries: dict[bytes, Any]) -> bytes:
    """Writes a dictionary as Python 2 did for CIFAR: protocol 2, texts as bytes, arrays by NumPy 1."""

    def text(value: bytes) -> bytes:
        return (
            b"U" + bytes([len(value)]) + value
            if len(value) < 256
            else b"T" + struct.pack("<i", len(value)) + value
        )

    def put(value: Any) -> bytes:
        if isinstance(value, bytes):
            return text(value)
        if isinstance(value, int):
            return b"K" + bytes([value])
        if isinstance(value, list):
            return b"](" + b"".join(map(put, value)) + b"e"
        rows, columns = value.shape
        array = b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87R"
        shape = b"M" + struct.pack("<H", rows) + b"M" + struct.pack("<H", columns) + b"\x86"
        kind = b"cnumpy\ndtype\nq\x04U\x02u1K\x00K\x01\x87Rq\x05"
        kind += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        return array + b"q\x03(K\x01" + shape + kind + b"\x89" + text(value.tobytes()) + b"tb"

    return b"\x80\x02}(" + b"".join(put(key) + put(value) for key, value in entries.items()) + b"u."


ARRAY = np.arange(600, dtype=np.uint8).reshape(2, 300)


def test_it_reads_what_python_2_published() -> None:
    content = published({b"data": ARRAY, b"labels": [3, 250], b"batch_label": b"one of 1"})
    by_pickle = pickle.loads(content, encoding="bytes")
    found = read_pickled_arrays(content, "f")
    assert found["data"].dtype == np.uint8 and np.array_equal(found["data"], by_pickle[b"data"])
    assert found["labels"] == by_pickle[b"labels"] == [3, 250]
    assert found["batch_label"] == "one of 1"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("array", [ARRAY, np.array([[1, -2], [70_000, 4]], ">i4"), np.asfortranarray(ARRAY)])
def test_it_reads_what_python_3_writes(protocol: int, array: np.ndarray) -> None:
    value = {
        "data": array,
        "labels": list(range(300)),
        "none": None,
        "names": ["ä", "b"],
        "pair": (1, 2.5, True),
    }
    try:
        found = read_pickled_arrays(pickle.dumps(value, protocol), "f")
    except AtollError as error:
        # NumPy writes contiguous arrays by another function from protocol 5 on
        assert protocol == 5 and "_frombuffer" in str(error)
        return
    assert np.array_equal(found.pop("data"), value.pop("data"))
    assert found == value


class Evil:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_is_called(protocol: int, tmp_path: Path) -> None:
    there = tmp_path / "called"
    evil = pickle.dumps({"data": Evil(os.system, (f"touch {there}",))}, protocol)
    with pytest.raises(
        AtollError, match=r"^f (calls (posix|nt)\.system|has the instruction \w+), allowed are dict"
    ):
        read_pickled_arrays(evil, "f")
    assert not there.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n.",
        b"cnumpy\nndarray\n)\x81.",  # would make an array without its shape
        b"cnumpy\ndtype\n(U\x01OK\x00K\x01tR.(",
        b"(i os\nsystem\n.",
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nK\x00\x85U\x01b\x87R.",
        b"U\x03abc}b.",
        b"r\xff\xff\xff\xff.",
        b"",
        b"no pickle",
        b"]" * 50 + b".",
        b"\x80\x02e.",
        b"h\x07.",
    ],
)
def test_everything_else_is_refused_in_a_sentence(content: bytes) -> None:
    with pytest.raises(AtollError, match=r"^f (calls|has the instruction|is no pickle|sets the state)"):
        read_pickled_arrays(content, "f")


def test_objects_in_arrays_are_refused() -> None:
    with pytest.raises(AtollError, match=r"^f (holds an array of object|calls|is no pickle)"):
        read_pickled_arrays(pickle.dumps({"data": np.array([[], {}], object)}, 2), "f")


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_a_cut_or_flipped_pickle_is_an_error_or_data(cut: int) -> None:
    content = published({b"data": ARRAY, b"labels": [1, 2]})
    for damaged in (content[:cut], content[:cut] + b"\xff" + content[cut + 1 :]):
        try:
            read_pickled_arrays(damaged, "f")
        except AtollError as error:
            assert str(error).startswith("f ")


def test_lists_that_are_one_list_take_no_memory() -> None:
    """A hundred lists, each of the one before it twice: 2^100 numbers, written in 500 bytes."""
    value: list[Any] = [7]
    for _ in range(100):
        value = [value, value]
    found = read_pickled_arrays(pickle.dumps(value), "f")
    for _ in range(100):
        assert found[0] is found[1]
        found = found[0]
    assert found == [7]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\x80\x02cnumpy\nndarray\n.", "_Name is left over"),
        (b"\x80\x02K\x01K\x02u.", "a list that does not begin"),
        (b"\x80\x02](", "pickle exhausted before seeing STOP"),
        (b"\x80\x02]q\x00h\x00a.", "recursion"),
    ],
)
def test_what_is_no_pickle_of_arrays_is_said(content: bytes, why: str) -> None:
    with pytest.raises(AtollError, match=f"^f is no pickle of arrays .*{why}"):
        read_pickled_arrays(content, "f")
