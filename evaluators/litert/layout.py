"""The parts of a flatbuffer and where they lie: each once, small vectors in the gaps before aligned ones."""

import operator
import struct
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder
from flatbuffers import number_types as flags

from .overlaps import Run, Words, runs_of

BUFFER_ALIGNMENT = 16  # bytes; `Buffer.data (force_align: 16)` of the schema
WORD = 4  # bytes of a vector's length and of a reference

# What decides where a vector may lie: its alignment, and its size up to whole steps of the widest alignment.
_Kind = tuple[int, int]


@dataclass(eq=False)
class Part:
    """A vector, text or table of the file.

    Args:
        write: writes it with a builder and returns its offset; what it refers to must be written before.
        offset: where it was written, None before.
    """

    write: Callable[[Builder], int]
    offset: int | None = None

    def __index__(self) -> int:
        """The offset, which is what the schema's functions take."""
        if self.offset is None:
            raise ValueError("a part of a flatbuffer is referred to before it is written")
        return self.offset


@dataclass(eq=False)
class Vector(Part):
    """A vector of scalars or a text: ``size`` bytes from an address on ``alignment``, their number before.

    Args:
        words: number and values of a shape, which may lie over others, else none.
    """

    size: int = 0
    alignment: int = WORD
    words: Words = ()


class FileLayout:
    """A flatbuffer under construction: parts are declared first and written at the end.

    Equal parts are one part, and shapes lie over each other where they can.
    """

    def __init__(self) -> None:
        self._parts: dict[Any, Part] = {}

    def sizes(self, values: Sequence[int]) -> Part:
        """Declares a vector of int32 that may lie over others of these: a shape.

        Of what follows from sizes alone, not from the order of operators, which signs of trained values may
        turn round.
        """
        return self._vector(values, np.int32, words=(len(values), *values))

    def vector(
        self,
        values: Sequence[int | float] | np.ndarray,
        dtype: type,
        alignment: int = WORD,
        token: object = None,
    ) -> Part:
        """Declares a vector of scalars.

        Args:
            values: any length.
            dtype: numpy type of one scalar.
            alignment: bytes; at least the scalar's own width is kept.
            token: what makes two vectors the same; their values if None.
        """
        return self._vector(values, dtype, alignment, token)

    def _vector(
        self,
        values: Sequence[int | float] | np.ndarray,
        dtype: type,
        alignment: int = WORD,
        token: object = None,
        words: Words = (),
    ) -> Part:
        array: np.ndarray = np.ascontiguousarray(values, dtype).reshape(-1)
        data, width = array.tobytes(), array.itemsize
        alignment = max(width, alignment)

        def write(builder: Builder) -> int:
            builder.StartVector(width, array.size, alignment)
            head = builder.Head() - len(data)
            builder.head = flags.UOffsetTFlags.py_type(head)
            builder.Bytes[head : head + len(data)] = data
            return builder.EndVector()

        key = (array.dtype.str, alignment, words or (data if token is None else token))
        return self._once(key, Vector(write, size=len(data), alignment=max(WORD, alignment), words=words))

    def text(self, text: str) -> Part:
        """Declares a string."""
        size = len(text.encode()) + 1  # a zero ends it
        return self._once(("text", text), Vector(lambda builder: builder.CreateString(text), size=size))

    def references(self, parts: Sequence[Part]) -> Part:
        """Declares a vector of references to tables that are declared."""

        def write(builder: Builder) -> int:
            builder.StartVector(WORD, len(parts), WORD)
            for part in reversed(parts):
                builder.PrependUOffsetTRelative(operator.index(part))
            return builder.EndVector()

        return self._once(("references", tuple(parts)), Part(write))

    def table(self, name: str, **fields: Any) -> Part:
        """Declares a table of the schema.

        Args:
            name: the table.
            fields: its CamelCase members, parts that are declared or plain values; None leaves one out.
        """

        def write(builder: Builder) -> int:
            builder.Prep(WORD, 0)  # a gap inside the table would make its layout one of its own
            getattr(schema, f"{name}Start")(builder)
            for field, value in fields.items():
                if value is not None:
                    plain = operator.index(value) if isinstance(value, Part) else value
                    getattr(schema, f"{name}Add{field}")(builder, plain)
            return getattr(schema, f"{name}End")(builder)

        return self._once((name, tuple(fields.items())), Part(write))

    def _once(self, key: Any, part: Part) -> Part:
        return self._parts.setdefault(key, part)

    def to_bytes(self, root: Part, identifier: bytes) -> bytes:
        """Writes the file: vectors first, then everything in the order of declaration.

        Args:
            root: the table that holds all others.
            identifier: four bytes that say what the file is.
        """
        builder = Builder(4096)
        parts = list(self._parts.values())
        vectors = [part for part in parts if isinstance(part, Vector)]
        laid = [*_laid_over([part for part in vectors if part.words]), *(v for v in vectors if not v.words)]
        for part in chain(_without_gaps(laid, builder.Offset), parts):
            if part.offset is None:
                part.offset = part.write(builder)
        builder.Finish(operator.index(root), file_identifier=identifier)
        return bytes(builder.Output())


def _laid_over(vectors: Sequence[Vector]) -> list[Vector]:
    """Returns runs of words; where one is written, so are the vectors in it."""
    vectors = sorted(vectors, key=lambda vector: vector.words)  # in whatever order they were declared
    return [_run_of(run, vectors) for run in runs_of([vector.words for vector in vectors])]


def _run_of(run: Run, vectors: Sequence[Vector]) -> Vector:
    data = struct.pack(f"<{len(run.words)}i", *run.words)

    def write(builder: Builder) -> int:
        builder.Prep(WORD, len(data))
        head = builder.Head() - len(data)
        builder.head = flags.UOffsetTFlags.py_type(head)
        builder.Bytes[head : head + len(data)] = data
        offset = builder.Offset()
        for number, first in run.places:
            vectors[number].offset = offset - WORD * first  # a flatbuffer is counted from its end
        return offset

    return Vector(write, size=len(data) - WORD)


def _without_gaps(vectors: Sequence[Vector], written: Callable[[], int]) -> Iterator[Vector]:
    """Yields vectors in an order in which small ones fill the gaps before aligned ones.

    Sizes alone decide, so that other values in a file leave its size as it is.

    Args:
        vectors: those of one kind stay in this order.
        written: tells how many bytes there are; a flatbuffer grows from its end, so that is the place.
    """
    waiting: dict[_Kind, deque[Vector]] = {}
    for vector in vectors:
        kind = (vector.alignment, vector.size % BUFFER_ALIGNMENT)
        waiting.setdefault(kind, deque()).append(vector)
    while waiting:
        kind = _best_kind(tuple(waiting), written() % BUFFER_ALIGNMENT)
        yield waiting[kind].popleft()
        if not waiting[kind]:
            del waiting[kind]


@cache
def _best_kind(kinds: tuple[_Kind, ...], place: int) -> _Kind:
    """The kind that loses the fewest words here, or before the next aligned one; the aligned if equal."""
    aligned = [kind for kind in kinds if kind[0] > WORD]

    def lost_words(kind: _Kind) -> int:
        if kind in aligned:
            return _padding(kind, place) // WORD
        after = place + _padding(kind, place) + kind[1] + WORD
        return min((_padding(other, after) // WORD for other in aligned), default=0)

    return min(kinds, key=lambda kind: (lost_words(kind), -kind[0]))


def _padding(kind: _Kind, place: int) -> int:
    """Bytes that are lost before a vector of that kind."""
    alignment, size = kind
    return -(place + size) % alignment
