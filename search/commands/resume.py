"""`atoll resume`: goes on with a study of the store."""

from typing import Annotated

import typer

from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import FormatOption
from .search import (
    AddressOption,
    EnsemblesOption,
    TimeOption,
    TrialsOption,
    WorkersOption,
    finish,
    limits_of,
)


def resume(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="Name of a study; the newest if none.")
    ] = None,
    workers: WorkersOption = None,
    trials: TrialsOption = None,
    ensembles: EnsemblesOption = None,
    time: TimeOption = None,
    address: AddressOption = None,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
) -> None:
    """Go on with a study: interrupted trials run again, larger limits extend it."""
    from ..driver.launch import launch
    from ..store.selection import choose_study
    from ..store.store import Store
    from ..study.study import Study

    place = Store(store)
    stored = choose_study(place, study)
    limits = {**stored.limits, **limits_of(workers, trials, ensembles, time)}
    chosen = Study.from_stored(stored.name, stored.definition, limits)
    finish(launch(chosen, place, address), store, format)
