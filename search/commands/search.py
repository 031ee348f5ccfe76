"""`atoll search`: the search itself."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...spaces.errors import AtollError
from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import Format, FormatOption

if TYPE_CHECKING:
    from ..api.searches import SearchResult

INTERRUPTED = 130  # shell convention: 128 + SIGINT

WorkersOption = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Trials at a time; all cores if none.")
]
TrialsOption = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="End when so many trials are finished or failed in all."),
]
EnsemblesOption = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="End when so many proposed ensembles are finished."),
]
TimeOption = Annotated[
    float | None,
    typer.Option(metavar="MINUTES", help="Start nothing new after so many minutes."),
]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Run code of its task that this machine never ran before.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Tell progress and end on stdout, a JSON object a line.")
]
LogOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND[=WHERE]", help="Log trials to tensorboard or mlflow, too; may be given twice."
    ),
]
AddressOption = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="Ray cluster; one on this machine if none.")
]


def search(
    study: Annotated[
        str | None,
        typer.Argument(metavar="[STUDY.yaml]", help="Study file, or demo or characters; demo if none."),
    ] = None,
    workers: WorkersOption = None,
    trials: TrialsOption = None,
    ensembles: EnsemblesOption = None,
    time: TimeOption = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Another seed is another study.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the study.")] = None,
    address: AddressOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print space, constraints and cost; start nothing.")
    ] = False,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="STORE", help="Search among the trials of a store; train and write nothing."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
    json: JsonOption = False,
    log: LogOption = None,
) -> None:
    """Search compression ensembles for a trained network and a device; print the leaderboard.

    The same study again continues it. The first limit that is reached ends it. Ctrl-C waits for what runs, a
    second one does not; both keep everything.
    """
    from ..api.searches import run, study_of

    chosen = study_of(
        study, seed=seed, name=name, workers=workers, trials=trials, ensembles=ensembles, time_minutes=time
    )
    if dry_run:
        from .dry_run import dry_run as preview

        preview(chosen, store, format)
        return
    if replay is not None:
        from .replay import replay as search_stored

        if address is not None:
            raise AtollError("--replay runs in this process and trains nothing: leave --address out")
        search_stored(chosen, replay, format)
        return
    finish(run(chosen, store, address=address, json=json, log=log or ()), format, json)


def finish(result: "SearchResult", format: Format, json: bool = False) -> None:
    """Prints the leaderboard, or as JSON that it ended; an interruption has a status of its own."""
    from .leaderboard import leaderboard

    if json:
        _tell_end(result)
    if result.end_reason is None:
        raise typer.Exit(INTERRUPTED)
    if not json:
        leaderboard(study=[result.study.study_name], store=result.store.path, format=format)


def _tell_end(result: "SearchResult") -> None:
    from ..live.output import write_event

    name, best = result.study.study_name, None
    if result.end_reason is not None:
        best = next((row for row in result.leaderboard() if row["recipe"] != "baseline"), None)
    told = {"trial": None, "recipe": None} if best is None else best
    facts = {"study": name, "store": str(result.store.path), "end_reason": result.end_reason}
    write_event("end", {**facts, "best_trial": told["trial"], "best": told["recipe"]}, sys.stdout)
