"""`atoll sql`: read-only statements over the store, also while a search runs in another process."""

from pathlib import Path
from typing import Annotated

import typer

from ...spaces.errors import AtollError
from ..shell.formats import Format, format_of
from ..terminal.store_option import DEFAULT_STORE, StoreOption

# Own choice: more than any machine has, within what DuckDB and a timer can count (infinity is neither's).
_MOST_MB, _MOST_SECONDS = 10**9, 10**9


def sql(
    statement: Annotated[
        str | None,
        typer.Argument(
            help="A SELECT over studies, trials, steps … (SHOW TABLES: all; DESCRIBE trials: its columns). "
            "Without one, or --file, or with -, it is read from stdin; a terminal gets a shell.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="A file that has the statement.")
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option("--format", help="How to print the rows; as --output ends, or a table, if none."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write the rows; stdout if none."),
    ] = None,
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
) -> None:
    """Ask the trials with SQL (read-only; works while a search runs); without a statement, in a shell."""
    from ..shell.answers import check_target, write_answer
    from ..shell.shell import Shell
    from ..shell.statement import statement_from
    from ..store.opening import QueryLimits
    from ..store.store import Store

    usual = QueryLimits()
    limits = QueryLimits(memory_limit or usual.memory_mb, time_limit or usual.seconds)
    place, chosen = Store(store), format or format_of(output)
    check_target(chosen, output, (place.path, place.journal_path, place.lock_path))
    asked = statement_from(statement, file)
    if asked is None:
        if output is not None:
            raise AtollError("--output takes the rows of one statement: name it, or a file with --file")
        Shell(place, limits, chosen).run()
    else:
        write_answer(place.user_query(asked, limits), chosen, output)
