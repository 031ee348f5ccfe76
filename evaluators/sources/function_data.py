"""A user's function that gives data: arrays, or map-style data sets of tensors."""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...spaces.errors import AtollError
from ...spaces.outside.shown import shown
from ..datasets.dataset import Split
from .arrays import ArraysReader, InMemory, Part, Rows, Together
from .data_source import DataSource
from .reader import SPLIT_NAMES, Item, Reader, Unreadable

#: items whose content tells the results of a function from others; all would cost what decoding costs
SAMPLED = 1_000
_ALLOWED = (
    "allowed are (inputs, targets) as arrays or tensors, a map-style data set of such pairs, "
    "or a dictionary of one of these for each of train, validation and test; several inputs are a tuple"
)


def read_function(source: DataSource, function: Callable[[], Any]) -> Reader:
    """Calls a function and reads what it gives.

    What it prints goes to standard error. The reader's stamp is the number of items, a sample of 1,000 of
    them and the source's `version`.

    Raises:
        AtollError: it raises, or gives something else than is allowed.
    """
    where = shown(source.shown)
    with redirect_stdout(sys.stderr):
        given = _asked(where, function)
    parts = given if isinstance(given, Mapping) else {"train": given}
    if isinstance(given, Mapping) and not (parts and all(str(name).lower() in SPLIT_NAMES for name in parts)):
        raise AtollError(f"data: {where} gave the keys {', '.join(map(str, parts))[:100]}, {_ALLOWED}")
    named = {SPLIT_NAMES[str(name).lower()]: part for name, part in parts.items()}
    arrays = {split: _arrays(split, part) for split, part in named.items()}
    if all(part is not None for part in arrays.values()):
        whole = ArraysReader(where, [part for part in arrays.values() if part is not None], None, ())
        return _Stamped(whole, source.version)
    for split, part in named.items():
        pair = arrays[split]
        if pair is not None:  # beside a data set of items: asked as one
            named[split] = part = list(
                zip(pair.inputs.rows(np.arange(len(pair.inputs))), pair.targets, strict=True)
            )
        if not (hasattr(part, "__len__") and hasattr(part, "__getitem__")) or isinstance(part, tuple):
            raise AtollError(f"data: {where} gave {type(part).__name__} for {split}, {_ALLOWED}")
    return _Stamped(MapStyle(where, named), source.version)


class MapStyle:
    """Items of data sets with `len` and `[index]`, split after split; each gives (input, target).

    Args:
        where: for messages.
        parts: a data set a split.

    Raises:
        AtollError: it raises when asked for its length.
    """

    class_names: tuple[str, ...] | None = None
    remarks: tuple[str, ...] = ()

    def __init__(self, where: str, parts: Mapping[str, Any]) -> None:
        self._where, self._parts = where, dict(parts)
        lengths = self._lengths()
        self._starts = np.cumsum([0, *lengths])
        self.total = int(self._starts[-1])

    def stamp(self) -> Iterable[bytes]:
        """Gives nothing: its content is its stamp."""
        return ()

    def items(self, rows: range | np.ndarray) -> Iterator[Item]:
        """Asks for item after item; at the end no part may have another length than at the beginning."""
        for row in rows:
            part = int(np.searchsorted(self._starts, row, "right")) - 1
            split, held = list(self._parts.items())[part]
            index = int(row - self._starts[part])
            try:
                with redirect_stdout(sys.stderr):
                    pair = held[index]
            except Exception as error:  # the user's own code: whatever it raises is said with its item
                yield Item(_raised(error), 0, split)
                continue
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                got = f"{type(pair).__name__}{f' of {len(pair)}' if hasattr(pair, '__len__') else ''}"
                yield Item(Unreadable(f"is {got}, allowed is (input, target)"), 0, split)
                continue
            yield Item(_payload(pair[0]), _target(pair[1]), split)
        lengths = self._lengths()
        if lengths != np.diff(self._starts).tolist():
            raise AtollError(
                f"data: {self._where} had {self.total:,} items and has {sum(lengths):,} now: its length must "
                "not change while it is read"
            )

    def _lengths(self) -> list[int]:
        return [_asked(self._where, part.__len__) for part in self._parts.values()]

    def name(self, row: int) -> str:
        """Returns split and index of an item."""
        part = int(np.searchsorted(self._starts, row, "right")) - 1
        return f"{self._where}, item {row - int(self._starts[part])} of {list(self._parts)[part]}"


class _Stamped:
    """A reader of what is in nobody's file: its stamp is a sample of its items, asked for twice.

    Raises:
        AtollError: an item is another one when it is asked for again.
    """

    def __init__(self, reader: Reader, version: str) -> None:
        self._reader, self._version = reader, version
        self.total, self.class_names, self.remarks = reader.total, reader.class_names, reader.remarks
        self.items, self.name = reader.items, reader.name

    def stamp(self) -> Iterable[bytes]:
        """Gives length, sample and version."""
        yield f"{self.total} {self._version}\0".encode()
        rows = np.linspace(0, self.total - 1, min(self.total, SAMPLED)).astype(np.int64)
        for item in self.items(rows):
            yield _digest(item)
        if len(rows):
            first, again = (next(iter(self.items(rows[:1]))) for _ in range(2))
            if _digest(first) != _digest(again):
                raise AtollError(
                    f"data: {self.name(0)} is another one each time; allowed are data that stay the same: "
                    "leave random changes to the study's `augment`"
                )


def _digest(item: Item) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for values in (item.payload, item.label):
        for one in values if isinstance(values, tuple) else (values,):
            if isinstance(one, np.ndarray):
                digest.update(f"{one.dtype.str} {one.shape}".encode())
                digest.update(np.ascontiguousarray(one).tobytes())
            else:
                digest.update(str(one).encode())
    digest.update(item.split.encode())
    return digest.digest()


def _asked(where: str, question: Callable[[], Any]) -> Any:
    try:
        return question()
    except AtollError:
        raise
    except Exception as error:  # the user's own code
        raise AtollError(f"data: {where} {_raised(error)}") from error


def _raised(error: Exception) -> Unreadable:
    return Unreadable(f"raised {type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _arrays(split: str, part: Any) -> Part | None:
    """Returns a pair of arrays as they are, None where it is something else."""
    if isinstance(part, Split):
        part = (part.images, part.labels)
    if not isinstance(part, tuple) or len(part) not in (2, 3):
        return None
    inputs, (targets, *groups) = _payload(part[0]), [_numbers(one) for one in part[1:]]
    first = inputs if isinstance(inputs, tuple) else (inputs,)
    arrays = [one for one in (*first, targets, *groups) if isinstance(one, np.ndarray) and one.ndim]
    if len(arrays) != len(first) + len(part) - 1:
        return None
    held = tuple(map(InMemory, arrays[: len(first)]))
    rows: Rows = Together(held) if len(held) > 1 else held[0]
    return Part(split, rows, *arrays[len(first) :])


def _payload(given: Any) -> np.ndarray | tuple[np.ndarray, ...] | Unreadable:
    """Returns the numbers of one input, or of several in a tuple."""
    several = isinstance(given, tuple) and len(given) > 1
    if not several or all(isinstance(one, int | float) for one in given):
        return _numbers(given)
    found = []
    for one in map(_numbers, given):
        if isinstance(one, Unreadable):
            return one
        found.append(one)
    return tuple(found)


def _numbers(given: Any) -> np.ndarray | Unreadable:
    if isinstance(given, Tensor):
        given = given.detach().cpu()
        return (given.float() if given.dtype == torch.bfloat16 else given).numpy()
    if isinstance(given, np.ndarray):
        return given
    if type(given).__module__.startswith("PIL."):
        return np.asarray(given if given.mode in ("L", "RGB", "RGBA") else given.convert("RGB"))
    if isinstance(given, list | tuple) and all(isinstance(one, int | float) for one in given):
        return np.asarray(given)
    return Unreadable(f"is {type(given).__name__}, allowed are tensors, arrays and pictures")


def _target(given: Any) -> int | float | str | np.ndarray:
    if isinstance(given, Tensor):
        return given.detach().cpu().numpy()
    return given if isinstance(given, int | float | str | np.ndarray) else np.asarray(given)
