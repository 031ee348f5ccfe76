"""`atoll resume`: goes on with a study of the store."""

from typing import Annotated

import typer

from ..terminal.store_option import DEFAULT_STORE, StoreOption
from ..terminal.tables import FormatOption
from .search import (
    AddressOption,
    EnsemblesOption,
    JsonOption,
    LogOption,
    TimeOption,
    TrialsOption,
    TrustOption,
    WorkersOption,
    finish,
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
    trust: TrustOption = False,
    store: StoreOption = DEFAULT_STORE,
    format: FormatOption = "table",
    json: JsonOption = False,
    log: LogOption = None,
) -> None:
    """Go on with a study: interrupted trials run again, larger limits extend it."""
    from ..api.searches import resume as go_on

    result = go_on(
        study, store, address=address, workers=workers, trials=trials, ensembles=ensembles, time_minutes=time,
        trust=trust, json=json, log=log or (),
    )  # fmt: skip
    finish(result, format, json)
