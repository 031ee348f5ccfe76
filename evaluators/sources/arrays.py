"""Inputs and targets that are arrays already, whole in memory or row by row."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...spaces.errors import AtollError
from .reader import Item


class Rows(Protocol):
    """An array of which some rows are read, in rising order."""

    def __len__(self) -> int: ...

    def rows(self, wanted: np.ndarray) -> Iterator[Any]:
        """Gives single rows: an array each, or one for every of several inputs."""


@dataclass(frozen=True)
class Together:
    """Arrays of several inputs as `Rows` of tuples.

    Raises:
        AtollError: they are not as long as each other.
    """

    parts: tuple[Rows, ...]

    def __post_init__(self) -> None:
        lengths = [len(part) for part in self.parts]
        if len(set(lengths)) != 1:
            raise AtollError(f"data: got inputs of {str(lengths)[:80]} items, allowed are as many of each")

    def __len__(self) -> int:
        return len(self.parts[0])

    def rows(self, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        """Gives single rows of all."""
        return zip(*(part.rows(wanted) for part in self.parts), strict=True)


@dataclass(frozen=True)
class InMemory:
    """An array as `Rows`."""

    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        """Gives single rows."""
        return (self.values[row] for row in wanted)


@dataclass(frozen=True)
class Part:
    """What belongs to one split.

    Args:
        split: its name.
        inputs: (N, …).
        targets: (N, …).
        groups: (N,), None where there are none.

    Raises:
        AtollError: they are not as many as each other.
    """

    split: str
    inputs: Rows
    targets: np.ndarray
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        for what, held in (("targets", self.targets), ("groups", self.groups)):
            if held is not None and (held.ndim == 0 or len(held) != len(self.inputs)):
                raise AtollError(
                    f"data: {self.split} has {len(self.inputs):,} inputs and {what} of the shape "
                    f"{held.shape}, allowed is one of them an input"
                )


class ArraysReader:
    """Items of arrays, split after split.

    Args:
        where: for messages.
        parts: one a split.
        class_names: where they are known.
        stamps: what changes when the arrays do.
    """

    remarks: tuple[str, ...] = ()

    def __init__(
        self, where: str, parts: list[Part], class_names: tuple[str, ...] | None, stamps: Iterable[bytes]
    ) -> None:
        self._where, self._parts, self._stamps = where, parts, list(stamps)
        self._starts = np.cumsum([0, *(len(part.inputs) for part in parts)])
        self.total = int(self._starts[-1])
        self.class_names = class_names

    def stamp(self) -> Iterable[bytes]:
        """Returns what it was given."""
        return self._stamps

    def items(self, rows: range | np.ndarray) -> Iterator[Item]:
        """Gives arrays as they are."""
        wanted = np.asarray(rows)
        for part, start, end in zip(self._parts, self._starts[:-1], self._starts[1:], strict=True):
            local = wanted[(wanted >= start) & (wanted < end)] - start
            for row, values in zip(local, part.inputs.rows(local), strict=True):
                target = part.targets[row]
                label = str(target) if part.targets.dtype.kind == "U" else np.asarray(target)
                yield Item(
                    values, label, part.split, None if part.groups is None else part.groups[row].item()
                )

    def name(self, row: int) -> str:
        """Returns where a row lies."""
        part = int(np.searchsorted(self._starts, row, "right")) - 1
        return f"{self._where}, row {row - int(self._starts[part])} of {self._parts[part].split}"
