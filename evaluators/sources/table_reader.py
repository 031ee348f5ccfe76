"""Parquet and Arrow tables as hubs publish them: pictures as bytes, or numbers of any shape, with labels."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...spaces.errors import AtollError
from ...spaces.outside.shown import shown
from .data_source import DataSource
from .reader import SPLIT_NAMES, Item, Unreadable, file_stamp
from .table_file import TableFile

#: usual names, the first that is there is taken
_INPUTS = (
    "image",
    "img",
    "picture",
    "input",
    "inputs",
    "x",
    "data",
    "features",
    "spectrogram",
    "window",
    "pixels",
)
_LABELS = ("label", "labels", "fine_label", "target", "targets", "y", "class")
_GROUP, _SPLIT = "group", "split"


@dataclass(frozen=True)
class _Columns:
    """Which column holds what.

    Args:
        input, label: their names.
        group, split: None where there are none.
        names: of classes, as the hub has them.
    """

    input: str
    label: str
    group: str | None
    split: str | None
    names: tuple[str, ...] | None

    @property
    def all(self) -> list[str]:
        return [name for name in (self.input, self.label, self.group, self.split) if name is not None]


class TableReader:
    """Rows of tables.

    Args:
        files: of one table.
        source: may name the columns of labels and groups.

    Raises:
        AtollError: a file is damaged, or it is not clear which column is which.
    """

    remarks: tuple[str, ...] = ()

    def __init__(self, files: list[TableFile], source: DataSource) -> None:
        self._files, self._source = files, source

    @cached_property
    def _columns(self) -> _Columns:
        first = self._files[0]
        columns = _find_columns(first, self._source)
        for file in self._files[1:]:
            for name in columns.all:
                if (
                    name not in file.schema.names
                    or file.schema.field(name).type != first.schema.field(name).type
                ):
                    raise AtollError(
                        f"data: {shown(file.path)} has no column {shown(name)} like that of "
                        f"{shown(first.path)}; allowed are the same columns in all parts"
                    )
        return columns

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *(file.rows for file in self._files)])

    @property
    def total(self) -> int:
        """How many rows there are."""
        return int(self._starts[-1])

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """As the schema's metadata have them."""
        return self._columns.names

    def stamp(self) -> Iterable[bytes]:
        """Gives name, size and time of every file."""
        return [file_stamp(file.path) for file in self._files]

    def items(self, rows: range | np.ndarray) -> Iterator[Item]:
        """Gives bytes of pictures, or arrays."""
        wanted = np.asarray(rows)
        columns = self._columns
        for file, start, end in zip(self._files, self._starts[:-1], self._starts[1:], strict=True):
            local = wanted[(wanted >= start) & (wanted < end)] - start

            def between(first: int, last: int, local: np.ndarray = local) -> np.ndarray:
                return local[np.searchsorted(local, first) : np.searchsorted(local, last)]

            for first, batch in file.batches(columns.all, lambda first, last: len(between(first, last))):
                chosen = between(first, first + len(batch)) - first
                if len(chosen):
                    yield from self._batch(batch if len(chosen) == len(batch) else batch.take(chosen), file)

    def _batch(self, batch: pa.RecordBatch, file: TableFile) -> Iterator[Item]:
        columns = self._columns
        inputs, labels = _payloads(batch[columns.input]), _labels(batch[columns.label])
        groups = batch[columns.group].to_pylist() if columns.group else [None] * len(batch)
        splits = batch[columns.split].to_pylist() if columns.split else [file.split] * len(batch)
        for payload, label, group, split in zip(inputs, labels, groups, splits, strict=True):
            named = SPLIT_NAMES.get(str(split).lower())
            if isinstance(label, Unreadable):
                payload, label = label, 0
            elif named is None:
                payload = Unreadable(
                    f"is in the split {str(split)[:40]!r}, allowed are {', '.join(SPLIT_NAMES)}"
                )
            elif columns.group and group is None:
                payload = Unreadable(f"has no {columns.group}, allowed is one in every row")
            yield Item(payload, label, named or "train", group)

    def name(self, row: int) -> str:
        """Returns file and number of a row."""
        part = int(np.searchsorted(self._starts, row, "right")) - 1
        return f"{self._files[part].path}, row {row - int(self._starts[part])}"


def _find_columns(file: TableFile, source: DataSource) -> _Columns:
    schema, features = file.schema, file.features()
    there = f"data: {shown(file.path)} has the columns {shown(', '.join(schema.names))[:300]}"
    for asked, what in ((source.label, "label"), (source.group, "group")):
        if asked is not None and asked not in schema.names:
            raise AtollError(f"{there}, allowed as `{what}` is one of them, not {asked!r}")
    told = [name for name, about in features.items() if _kind(about) == "ClassLabel" and name in schema.names]
    label = source.label or (told[0] if len(told) == 1 else None) or _first(_LABELS, schema.names)
    if label is None:
        raise AtollError(f"{there}, allowed is one called {', '.join(_LABELS[:3])}, or name it: `label: …`")
    group = source.group or (_GROUP if _GROUP in schema.names else None)
    split = _SPLIT if _SPLIT in schema.names and _is_text(schema.field(_SPLIT).type) else None
    holds = [
        name
        for name in schema.names
        if name not in (label, group, split)
        and (_is_picture(schema.field(name).type) or _is_tensor(schema.field(name).type))
    ]
    chosen = holds[0] if len(holds) == 1 else _first(_INPUTS, holds)
    if chosen is None:
        raise AtollError(
            f"{there}, allowed is one with pictures (bytes) or lists of numbers, called "
            f"{', '.join(_INPUTS[:4])}"
        )
    names = features.get(label, {}).get("names") if _kind(features.get(label)) == "ClassLabel" else None
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return _Columns(chosen, label, group, split, tuple(names) if is_list and names else None)


def _kind(feature: Any) -> str | None:
    return feature.get("_type") if isinstance(feature, dict) else None


def _first(names: tuple[str, ...], there: list[str]) -> str | None:
    return next((name for name in names if name in there), None)


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(value) or pa.types.is_large_string(value)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_picture(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _is_bytes(kind.field(place).type)
    return _is_bytes(kind)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _is_tensor(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.FixedShapeTensorType):
        return True
    if not _is_list(kind):
        return False
    while _is_list(kind):
        kind = kind.value_type
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _payloads(column: pa.Array) -> Iterator[bytes | np.ndarray | Unreadable]:
    if not _is_picture(column.type):
        yield from tensor_rows(column)
        return
    contents = pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column
    for content in contents:
        found = content.as_py()
        yield (
            found
            if found
            else Unreadable("holds no bytes of a picture, at most the name of a file elsewhere")
        )


def _labels(column: pa.Array) -> Iterator[int | float | str | np.ndarray | Unreadable]:
    if _is_list(column.type) or isinstance(column.type, pa.FixedShapeTensorType):
        yield from tensor_rows(column)
        return
    for value in column.to_pylist():
        if isinstance(value, int | float | str):
            yield value
        else:
            yield Unreadable("has no label" if value is None else f"has a label of {column.type}")


def tensor_rows(column: pa.Array) -> Iterator[np.ndarray | Unreadable]:
    """Gives every row of a column of lists or tensors as an array; rows may differ in shape."""
    whole = _dense(column)
    if whole is not None:
        yield from whole
        return
    for row in range(len(column)):
        one = _dense(column.slice(row, 1))
        yield Unreadable("holds nothing, gaps, or lists that are not all as long") if one is None else one[0]


def _dense(column: pa.Array) -> np.ndarray | None:
    """Returns a column as (N, …), None where it has gaps or lists of several lengths at one level."""
    if column.null_count:
        return None
    if isinstance(column.type, pa.FixedShapeTensorType):
        return column.to_numpy_ndarray()
    shape = [len(column)]
    while _is_list(column.type):
        lengths = pc.list_value_length(column)
        if column.null_count or (len(lengths) and pc.min(lengths) != pc.max(lengths)):
            return None
        shape.append(lengths[0].as_py() if len(lengths) else 0)
        column = column.flatten()
    if column.null_count:
        return None
    return column.to_numpy(zero_copy_only=False).reshape(shape)
