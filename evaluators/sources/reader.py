"""What is asked of the reader of a format, and the items that it gives."""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

#: what a single reader's library raises where content is not what it seemed
DAMAGE = (ArithmeticError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError, ValueError)
#: names of splits in folders, files, columns and keys, after torchvision's and the hubs' use
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


class Unreadable(Exception):
    """One item cannot be read; the text says why, without its name."""


@dataclass(frozen=True)
class Item:
    """One input with its label, not decoded yet.

    Args:
        payload: a picture's file or bytes, numbers as they are, those of several inputs, or why there is
            none.
        label: index or name of its class, a target of a regression, or one a position.
        split: train, validation or test, as the data have it; train where they do not say.
        group: what stays in one split; None where the data have none.
    """

    payload: Path | bytes | np.ndarray | tuple[np.ndarray, ...] | Unreadable
    label: int | float | str | np.ndarray
    split: str = "train"
    group: Hashable = None


class Reader(Protocol):
    """Items of data in somebody else's format, in a fixed order.

    Made from a source, a reader knows how many items there are and what tells these data from others, and has
    decoded none. `items` may be asked for again and gives the same. Its memory does not grow with the bytes
    of the data. What is wrong with one item becomes an `Unreadable` payload; what is wrong with all of
    them an AtollError.
    """

    @property
    def total(self) -> int:
        """How many items there are."""

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Names of classes where the data have them; labels are then their indices."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know, e.g. of files that are not looked at."""

    def stamp(self) -> Iterable[bytes]:
        """Returns what changes when the data do, without reading them whole."""

    def items(self, rows: range | np.ndarray) -> Iterator[Item]:
        """Gives the items of some rows, which rise."""

    def name(self, row: int) -> str:
        """Returns what messages call an item."""


def file_stamp(path: Path) -> bytes:
    """Returns name, size and time of a file; that of a file that is gone is told from any other."""
    try:
        status = path.stat()
    except OSError:
        return bytes(path) + b"\0gone\0"
    return bytes(path) + f"\0{status.st_size} {status.st_mtime_ns}\0".encode()
