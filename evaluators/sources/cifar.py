"""CIFAR-10 and CIFAR-100 as they are published: the binary files, and those for Python, read as data."""

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from ...spaces.errors import AtollError
from ...spaces.outside.foreign_file import read_bytes
from ...spaces.outside.pickled_arrays import read_pickled_arrays
from .reader import Item, file_stamp

_SHAPE = (3, 32, 32)
_PIXELS = 3 * 32 * 32
#: the largest published file, train of CIFAR-100, has 155 MB
_LARGEST_BYTES = 2**28
_TEN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
#: files by split, labels before the pixels, and file of the classes' names
_BINARY_10 = {"train": tuple(f"{name}.bin" for name in _TEN_BATCHES), "test": ("test_batch.bin",)}
_BINARY_100 = {"train": ("train.bin",), "test": ("test.bin",)}
_PYTHON_10 = {"train": _TEN_BATCHES, "test": ("test_batch",)}
_PYTHON_100 = {"train": ("train",), "test": ("test",)}


class Cifar:
    """The folder that unpacking a published archive gives; of CIFAR-100 the fine labels.

    Args:
        folder: with the files.

    Raises:
        AtollError: a file is missing, damaged, or holds something else.
    """

    remarks: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for files, is_binary, names in (
            (_BINARY_10, True, "batches.meta.txt"),
            (_BINARY_100, True, "fine_label_names.txt"),
            (_PYTHON_10, False, "batches.meta"),
            (_PYTHON_100, False, "meta"),
        ):
            if (folder / files["test"][0]).is_file() and (folder / files["train"][0]).is_file():
                self._files = [(split, folder / name) for split, held in files.items() for name in held]
                self._is_binary, self._is_100 = is_binary, files in (_BINARY_100, _PYTHON_100)
                self._names_file = folder / names
                break
        else:
            raise AtollError(f"data: {folder} holds none of CIFAR's published files")

    def stamp(self) -> Iterable[bytes]:
        """Gives name, size and time of every file."""
        return [file_stamp(path) for path in (self._names_file, *(path for _, path in self._files))]

    def items(self, rows: range | np.ndarray) -> Iterator[Item]:
        """Gives pictures as (3, 32, 32), which is how they are stored."""
        for row in rows:
            batch = int(np.searchsorted(self._starts, row, "right")) - 1
            labels, pixels = self._batches[batch]
            place = row - self._starts[batch]
            yield Item(pixels[place].reshape(_SHAPE), int(labels[place]), self._files[batch][0])

    def name(self, row: int) -> str:
        """Returns file and number of a picture."""
        batch = int(np.searchsorted(self._starts, row, "right")) - 1
        return f"{self._files[batch][1]}, picture {row - int(self._starts[batch])}"

    def _open(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """Returns labels and pixels of a file."""
        try:
            return self._binary(path) if self._is_binary else self._pickled(path)
        except OSError as error:
            raise AtollError(f"data: {path} cannot be read ({error.strerror})") from error

    def _binary(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        row_bytes = (2 if self._is_100 else 1) + _PIXELS
        size = os.path.getsize(path)
        if size == 0 or size % row_bytes:
            raise AtollError(
                f"data: {path} has {size:,} bytes, allowed is a multiple of {row_bytes:,}, one a picture"
            )
        rows = np.memmap(path, np.uint8, "r").reshape(-1, row_bytes)
        return np.array(rows[:, row_bytes - _PIXELS - 1]), rows[:, -_PIXELS:]

    def _pickled(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        found = read_pickled_arrays(read_bytes(path, _LARGEST_BYTES), f"data: {path}")
        labels = found.get("fine_labels" if self._is_100 else "labels") if isinstance(found, dict) else None
        pixels = found.get("data") if isinstance(found, dict) else None
        if (
            not isinstance(pixels, np.ndarray)
            or pixels.dtype != np.uint8
            or pixels.shape[1:] != (_PIXELS,)
            or not isinstance(labels, list)
            or len(labels) != len(pixels)
            or not all(type(label) is int for label in labels)
        ):
            raise AtollError(
                f"data: {path} holds no `data` (N, {_PIXELS}) of bytes with as many `labels` "
                "(`fine_labels` of CIFAR-100), which the published files do"
            )
        return np.array(labels, np.int64), pixels

    @cached_property
    def _batches(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return [self._open(path) for _, path in self._files]

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *(len(labels) for labels, _ in self._batches)])

    @cached_property
    def total(self) -> int:
        """How many pictures there are."""
        return int(self._starts[-1])

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Reads the names; without their file classes are called by their numbers."""
        if not self._names_file.is_file():
            return tuple(map(str, range(100 if self._is_100 else 10)))
        content = read_bytes(self._names_file, 2**20)
        if self._is_binary:
            names: object = content.decode("utf-8", "replace").split()
        else:
            found = read_pickled_arrays(content, f"data: {self._names_file}")
            names = found.get("fine_label_names" if self._is_100 else "label_names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise AtollError(f"data: {self._names_file} holds no list of names")
        return tuple(names)


def is_cifar(folder: Path) -> bool:
    """Says whether a folder holds published files of CIFAR-10 or CIFAR-100, by their names."""
    published = (_BINARY_10, _BINARY_100, _PYTHON_10, _PYTHON_100)
    return any((folder / files["test"][0]).is_file() for files in published)
