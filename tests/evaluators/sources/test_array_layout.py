"""Arrays become channels-first inputs of one stored type, or are refused with what is allowed."""

from typing import Any

import numpy as np
import pytest
from atoll.evaluators.sources.array_layout import ArrayLayout
from atoll.evaluators.sources.reader import Unreadable


def ramp(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [
        ("u1", "uint8"), ("?", "uint8"), ("i1", "int16"), ("i2", "int16"), (">i2", "int16"),
        ("u2", "float32"),
        ("i4", "float32"), ("i8", "float32"), ("f2", "float32"), ("f4", "float32"), ("f8", "float32"),
    ],
)  # fmt: skip
def test_numbers_keep_their_value(dtype: str, stored: str) -> None:
    given = np.array([0, 1, 1 if dtype == "?" else 100], dtype)
    found = ArrayLayout().stored(given)
    assert found.dtype == stored and found.dtype.isnative and np.array_equal(found, given)


@pytest.mark.parametrize(
    ("shape", "dtype", "layout", "axes"),
    [
        ((7,), "f4", ArrayLayout(), (0,)),
        ((4, 9), "f4", ArrayLayout(), (0, 1)),
        ((2, 4, 9), "i2", ArrayLayout(), (0, 1, 2)),
        ((4, 9), "f4", ArrayLayout((4, 9), 1), (None, 0, 1)),
        ((4, 9), "f4", ArrayLayout((4, 9)), (None, 0, 1)),
        ((4, 9, 2), "f4", ArrayLayout((4, 9), 2), (2, 0, 1)),
        ((9, 4), "f4", ArrayLayout((9,), 4), (1, 0)),
        ((9, 4), "f4", ArrayLayout(None, 4), (1, 0)),
        ((9,), "f4", ArrayLayout((9,), 1), (None, 0)),
        ((9,), "f4", ArrayLayout((9,)), (0,)),
        ((4, 9), "f4", ArrayLayout(None, 1), (None, 0, 1)),
        ((6, 5), "u1", ArrayLayout(), (None, 0, 1)),
        ((6, 5, 3), "u1", ArrayLayout(), (2, 0, 1)),
        ((3, 6, 5), "u1", ArrayLayout(), (0, 1, 2)),
        ((6, 5, 8), "u1", ArrayLayout((6, 5), 8), (2, 0, 1)),
        ((8, 6, 5), "u1", ArrayLayout((6, 5), 8), (0, 1, 2)),
    ],
)
def test_axes(shape: tuple[int, ...], dtype: str, layout: ArrayLayout, axes: tuple[int | None, ...]) -> None:
    given = ramp(shape, dtype)
    expected = given.transpose([axis for axis in axes if axis is not None])
    expected = expected[None] if None in axes else expected
    found = layout.stored(given)
    assert np.array_equal(found, expected) and found.shape == expected.shape and found.flags.c_contiguous


def test_bytes_are_brought_to_a_size_as_pictures_are() -> None:
    grey = np.full((8, 8), 7, np.uint8)
    assert ArrayLayout((4, 4), 3).stored(grey).tolist() == np.full((3, 4, 4), 7).tolist()
    assert ArrayLayout((4, 4)).stored(np.full((8, 8, 3), 9, np.uint8)).shape == (3, 4, 4)


@pytest.mark.parametrize(
    ("given", "layout", "said"),
    [
        (np.float32([[1, np.nan]]), ArrayLayout(), "holds numbers that are not finite"),
        (np.float64([1e300]), ArrayLayout(), "holds numbers that are not finite"),
        (np.array(["a"]), ArrayLayout(), "holds <U1, allowed are numbers"),
        (np.array([{}]), ArrayLayout(), "holds object, allowed are numbers"),
        (np.zeros((2, 0)), ArrayLayout(), r"has the shape \(2, 0\), allowed are axes of 1 or more"),
        (np.zeros((1, 2, 3, 4)), ArrayLayout(), r"has the shape \(1, 2, 3, 4\), allowed are \(features,\)"),
        (
            np.zeros((5, 9)),
            ArrayLayout((4, 9), 1),
            r"has the shape \(5, 9\), allowed is \(1, 4, 9\), channels first",
        ),
        (
            np.zeros((5, 9, 7), np.uint8),
            ArrayLayout((4, 9), 3),
            r"allowed is \(3, 4, 9\), channels first or last",
        ),
        (np.float32(3), ArrayLayout(), r"has the shape \(\)"),
    ],
)
def test_what_does_not_fit_is_said(given: np.ndarray, layout: ArrayLayout, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        layout.stored(given)
