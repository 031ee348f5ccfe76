"""`atoll sql`: one read-only statement over the store, also while a search runs in another process."""

from collections.abc import Sequence
from typing import Annotated

import typer

from ..store_option import DEFAULT_STORE, StoreOption
from ..tables import Column, FormatOption, print_table


def sql(
    statement: Annotated[
        str,
        typer.Argument(
            help="A SELECT over the views studies, trials, steps, test_looks (DESCRIBE trials: its columns).",
        ),
    ],
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
) -> None:
    """Ask the trials with SQL (read-only; works while a search runs)."""
    from ..store import Store

    answer = Store(store).user_query(statement)
    names = _distinct(answer.column_names)
    columns = [Column(name) for name in names]
    values = (column.to_pylist() for column in answer.columns)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
    print_table(rows, columns, format)


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
