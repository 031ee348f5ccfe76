"""Parquet and Arrow files, one or many, and which split each belongs to."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...spaces.errors import AtollError
from ...spaces.outside.shown import shown
from .reader import DAMAGE, SPLIT_NAMES

PARQUET = (".parquet", ".pq")
ARROW = (".arrow", ".feather", ".ipc")
#: rows that are in memory at once: of photos about 10 MB
BATCH_ROWS = 64
#: of JSON in a schema; ImageNet's class names have 40 kB
_LARGEST_METADATA = 2**24
_SHARD = re.compile(r"(.*)-(\d{5})-of-(\d{5})")


@dataclass(frozen=True)
class TableFile:
    """One file of a table.

    Args:
        path: of the file.
        split: that its name or its folder says; train where they say none.
    """

    path: Path
    split: str

    @cached_property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        with _told(self.path):
            is_parquet = self.path.suffix.lower() in PARQUET
            found = pq.read_schema(self.path) if is_parquet else self._arrow().schema
            found.names  # noqa: B018 - are decoded here, and may be no UTF-8
            return found

    @cached_property
    def rows(self) -> int:
        """How many rows there are."""
        with _told(self.path):
            if self.path.suffix.lower() in PARQUET:
                return pq.read_metadata(self.path).num_rows
            return sum(len(batch) for batch in self._arrow_batches())

    def batches(self, columns: list[str], wanted: Any) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Gives some columns piece by piece, each with the number of its first row.

        Args:
            columns: their names.
            wanted: says of first row and end whether any row between is needed; others are read over.
        """
        with _told(self.path):
            start = 0
            if self.path.suffix.lower() not in PARQUET:
                for batch in self._arrow_batches():
                    for offset in range(0, len(batch), BATCH_ROWS):
                        yield start + offset, batch.select(columns).slice(offset, BATCH_ROWS)
                    start += len(batch)
                return
            with pq.ParquetFile(self.path) as file:
                for group in range(file.num_row_groups):
                    end = start + file.metadata.row_group(group).num_rows
                    if wanted(start, end):
                        first = start
                        for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns):
                            yield first, batch
                            first += len(batch)
                    start = end

    def features(self) -> dict[str, Any]:
        """Returns what hubs write of the columns into the schema's metadata, empty where there is none."""
        content = (self.schema.metadata or {}).get(b"huggingface", b"")
        try:
            features = json.loads(content[:_LARGEST_METADATA])["info"]["features"]
            return features if isinstance(features, dict) else {}
        except (ValueError, LookupError, TypeError, RecursionError):
            return {}

    def _arrow(self) -> Any:
        mapped = pa.memory_map(str(self.path))
        try:
            return pa.ipc.open_file(mapped)
        except pa.ArrowInvalid:
            mapped.seek(0)
            return pa.ipc.open_stream(mapped)  # as the hubs' library keeps its own cache

    def _arrow_batches(self) -> Iterator[pa.RecordBatch]:
        table = self._arrow()
        is_file = isinstance(table, pa.ipc.RecordBatchFileReader)
        for batch in map(table.get_batch, range(table.num_record_batches)) if is_file else table:
            batch.validate(full=True)  # offsets that lead out of the file would be followed
            yield batch


def find_tables(where: Path) -> list[TableFile]:
    """Finds the files of a table: one, or those of a folder, its `data/`, or its folders of splits.

    A split is the first word of a file's name (`train-00000-of-00002.parquet`) or its folder's.

    Returns:
        In the order of splits and names; none where there are no such files.

    Raises:
        AtollError: a part is missing.
    """
    if where.is_file():
        return [TableFile(where, _split_of(where) or "train")] if _is_table(where) else []
    places = (where, where / "data", *(where / name for name in SPLIT_NAMES))
    in_folders = [sorted(path for path in place.glob("[!.]*") if _is_table(path)) for place in places]
    paths = next((held for held in in_folders[:2] if held), None) or [
        path for held in in_folders[2:] for path in held
    ]
    _check_parts(paths)
    files = [TableFile(path, _split_of(path) or "train") for path in paths]
    return sorted(files, key=lambda file: (("train", "validation", "test").index(file.split), file.path.name))


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in (*PARQUET, *ARROW) and path.is_file()


def _split_of(path: Path) -> str | None:
    first = re.split(r"[-_.]", path.stem.lower())[0]
    return SPLIT_NAMES.get(first) or SPLIT_NAMES.get(path.parent.name.lower())


def _check_parts(paths: list[Path]) -> None:
    """Refuses a table of which not all parts were copied."""
    held: dict[tuple[str, int], set[int]] = {}
    for path in paths:
        if found := _SHARD.fullmatch(path.stem):
            held.setdefault((found[1], int(found[3])), set()).add(int(found[2]))
    for (name, total), numbers in held.items():
        if numbers != set(range(total)):
            missing = next(number for number in range(total + 1) if number not in numbers)
            raise AtollError(
                f"data: {shown(paths[0].parent)} has {len(numbers)} of the {total} parts of {shown(name)}; "
                f"{missing:05d} is missing"
            )


class _told:
    """Turns what Arrow says of a damaged file into a sentence with its name."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (pa.ArrowException, MemoryError, *DAMAGE)):
            why = " ".join(str(error).split())[:200]
            raise AtollError(f"data: {shown(self._path)} is damaged or not there any more ({why})") from error
