"""`atoll sql`: one read-only statement over the store, also while a search runs in another process."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...spaces.errors import AtollError
from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import Column, FormatOption, print_table

if TYPE_CHECKING:
    import pyarrow as pa

# Own choice: more than any machine has, within what DuckDB and a timer can count (infinity is neither's).
_MOST_MB, _MOST_SECONDS = 10**9, 10**9


def sql(
    statement: Annotated[
        str,
        typer.Argument(
            help="A SELECT over studies, trials, steps … (SHOW TABLES: all; DESCRIBE trials: its columns).",
        ),
    ],
    memory_limit: Annotated[
        float | None,
        typer.Option(metavar="MB", min=10, max=_MOST_MB, help="Megabytes that it may take; 1000 if none."),
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", min=0.1, max=_MOST_SECONDS, help="Seconds that it may take; 60 if none."
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
) -> None:
    """Ask the trials with SQL (read-only; works while a search runs)."""
    from ..store.opening import QueryLimits
    from ..store.store import Store

    usual = QueryLimits()
    limits = QueryLimits(memory_limit or usual.memory_mb, time_limit or usual.seconds)
    answer = Store(store).user_query(statement, limits)
    names = _distinct(answer.column_names)
    columns = [Column(name) for name in names]
    values = [_values(*pair) for pair in zip(names, answer.columns, strict=True)]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
    print_table(rows, columns, format)


def _values(name: str, column: "pa.ChunkedArray") -> list[Any]:
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
