"""An answer in the format that was asked for, on stdout or in a file."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from ...spaces.errors import AtollError
from ...spaces.machine.replaced_file import replaced_file
from ..terminal.markdown_table import markdown_table
from ..terminal.pager import show_paged
from ..terminal.said import tell
from ..terminal.tables import Column, print_table, table_text


def check_target(format: str, output: Path | None, kept: Sequence[Path]) -> None:
    """Refuses, before anything is asked, what an answer cannot be written to.

    Args:
        format: of the answer.
        output: a file, stdout if None.
        kept: files of the store, which an answer must not replace.

    Raises:
        AtollError: Parquet for a terminal, or one of the store's files.
    """
    if output is None and format == "parquet" and sys.stdout.isatty():
        raise AtollError("Parquet is no text for a terminal: name a file with --output, or pipe it on")
    if output is not None and output.resolve() in [path.resolve() for path in kept]:
        raise AtollError(f"{output} belongs to the store: name another file with --output")


def write_answer(answer: pa.Table, format: str, output: Path | None = None) -> None:
    """Writes an answer; a table that a terminal cannot hold goes through the pager.

    Args:
        answer: rows.
        format: one of `formats.FORMATS`.
        output: a file, which is replaced only by a whole one; stdout if None.

    Raises:
        AtollError: the file cannot be written, or a value cannot be printed.
    """
    names = _distinct(answer.column_names)
    if output is not None:
        try:
            with replaced_file(output) as stream:
                _write(answer.rename_columns(names), format, stream)
        except OSError as error:
            raise AtollError(f"cannot write {output}: {error.strerror or error}") from error
    elif format == "table":
        show_paged(table_text(_rows(answer, names), [Column(name) for name in names]))
    else:
        _write(answer.rename_columns(names), format, sys.stdout.buffer if format == "parquet" else None)


def _write(answer: pa.Table, format: str, stream: IO[bytes] | None) -> None:
    """Writes into a stream of bytes, or to stdout."""
    if format == "parquet":
        import pyarrow.parquet as parquet

        parquet.write_table(answer, stream, compression="zstd")
        return
    rows = _rows(answer, answer.column_names)
    columns = [Column(name) for name in answer.column_names]
    with _stdout_into(stream):
        if format == "markdown":
            tell(markdown_table(rows, columns))
        else:
            print_table(rows, columns, format)


def _rows(answer: pa.Table, names: Sequence[str]) -> list[dict[str, Any]]:
    values = [_values(*pair) for pair in zip(names, answer.columns, strict=True)]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _values(name: str, column: pa.ChunkedArray) -> list[Any]:
    try:
        return column.to_pylist(maps_as_pydicts="strict")
    except (OverflowError, ValueError) as error:
        raise AtollError(
            f"SQL: column {name!r} has a value that cannot be printed as {column.type} ({error}): cast it to "
            f"VARCHAR"
        ) from error


def _distinct(names: Sequence[str]) -> list[str]:
    """Returns the names with `_1`, `_2` ... behind repetitions, since JSON keys must differ."""
    distinct: list[str] = []
    for name in names:
        candidate, count = name, 0
        while candidate in distinct or (count and candidate in names):
            count += 1
            candidate = f"{name}_{count}"
        distinct.append(candidate)
    return distinct


@contextmanager
def _stdout_into(stream: IO[bytes] | None) -> Iterator[None]:
    if stream is None:
        yield
        return
    with open(os.dup(stream.fileno()), "w", encoding="utf-8", newline="") as text, redirect_stdout(text):
        yield
