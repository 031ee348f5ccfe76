"""`atoll report`: a study written down, for people and for other tools."""

from pathlib import Path
from typing import Annotated

import typer

from ...spaces.outside.file_names import file_name
from ..terminal.said import tell
from ..terminal.store_option import DEFAULT_STORE, StoreOption


def report(
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which study; the newest if none.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Where to; reports/STUDY if none."),
    ] = None,
    commit: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What was run, to be named in the report.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Write a study's leaderboard as Markdown and CSV, its trials and steps as Parquet."""
    from ..export.report import write_report
    from ..store.selection import choose_study
    from ..store.store import Store

    place = Store(store)
    chosen = choose_study(place, study)
    for path in write_report(place, chosen, output or Path("reports") / file_name(chosen.name), commit):
        tell(path)
