"""`atoll optuna-storage`: a study for optuna-dashboard and whatever else reads Optuna's storages."""

from pathlib import Path
from typing import Annotated

import typer

from ...spaces.outside.file_names import file_name
from ..terminal.said import say, tell
from ..terminal.store_option import DEFAULT_STORE, StoreOption


def optuna_storage(
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which study; the newest if none.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.db", help="Where to; STUDY.optuna.db if none."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Write a study as a storage of Optuna (SQLite), which optuna-dashboard opens."""
    from ..export.optuna_storage import write_optuna_storage
    from ..store.selection import choose_study
    from ..store.store import Store

    place = Store(store)
    chosen = choose_study(place, study)
    path = output or Path(f"{file_name(chosen.name)}.optuna.db")
    write_optuna_storage(chosen.name, place.trials(chosen.name), path)
    tell(path)
    say(f"`optuna-dashboard sqlite:///{path}` shows it")
