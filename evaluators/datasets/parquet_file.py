"""Rendered images in one Parquet file, so that they are rendered once."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ...spaces.errors import AtollError, MachineError
from ...spaces.outside.foreign_file import damage_told
from .dataset import Dataset, ImagesInMemory, Split
from .render import SIDE

#: key of the file's metadata under which the digest of its columns stands
_DIGEST = b"sha256"


def write_parquet(path: Path, rows: Iterator[dict[str, object]]) -> None:
    """Writes rendered rows under a temporary name and renames it, so that nobody ever reads half a file.

    Raises:
        MachineError: the folder cannot be made or written, e.g. because the disk is full.
    """
    schema = pa.schema([("split", pa.string()), ("label", pa.int64()), ("image", pa.binary(SIDE * SIDE * 3))])
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist(list(rows), schema)
        pq.write_table(table.replace_schema_metadata({_DIGEST: _digest(table)}), partial, compression="zstd")
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise MachineError(
            f"cannot write the rendered characters to {path} ({error.strerror or error}); "
            "make room there, or name another folder in ATOLL_CACHE"
        ) from error


def read_parquet(path: Path, name: str, class_names: tuple[str, ...], version: str) -> Dataset:
    """Reads what `write_parquet` wrote.

    Args:
        path: the file.
        name: name of the data set.
        class_names: name of class 0, 1, ...
        version: digest of what the images were made from.

    Raises:
        AtollError: the file is damaged.
    """
    again = "delete it and it is rendered again"
    try:
        with damage_told(f"cannot read {path}", f"what was rendered; {again}"):
            table = pq.read_table(path)
            # a file of before has no digest
            if (table.schema.metadata or {}).get(_DIGEST, _digest(table)) != _digest(table):
                raise AtollError(f"{path} is damaged (its digest is another's); {again}")
            names = table["split"].to_numpy(zero_copy_only=False)
            labels = table["label"].to_numpy()
            pixels = np.frombuffer(table["image"].combine_chunks().buffers()[1], np.uint8)
            images = torch.from_numpy(pixels.reshape(-1, SIDE, SIDE, 3).transpose(0, 3, 1, 2).copy())
    except (OSError, pa.ArrowException) as error:
        raise AtollError(f"cannot read {path} ({' '.join(str(error).split())}); {again}") from error

    def split(name: str) -> Split:
        rows = np.flatnonzero(names == name)
        return Split(images[rows], torch.from_numpy(labels[rows]))

    return ImagesInMemory(name, split("train"), split("validation"), split("test"), class_names, version)


def _digest(table: pa.Table) -> bytes:
    """Returns the SHA-256 over the bytes of all columns, hexadecimal."""
    digest = hashlib.sha256()
    for column in table.columns:
        for buffer in column.combine_chunks().buffers():
            digest.update(b"" if buffer is None else buffer)
    return digest.hexdigest().encode()
