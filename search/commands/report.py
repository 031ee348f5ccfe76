"""`atoll report`: a study written down, for people and for other tools."""

import contextlib
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...spaces.outside.file_names import file_name
from ..terminal.said import tell
from ..terminal.store_option import DEFAULT_STORE, StoreOption

if TYPE_CHECKING:
    from ..store.store import Store


def report(
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which study; the newest if none.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Where to; reports/STUDY if none."),
    ] = None,
    format: Annotated[
        Literal["html", "md", "svg", "png"],
        typer.Option(
            "--format",
            help="html: one file with everything to look at; md: leaderboard as Markdown and CSV, trials and "
            "steps as Parquet; svg, png: its pictures, a file each, drawn by Chromium.",
        ),
    ] = "html",
    open: Annotated[bool, typer.Option("--open", help="Show the HTML file in the browser.")] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Write nothing: serve it on this machine, and follow the search, till Ctrl-C."
        ),
    ] = False,
    commit: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What was run, to be named in the report.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Write a study down: its verdict, leaderboard, pictures and provenance in one HTML file."""
    from ..report.html_report import write_html
    from ..report.markdown import write_markdown
    from ..report.pictures import write_pictures
    from ..store.selection import choose_study
    from ..store.store import Store

    place = Store(store)
    chosen = choose_study(place, study)
    folder = output or Path("reports") / file_name(chosen.name)
    if watch:
        _serve(place, chosen.name, commit, open)
        return
    if format == "html":
        path = write_html(place, chosen, folder, commit)
        paths = [path]
        if open:
            webbrowser.open(path.absolute().as_uri())
    elif format == "md":
        paths = write_markdown(place, chosen, folder, commit)
    else:
        paths = write_pictures(place, chosen, folder, format)
    for path in paths:
        tell(path)


def _serve(store: "Store", study: str, commit: str | None, open: bool) -> None:
    """Serves the report until it is interrupted."""
    from ..report.watch import LOOPBACK, Watched, server_of

    watched = Watched(store, study, commit)
    watched.page()  # what is wrong with the store is told here
    with server_of(watched) as server:
        url = f"http://{LOOPBACK}:{server.server_address[1]}/"
        tell(url, sys.stdout)
        if open:
            webbrowser.open(url)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
