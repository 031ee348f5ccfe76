"""`atoll import`: studies of another store brought into this one."""

from pathlib import Path
from typing import Annotated

import typer

from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import Column, FormatOption, print_table

COLUMNS = (Column("study"), Column("name"), Column("new", "trials"), Column("known", "trials"))


def import_studies(
    source: Annotated[
        Path, typer.Argument(metavar="STORE", help="The other store, or the folder that it is in.")
    ],
    study: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Which study; given again, another one; all if none."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Name of the one study here; its own if none.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
) -> None:
    """Bring studies of another store in; that one is only read, and nothing is run.

    Of a study that is here too, by the same definition, the trials come in that are not here yet, and every
    look at the test split. One that has the name of another study needs --as.
    """
    from ..api.imports import import_studies as bring_in
    from ..store.store import Store

    found = bring_in(source, Store(store), study or (), name)
    print_table([vars(one) for one in found], COLUMNS, format)
