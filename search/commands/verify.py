"""`atoll verify`: computes an export's figures again, from its files."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..store_option import DEFAULT_STORE, StoreOption
from ..tables import Column, FormatOption, print_table

DIFFERENT = 1  # exit status where a figure differs; 2 is wrong input

COLUMNS = [Column("figure"), Column("card"), Column("recomputed", kind="measured"), Column("verdict")]


def verify(
    folder: Annotated[Path, typer.Argument(help="What `atoll export` wrote.")],
    test: Annotated[
        bool, typer.Option("--test", help="Look at the test split again and write that into the card.")
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
) -> None:
    """Recompute the figures of an export from its files and say which differ (exit status 1)."""
    from ..second_look import look_again
    from ..store import Store
    from ..verification import other_versions, verify_export

    rows = verify_export(folder)
    if test and all(row.verdict != "differs" for row in rows):
        place = Store(store)
        looked, counted = look_again(folder, place)
        rows = [*(row for row in rows if row.figure != looked.figure), looked]
        where = f"and counted in {place.path}" if counted else f"alone: {place.path} does not know the trial"
        _say(f"the test split was looked at again: written into the card {where}")
    shown = [row.to_json() for row in rows]
    if format != "json":
        shown = [{name: _text(value) for name, value in row.items()} for row in shown]
    print_table(shown, COLUMNS, format, f"{folder} against its card")
    for line in other_versions(folder):
        _say(line)
    different = [row.figure for row in rows if row.verdict == "differs"]
    if different:
        _say(f"{folder} is not what its card says: {', '.join(different)} differ")
        raise typer.Exit(DIFFERENT)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _say(line: str) -> None:
    print(f"atoll: {line}", file=sys.stderr)
