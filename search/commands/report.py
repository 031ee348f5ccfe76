"""`atoll report`: a study written down, for people and for other tools."""

import webbrowser
from pathlib import Path
from typing import Annotated, Literal

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
    format: Annotated[
        Literal["html", "md"],
        typer.Option(
            "--format",
            help="html: one file with everything to look at; md: leaderboard as Markdown and CSV, trials and "
            "steps as Parquet.",
        ),
    ] = "html",
    open: Annotated[bool, typer.Option("--open", help="Show the HTML file in the browser.")] = False,
    commit: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What was run, to be named in the report.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Write a study down: its verdict, leaderboard, pictures and provenance in one HTML file."""
    from ..report.html_report import write_html
    from ..report.markdown import write_markdown
    from ..store.selection import choose_study
    from ..store.store import Store

    place = Store(store)
    chosen = choose_study(place, study)
    folder = output or Path("reports") / file_name(chosen.name)
    if format == "md":
        for path in write_markdown(place, chosen, folder, commit):
            tell(path)
        return
    path = write_html(place, chosen, folder, commit)
    tell(path)
    if open:
        webbrowser.open(path.absolute().as_uri())
