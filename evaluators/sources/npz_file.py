"""NumPy's `.npz` files: arrays of inputs and targets, read row by row."""

import math
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from ...spaces.errors import AtollError
from ...spaces.outside.shown import shown
from .arrays import ArraysReader, Part, Rows, Together
from .reader import DAMAGE, SPLIT_NAMES, file_stamp

#: words for what an array holds, after Keras, MedMNIST and scikit-learn
_ROLES = {
    **dict.fromkeys(("x", "images", "image", "inputs", "input", "data", "features"), "inputs"),
    **dict.fromkeys(("y", "labels", "label", "targets", "target"), "targets"),
    **dict.fromkeys(("group", "groups"), "groups"),
    **dict.fromkeys(("classes", "names"), "classes"),
}
_ALLOWED = (
    "allowed are x and y, or x_train, y_train, x_test and so on (also images and labels), groups, classes; "
    "of several inputs x_0, x_1, …"
)
_DAMAGE = (zipfile.BadZipFile, zlib.error, *DAMAGE)
#: rows that are read at once
_PIECE_BYTES = 2**22
_LARGEST_ROW = 2**30
#: of targets, groups and names, which are read whole
_LARGEST_WHOLE = 2**32


def read_npz(path: Path) -> ArraysReader:
    """Opens an `.npz` file: arrays `x` and `y`, or of splits, `x_train`, `train_y`, `val_images`, ….

    Several inputs are numbered, `x_0`, `x_1` or `x_train_0`, in the order of the network's arguments.

    Inputs may be compressed: they are read row by row. Arrays of Python objects are refused, as they would
    have to be unpickled.

    Raises:
        AtollError: it is none, or has other arrays.
    """
    where = f"data: {shown(path)}"
    try:
        archive = zipfile.ZipFile(path)
        found: dict[tuple[str, str], str] = {}
        for name in archive.namelist():
            split, role = _meaning(name.removesuffix(".npy"), where)
            if (split, role) in found:
                raise AtollError(f"{where} has {name} besides {found[split, role]}, {_ALLOWED}")
            found[split, role] = name
        members = {key: NpyMember(archive, name, where) for key, name in found.items()}
        parts = []
        for split in ("train", "validation", "test"):
            has_inputs = any(part == split and role.startswith("inputs") for part, role in members)
            if not has_inputs and (split, "targets") not in members:
                continue
            if not has_inputs or (split, "targets") not in members:
                raise AtollError(f"{where} has not both inputs and targets for {split}, {_ALLOWED}")
            groups = members.get((split, "groups"))
            targets = members[split, "targets"].whole()
            inputs = _inputs(members, split, where)
            parts.append(Part(split, inputs, targets, None if groups is None else groups.whole()))
        if not parts:
            raise AtollError(f"{where} has no inputs, {_ALLOWED}")
        names = members.get(("train", "classes"))
        return ArraysReader(
            str(path), parts, None if names is None else tuple(map(str, names.whole())), [file_stamp(path)]
        )
    except _DAMAGE as error:
        raise AtollError(f"{where} is no .npz file that can be read ({str(error)[:200]})") from error


def _inputs(members: Mapping[tuple[str, str], "NpyMember"], split: str, where: str) -> Rows:
    """Returns the inputs of a split: one array, or those that are numbered, together."""
    found = {
        role: one for (part, role), one in members.items() if part == split and role.startswith("inputs")
    }
    if set(found) == {"inputs"}:
        return found["inputs"]
    numbers = sorted(int(role.removeprefix("inputs") or -1) for role in found)
    if numbers not in ([*range(len(found))], [*range(1, len(found) + 1)]) or len(found) < 2:
        raise AtollError(f"{where} has inputs for {split} that are numbered otherwise, {_ALLOWED}")
    return Together(tuple(found[f"inputs{number}"] for number in numbers))


class NpyMember:
    """One array of an archive, as `Rows`.

    Args:
        archive: the open file.
        name: of the member.
        where: for messages.

    Raises:
        AtollError: it holds objects, or is stored by columns.
    """

    def __init__(self, archive: zipfile.ZipFile, name: str, where: str) -> None:
        self._archive, self._name = archive, name
        with archive.open(name) as stream:
            self.shape, by_columns, self.dtype = _header(stream)
        if self.dtype.hasobject:
            raise AtollError(
                f"{where}: {name} holds Python objects, allowed are arrays of numbers and of text"
            )
        if by_columns and len(self.shape) > 1:
            raise AtollError(
                f"{where}: {name} is stored by columns (Fortran's order), allowed is by rows: "
                "`np.ascontiguousarray` before `np.savez`"
            )
        if not self.shape:
            raise AtollError(f"{where}: {name} is a single number, allowed are arrays with a row an item")
        if min(self.shape) < 0:
            raise AtollError(f"{where}: {name} has the shape {self.shape}, allowed are axes of 0 or more")
        if self._row_bytes > _LARGEST_ROW:
            raise AtollError(
                f"{where}: {name} has {self._row_bytes:,} bytes a row, allowed are {_LARGEST_ROW:,} at most"
            )

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def _row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize  # exact, however large they say

    def whole(self) -> np.ndarray:
        """Returns all of it."""
        if self._row_bytes * len(self) > _LARGEST_WHOLE:
            raise ValueError(f"{self._name} is larger than {_LARGEST_WHOLE:,} bytes")
        with self._archive.open(self._name) as stream:
            _header(stream)
            content = stream.read(self._row_bytes * len(self))
        return np.frombuffer(content, self.dtype).reshape(self.shape)

    def rows(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        """Gives single rows; what lies between is read over."""
        at_once = max(1, _PIECE_BYTES // max(1, self._row_bytes))
        with self._archive.open(self._name) as stream:
            _header(stream)
            for start in range(0, len(self) if len(wanted) else 0, at_once):
                count = min(at_once, len(self) - start)
                try:
                    content = stream.read(count * self._row_bytes)
                    piece = np.frombuffer(content, self.dtype).reshape(count, *self.shape[1:])
                except _DAMAGE as error:
                    raise AtollError(
                        f"data: {self._archive.filename} is damaged in {self._name} ({str(error)[:200]})"
                    ) from error
                for row in wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, start + count)]:
                    yield piece[row - start]
                if start + count > wanted[-1]:
                    return


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version} of .npy")
    return read(stream)


def _meaning(name: str, where: str) -> tuple[str, str]:
    """Returns split and role of an array by its name; the role of one of several inputs with its number."""
    words = re.split(r"[_.\-/ ]+", name.lower())
    splits = [SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES]
    roles = [_ROLES[word] for word in words if word in _ROLES]
    rest = [word for word in words if word not in SPLIT_NAMES and word not in _ROLES and word != "class"]
    number = ""
    if roles == ["inputs"] and len(rest) == 1 and re.fullmatch("0|[1-9][0-9]?", rest[0]):
        number = rest.pop()
    if rest or len(splits) > 1 or len(roles) != 1:
        raise AtollError(f"{where} has an array {shown(name)[:60]}, {_ALLOWED}")
    return (splits or ["train"])[0], roles[0] + number
