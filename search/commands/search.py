"""`atoll search`: the search itself."""

from typing import Annotated, Any

import typer

from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import FormatOption

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
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
) -> None:
    """Search compression ensembles for a trained network and a device; print the leaderboard.

    The same study again continues it. The first limit that is reached ends it; Ctrl-C keeps everything.
    """
    from ..study.study_file import find_study_file, read_study

    limits = limits_of(workers, trials, ensembles, time)
    given = {"seed": seed, "name": name}
    overrides: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    chosen = read_study(find_study_file(study), overrides | ({"limits": limits} if limits else {}))
    if dry_run:
        from .dry_run import dry_run as preview

        preview(chosen, store, format)
        return

    from ..driver.launch import launch
    from ..store.store import Store

    finish(launch(chosen, Store(store), address), store, format)


def limits_of(
    workers: int | None, trials: int | None, ensembles: int | None, time: float | None
) -> dict[str, Any]:
    """Returns the limits that the command line names."""
    given = {"workers": workers, "trials": trials, "ensembles": ensembles, "time_minutes": time}
    return {key: value for key, value in given.items() if value is not None}


def finish(campaign: Any, store: Any, format: Any) -> None:
    """Prints the leaderboard, or ends with the status of an interruption."""
    from .leaderboard import leaderboard

    if campaign.end_reason is None:
        raise typer.Exit(INTERRUPTED)
    leaderboard(study=campaign.study.study_name, store=store, format=format)
