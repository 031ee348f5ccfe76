"""Decodes what a reader gives, once, in a memory that does not grow with the bytes of the data."""

import hashlib
import itertools
import shutil
import time
from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import numpy as np

from ...spaces.errors import AtollError, MachineError
from ...spaces.layers.parts import Parts
from ...spaces.machine.resources import cores
from ...spaces.outside.shown import shown
from ..datasets.data_report import EXAMPLES
from ..datasets.mapped_dataset import SPLITS
from .array_layout import ArrayLayout
from .data_source import LARGEST_CLASSES, DataSource
from .picture import decode_picture, quiet_pillow
from .reader import Item, Reader, Unreadable

#: items that are in memory at once, for every core
_AT_ONCE = 32
#: between two reports of how far decoding is: a line each is no flood, and small data need none
_REPORT_EVERY_S = 5.0


@dataclass(frozen=True)
class Progress:
    """How far decoding is.

    Args:
        done, total: items.
        seconds_left: at the pace so far.
    """

    done: int
    total: int
    seconds_left: float

    def __str__(self) -> str:
        left = (
            f"{self.seconds_left:.0f} s" if self.seconds_left < 120 else f"{self.seconds_left / 60:.0f} min"
        )
        return f"decoded {self.done:,} of {self.total:,}, {left} left"


@dataclass(frozen=True)
class _Ready:
    """An item decoded: or why it is not."""

    item: Item
    values: np.ndarray | Unreadable
    came_as: tuple[int, int] | None = None
    remark: str = ""
    parts: Parts = ()


class RawColumn:
    """Rows of one shape and type, appended to a file.

    Args:
        path: of the file, new.
        what: it holds, for messages.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._path, self._what = path, what
        self._stream = open(path, "xb")  # noqa: SIM115 - closed by `close`
        self.dtype: np.dtype | None = None
        self.shape: tuple[int, ...] = ()
        self.rows = 0

    def check(self, values: np.ndarray) -> None:
        """Raises Unreadable where a row is not as the first one."""
        if self.dtype is not None and (values.dtype, values.shape) != (self.dtype, self.shape):
            raise Unreadable(
                f"{self._what} {values.dtype} {values.shape}, the first one {self.dtype} {self.shape}: all "
                "must be alike, or brought to one size by `input: {size: …, channels: …}`"
            )

    def append(self, values: np.ndarray) -> None:
        """Puts down a row that was checked."""
        self.dtype, self.shape = values.dtype, values.shape
        self._stream.write(np.ascontiguousarray(values).data)
        self.rows += 1

    def mapped(self) -> np.ndarray:
        """Returns all rows, mapped."""
        self._stream.close()
        return np.memmap(self._path, self.dtype or np.uint8, "r", shape=(self.rows, *self.shape))

    def close(self) -> None:
        """Closes the file, whatever happened."""
        self._stream.close()


@dataclass
class Decoded:
    """What decoding gave, in the order of the data; images and labels lie in files.

    Args:
        images, labels: as they are stored; names of classes as numbers in the order they were met.
        parts: shapes of the inputs of an item where it has several.
        label_names: those names.
        splits: index into SPLITS.
        groups: numbers of groups; empty where there are none.
        digests: of the images.
        rows: of the source.
        sizes, remarks: how many came so, or were treated so.
        skipped: how many were left out.
        skipped_names: the first of them, and why.
    """

    images: RawColumn
    labels: RawColumn
    parts: Parts = ()
    label_names: dict[str, int] = field(default_factory=dict)
    splits: array = field(default_factory=lambda: array("b"))
    groups: array = field(default_factory=lambda: array("q"))
    digests: array = field(default_factory=lambda: array("Q"))
    rows: array = field(default_factory=lambda: array("q"))
    sizes: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    skipped_names: list[tuple[str, str]] = field(default_factory=list)


def decode(
    reader: Reader, source: DataSource, folder: Path, on_progress: Callable[[Progress], None] | None
) -> Decoded:
    """Decodes every item into raw files in a folder.

    Raises:
        AtollError: an item cannot be read and is not to be skipped, or nothing is left.
        MachineError: there is no room.
        OSError: the files cannot be written.
    """
    if source.regression and reader.class_names is not None:
        names = ", ".join(map(shown, reader.class_names[:3]))
        raise AtollError(
            f"data: {shown(source.shown)} has classes ({names}, …), allowed "
            "for a regression are labels that are numbers"
        )
    total = reader.total
    rows: range | np.ndarray = range(total)
    if source.at_most is not None and source.at_most < total:
        # one of every stretch: rows at equal distances would miss classes that take turns
        ends = np.linspace(0, total, source.at_most + 1).astype(np.int64)
        rows = np.random.default_rng(0).integers(ends[:-1], ends[1:])
    found = Decoded(RawColumn(folder / "images.raw", "has"), RawColumn(folder / "labels.raw", "has a label"))
    numbers: dict[Hashable, int] = {}
    watch = _Watch(len(rows), on_progress)
    given = 0
    try:
        with quiet_pillow(), ThreadPoolExecutor(cores()) as pool:
            stream = _ready(reader.items(rows), source, pool)
            for row, ready in zip(rows, stream, strict=False):
                _take(found, int(row), ready, reader, source, numbers)
                if found.images.rows == 1 and not given:
                    _check_room(folder, found, len(rows))
                given += 1
                watch.done(given)
            given += sum(1 for _ in stream)  # none, unless the reader has more to say at its end
    finally:
        found.images.close()
        found.labels.close()
    if given != len(rows):
        raise AtollError(
            f"data: {shown(source.shown)} gave {given:,} items where it had said {len(rows):,}: its length "
            "must not change while it is read"
        )
    if not found.images.rows:
        names = "; ".join(f"{name} {why}" for name, why in found.skipped_names[:3])
        raise AtollError(
            f"data: {shown(source.shown)} has no items that can be read ({names or 'it is empty'})"
        )
    return found


def _take(
    found: Decoded, row: int, ready: _Ready, reader: Reader, source: DataSource, numbers: dict[Hashable, int]
) -> None:
    """Takes in one item, or the reason why not."""
    item = ready.item
    try:
        if isinstance(ready.values, Unreadable):
            raise ready.values
        label = _label(item.label, found.label_names, source.regression)
        if found.images.rows and ready.parts != found.parts:
            raise Unreadable(
                f"has inputs of {str(ready.parts or 'one shape')[:80]}, the first one "
                f"{str(found.parts or 'one')[:80]}"
            )
        found.images.check(ready.values)
        found.labels.check(label)
    except Unreadable as why:
        if not source.skip_bad:
            raise AtollError(
                f"data: {shown(reader.name(row))} {shown(why)}; mend it, or "
                "leave such ones out with `skip_bad: true`"
            ) from why
        found.skipped += 1
        if len(found.skipped_names) < EXAMPLES:
            found.skipped_names.append((reader.name(row), str(why)))
        return
    found.parts = ready.parts
    found.images.append(ready.values)
    found.labels.append(label)
    found.splits.append(SPLITS.index(item.split))
    if item.group is not None:
        found.groups.append(numbers.setdefault(item.group, len(numbers)))
    content = hashlib.blake2b(np.ascontiguousarray(ready.values).data, digest_size=8)
    found.digests.append(int.from_bytes(content.digest(), "little"))
    found.rows.append(row)
    if ready.came_as is not None:
        found.sizes["x".join(map(str, ready.came_as))] += 1
    if ready.remark:
        found.remarks[ready.remark] += 1


def _ready(items: Iterator[Item], source: DataSource, pool: ThreadPoolExecutor) -> Iterator[_Ready]:
    """Decodes items by all cores, in their order; Pillow leaves Python's lock while it works."""
    layout = ArrayLayout(source.size, source.channels)
    picture_size = (source.size[0], source.size[1]) if source.size and len(source.size) == 2 else None

    def ready(item: Item) -> _Ready:
        try:
            if isinstance(item.payload, Unreadable):
                return _Ready(item, item.payload)
            if isinstance(item.payload, np.ndarray):
                return _Ready(item, layout.stored(item.payload))
            if isinstance(item.payload, tuple):
                row, parts = layout.row(item.payload)
                return _Ready(item, row, parts=parts)
            channels = source.channels or colour
            picture = decode_picture(item.payload, picture_size, channels)
            return _Ready(item, picture.pixels, picture.came_as, picture.remark)
        except Unreadable as why:
            return _Ready(item, why)

    colour: int | None = None
    for item in items:  # the first that can be read decides between grey and colour
        first = ready(item)
        yield first
        if isinstance(first.values, np.ndarray):
            colour = 3 if first.came_as is not None and len(first.values) == 3 else None
            break
    while some := list(itertools.islice(items, cores() * _AT_ONCE)):
        is_array = isinstance(
            some[0].payload, np.ndarray | tuple
        )  # what is decoded already is not worth a thread
        yield from map(ready, some) if is_array else pool.map(ready, some)


def _label(given: int | float | str | np.ndarray, names: dict[str, int], regression: bool) -> np.ndarray:
    """Returns a label as it is stored: int64 for classes, float32 for targets."""
    if isinstance(given, str) and not regression:
        return np.asarray(names.setdefault(given, len(names)), np.int64)
    label = np.asarray(given)
    if label.shape and label.size == 1:
        label = label.reshape(())
    if label.dtype.kind in "iub" and not regression:
        if label.size and not 0 <= int(label.min()) <= int(label.max()) < LARGEST_CLASSES:
            raise Unreadable(
                f"has the label {int(label.min() if label.min() < 0 else label.max())}, allowed are classes "
                f"from 0 to {LARGEST_CLASSES - 1:,} (-1 is what hubs write where labels are kept secret)"
            )
        return label.astype(np.int64)
    if label.dtype.kind not in "iubf":
        allowed = "numbers" if regression else "classes and targets"
        raise Unreadable(f"has a label of {label.dtype}, allowed are {allowed}")
    if not np.isfinite(label).all():
        raise Unreadable("has a target that is not finite (NaN or infinity)")
    return label.astype(np.float32)


def _check_room(folder: Path, found: Decoded, total: int) -> None:
    """Refuses before the disk is full: while splits are cut, everything lies there twice."""
    row_bytes = sum(
        prod(column.shape) * column.dtype.itemsize
        for column in (found.images, found.labels)
        if column.dtype is not None
    )
    needed, free = 2 * total * row_bytes, shutil.disk_usage(folder).free
    if needed > free:
        raise MachineError(
            f"no room to decode {total:,} items: {needed / 1e9:.1f} GB are needed in {folder.parent} (half "
            f"of that stays), {free / 1e9:.1f} are free; make room, or name another folder in ATOLL_CACHE"
        )


class _Watch:
    """Tells how far decoding is, not too often."""

    def __init__(self, total: int, on_progress: Callable[[Progress], None] | None) -> None:
        self._total, self._on_progress = total, on_progress
        self._started = self._told = time.monotonic()

    def done(self, count: int) -> None:
        now = time.monotonic()
        if self._on_progress is None or (now - self._told < _REPORT_EVERY_S and count < self._total):
            return
        self._told = now
        left = (now - self._started) / count * (self._total - count)
        self._on_progress(Progress(count, self._total, left))
