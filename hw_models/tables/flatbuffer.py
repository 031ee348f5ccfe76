"""Reads flatbuffers that come from anywhere: every offset and length is held against the bytes there are.

The generated readers of a schema follow whatever a file says. Here nothing is read beyond the file and
nothing is allocated because it says so.
"""

import struct
from dataclasses import dataclass, field

import numpy as np

from ...spaces.errors import AtollError

#: how often each byte of a file may be read, parts that are shared included: LiteRT's own files share none,
#: this project's share shapes, grids and options, some ten tensors each
READS_PER_BYTE = 64


@dataclass
class Flatbuffer:
    """The bytes of a flatbuffer and how much of it may still be read."""

    content: bytes
    _left: int = field(init=False)

    def __post_init__(self) -> None:
        self._left = READS_PER_BYTE * len(self.content)

    def span(self, start: int, size: int) -> int:
        """Returns the start of a part that lies inside.

        Raises:
            AtollError: it does not, or the file was read too often.
        """
        if start < 0 or size < 0 or start + size > len(self.content):
            raise AtollError(
                f"got a damaged .tflite file ({size} bytes at {start}, it has {len(self.content)})"
            )
        self._left -= size
        if self._left < 0:
            raise AtollError("got a damaged .tflite file (its parts are used more often than a file's are)")
        return start

    def number(self, layout: str, at: int) -> int:
        """Returns the number at a place, in the layout of `struct`."""
        return struct.unpack_from(layout, self.content, self.span(at, struct.calcsize(layout)))[0]

    def root(self) -> "Table":
        """Returns the table that holds all others."""
        return Table(self, self.number("<I", 0))


class Table:
    """One table; its fields are numbered as the schema lists them.

    Args:
        source: where it lies.
        at: its place.
    """

    def __init__(self, source: Flatbuffer, at: int) -> None:
        self._source, self._at = source, at
        self._fields = at - source.number("<i", at)
        self._count = (source.number("<H", self._fields) - 4) // 2

    def _place(self, number: int) -> int | None:
        """Returns where a field lies, None where the table leaves it out."""
        if number >= self._count:
            return None
        offset = self._source.number("<H", self._fields + 4 + 2 * number)
        return self._at + offset if offset else None

    def _behind(self, number: int) -> int | None:
        place = self._place(number)
        return None if place is None else place + self._source.number("<I", place)

    def number(self, number: int, layout: str, default: int = 0) -> int:
        """Returns a field of one number, in the layout of `struct`."""
        place = self._place(number)
        return default if place is None else self._source.number(layout, place)

    def table(self, number: int) -> "Table | None":
        """Returns a table that a field refers to."""
        at = self._behind(number)
        return None if at is None else Table(self._source, at)

    def vector(self, number: int, width: int) -> tuple[int, int]:
        """Returns where a vector's values begin and how many there are, of so many bytes each."""
        at = self._behind(number)
        if at is None:
            return 0, 0
        count = self._source.number("<I", at)
        return self._source.span(at + 4, count * width), count

    def numbers(self, number: int, dtype: type) -> np.ndarray:
        """Returns a vector of numbers as it lies, without a copy."""
        start, count = self.vector(number, np.dtype(dtype).itemsize)
        return np.frombuffer(self._source.content, np.dtype(dtype).newbyteorder("<"), count, start)

    def tables(self, number: int) -> list["Table"]:
        """Returns the tables that a vector refers to."""
        start, count = self.vector(number, 4)
        places = (start + 4 * position for position in range(count))
        return [Table(self._source, at + self._source.number("<I", at)) for at in places]

    def text(self, number: int) -> str:
        """Returns a text, what is no UTF-8 in it replaced."""
        start, count = self.vector(number, 1)
        return self._source.content[start : start + count].decode(errors="replace")
