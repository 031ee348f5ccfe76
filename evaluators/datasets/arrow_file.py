"""A split as one Arrow file: written row by row in little memory, mapped by every reader without a copy."""

import hashlib
import io
import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ...spaces.errors import AtollError
from .dataset import Split

#: Linux's <asm-generic/mman-common.h>; Python names it from 3.13 on
_MAP_NORESERVE = 0x4000


@dataclass(frozen=True)
class Column:
    """One column that is not in memory.

    Args:
        dtype: of its numbers.
        shape: of one row, () for a number.
        pieces: arrays (n, *shape), all rows in order.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    pieces: Iterable[np.ndarray]

    def bytes_of(self, rows: int) -> int:
        """Returns what so many rows take."""
        return rows * prod(self.shape) * self.dtype.itemsize


def write_split(path: Path, rows: int, images: Column, labels: Column) -> str:
    """Writes an Arrow file (IPC) with one batch, in which each column is one contiguous piece.

    Arrow writes batches that are in memory. Here it is given columns of zeros that take none (pages that
    nobody touches), and where it would write them the rows are put down instead.

    Args:
        path: of the new file.
        rows: how many, 1 or more.
        images: becomes the column `image`.
        labels: becomes the column `label`.

    Returns:
        SHA-256 over types, shapes and bytes of both columns, hexadecimal.

    Raises:
        OSError: the file cannot be written.
    """
    digest = hashlib.sha256()
    size = max(images.bytes_of(rows), labels.bytes_of(rows))
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    zeros = pa.py_buffer(mmap.mmap(-1, size, flags=flags, prot=mmap.PROT_READ))
    with open(path, "xb") as stream:
        named = {"image": images, "label": labels}
        arrays = [_array(column, rows, zeros) for column in named.values()]
        batch = pa.record_batch(arrays, names=list(named))
        sink = _RowsForZeros(stream, [(column.bytes_of(rows), column.pieces) for column in named.values()])
        for name, column in named.items():
            digest.update(_head(name, column.dtype, (rows, *column.shape)))
        sink.digest = digest
        options = pa.ipc.IpcWriteOptions(allow_64bit=True)  # all numbers of a column are one array
        with pa.ipc.new_file(pa.PythonFile(sink, "w"), batch.schema, options=options) as writer:
            writer.write_batch(batch)
    return digest.hexdigest()


def map_split(path: Path) -> Split:
    """Maps a file of `write_split`; nothing of it is read before it is asked for.

    The mapping is private and may be written to, as torch wants its memory: the file never changes.

    Raises:
        AtollError: it is no such file.
        OSError: it cannot be opened.
    """
    with open(path, "rb") as stream:
        mapped = mmap.mmap(
            stream.fileno(), 0, flags=mmap.MAP_PRIVATE | _MAP_NORESERVE, prot=mmap.PROT_READ | mmap.PROT_WRITE
        )
    try:
        whole = pa.py_buffer(mapped)
        file = pa.ipc.open_file(whole)
        if file.num_record_batches != 1 or file.schema.names != ["image", "label"]:
            raise ValueError(f"{file.num_record_batches} batches of the columns {file.schema.names}")
        batch = file.get_batch(0)
        images, labels = (_view(column, mapped, whole.address) for column in batch.columns)
        return Split(torch.from_numpy(images), torch.from_numpy(labels))
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise AtollError(
            f"{path} is damaged ({str(error)[:200]}); delete its folder, and the data are decoded again"
        ) from error


def split_digest(split: Split) -> str:
    """Returns what `write_split` returned when it wrote a split, hexadecimal; it reads all of it."""
    digest, columns = hashlib.sha256(), (split.images.numpy(), split.labels.numpy())
    for name, column in zip(("image", "label"), columns, strict=True):
        digest.update(_head(name, column.dtype, column.shape))
    for column in columns:
        digest.update(column.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _head(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    return f"{name} {dtype.str} {shape};".encode()


class _RowsForZeros(io.RawIOBase):
    """What Arrow writes a batch of zeros to: their place is taken by rows."""

    def __init__(self, stream: io.BufferedWriter, columns: list[tuple[int, Iterable[np.ndarray]]]) -> None:
        self._stream, self._columns = stream, columns
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._stream.tell()

    def write(self, content: Any) -> int:
        if not isinstance(content, pa.Buffer):  # marks, schema, footer, padding
            return self._stream.write(content)
        expected, pieces = self._columns.pop(0)
        written = 0
        for piece in pieces:
            row_bytes = np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data
            self.digest.update(row_bytes)
            written += self._stream.write(row_bytes)
        if not written == expected == content.size:
            raise ValueError(f"a column of {expected:,} bytes came as {written:,} and {content.size:,}")
        return written


def _array(column: Column, rows: int, zeros: pa.Buffer) -> pa.Array:
    """Builds a column of zeros of the right type over memory that nobody touches."""
    of_number = pa.from_numpy_dtype(column.dtype)
    count = rows * prod(column.shape)
    numbers = pa.Array.from_buffers(of_number, count, [None, zeros.slice(0, column.bytes_of(rows))])
    if not column.shape:
        return numbers
    storage = pa.FixedSizeListArray.from_arrays(numbers, prod(column.shape))
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(of_number, column.shape), storage)


def _view(column: pa.Array, mapped: mmap.mmap, start: int) -> np.ndarray:
    shape: tuple[int, ...] = (len(column),)
    if isinstance(column.type, pa.FixedShapeTensorType):
        shape += tuple(column.type.shape)
        column = column.storage.values
    buffer = column.buffers()[1]
    numbers = np.frombuffer(mapped, column.type.to_pandas_dtype(), prod(shape), buffer.address - start)
    return numbers.reshape(shape)


def pieces_of(source: np.ndarray, rows: np.ndarray, piece_bytes: int = 2**24) -> Iterator[np.ndarray]:
    """Gives chosen rows of an array in pieces of bounded memory.

    Args:
        source: (N, ...), which may be mapped.
        rows: indices in the order that is wanted.
        piece_bytes: of a piece, about.
    """
    at_once = max(1, piece_bytes // max(1, source[:1].nbytes))
    for start in range(0, len(rows), at_once):
        yield source[rows[start : start + at_once]]
