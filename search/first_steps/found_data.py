"""What a user's data hold, seen from a sample of them that is decoded and thrown away."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...evaluators.sources.array_layout import ArrayLayout
from ...evaluators.sources.data_source import DataSource
from ...evaluators.sources.find_reader import find_reader
from ...evaluators.sources.picture import decode_picture, quiet_pillow
from ...evaluators.sources.reader import Item, Reader, Unreadable
from ...spaces.errors import AtollError

#: items that are looked at, evenly chosen: in seconds, and every class of a few dozen is met
LOOKED_AT = 300


@dataclass(frozen=True)
class FoundData:
    """What a sample of data holds.

    Args:
        total: items in all.
        looked_at: how many of them.
        splits: how many of these in each split, as the data have it.
        classes: names of the classes, where the data have them; else as many as the highest label says.
        per_class: how many of the sample in each class; empty for numbers.
        shapes: how many came in each shape, (channels, …), the most frequent first.
        are_pictures: whether they are bytes of pictures.
        unreadable: how many could not be read.
        first_unreadable: the first of them, with the reason; empty for none.
    """

    total: int
    looked_at: int
    splits: Mapping[str, int]
    classes: tuple[str, ...]
    per_class: Mapping[str, int]
    shapes: Mapping[tuple[int, ...], int]
    are_pictures: bool
    unreadable: int
    first_unreadable: str

    @property
    def size(self) -> tuple[int, ...] | None:
        """The size that all have, None where they differ."""
        sizes = {shape[1:] for shape in self.shapes}
        return sizes.pop() if len(sizes) == 1 else None


def look_at_data(path: Path) -> FoundData:
    """Decodes a sample of a folder's or file's items.

    Args:
        path: as `data` of a task names it.

    Raises:
        AtollError: it is not there, in no format that is read, or none of the sample can be read; or it
            names a function.
    """
    file, _, function = str(path).partition(".py:")
    if function and not path.exists():
        raise AtollError(
            f"data: {file}.py:{function} is a function, which `atoll init` does not run, as it runs no code; "
            "draft the study with other data, and write the function at `data:` in the file"
        )
    reader = find_reader(DataSource(path))
    rows = np.unique(np.linspace(0, reader.total - 1, min(LOOKED_AT, reader.total)).astype(np.int64))
    splits: Counter[str] = Counter()
    labels: Counter[str | int] = Counter()
    shapes: Counter[tuple[int, ...]] = Counter()
    bad: list[str] = []
    are_pictures = True
    with quiet_pillow():
        for row, item in zip(rows, reader.items(rows), strict=True):
            splits[item.split] += 1
            label = item.label
            if isinstance(label, str):
                labels[label] += 1
            elif np.asarray(label).size == 1 and np.asarray(label).dtype.kind in "iub":
                labels[int(np.asarray(label).reshape(()))] += 1
            try:
                shape, is_picture = _shape(item)
            except Unreadable as why:
                bad.append(f"{reader.name(int(row))} {why}")
                continue
            shapes[shape] += 1
            are_pictures &= is_picture
    if not shapes:
        raise AtollError(f"data: {path}: none of {len(rows)} items can be read; the first: {bad[0]}")
    names = _classes(reader, labels)
    per_class = {names[label] if isinstance(label, int) else label: n for label, n in labels.items()}
    return FoundData(
        total=reader.total,
        looked_at=len(rows),
        splits=dict(splits),
        classes=names,
        per_class=per_class,
        shapes=dict(shapes.most_common()),
        are_pictures=are_pictures,
        unreadable=len(bad),
        first_unreadable=bad[0] if bad else "",
    )


def _shape(item: Item) -> tuple[tuple[int, ...], bool]:
    """Returns the shape of an input as it would be stored, and whether it is a picture."""
    if isinstance(item.payload, Unreadable):
        raise item.payload
    if isinstance(item.payload, np.ndarray):
        stored = ArrayLayout().stored(item.payload)
        return stored.shape, stored.dtype == np.uint8 and stored.ndim == 3
    if isinstance(item.payload, tuple):
        return ArrayLayout().row(item.payload)[0].shape, False
    return decode_picture(item.payload, None, None).pixels.shape, True


def _classes(reader: Reader, labels: Mapping[str | int, int]) -> tuple[str, ...]:
    """Returns the names of classes in their order; of numbers that are classes, the numbers."""
    if reader.class_names is not None:
        return reader.class_names
    if all(isinstance(label, str) for label in labels):
        return tuple(sorted(str(label) for label in labels))
    highest = max(label for label in labels if isinstance(label, int))
    return tuple(map(str, range(highest + 1)))
