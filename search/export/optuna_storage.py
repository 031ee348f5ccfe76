"""A study of the store as a study of Optuna, for tools that read its storages (optuna-dashboard)."""

import math
import os
import sqlite3
import warnings
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from ...evaluators.ranking.figures import METRICS
from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from ..store.stored_rows import TrialRow

#: A rejected trial was never trained: that is what Optuna calls pruned.
_STATES = {
    "finished": TrialState.COMPLETE,
    "failed": TrialState.FAIL,
    "rejected": TrialState.PRUNED,
    "running": TrialState.RUNNING,
}
#: what a trial is judged by there, each a value with its direction; what a finished one lacks is left out
_Value = Literal["quality", "model_bytes", "latency_ms", "macs", "peak_memory_bytes"]
_VALUES: tuple[_Value, ...] = get_args(_Value)
_TOLD = (
    "trial",
    "recipe",
    "seed",
    "epochs_per_step",
    "origin",
    "reason",
    "objective",
    "compression_ratio",
    "seconds",
)
_ATTRIBUTES = (*_TOLD, *(figure.name for figure in METRICS))

_Params = dict[str, Any]


def write_optuna_storage(name: str, trials: Sequence[TrialRow], path: Path) -> None:
    """Writes the trials of a study as an SQLite storage of Optuna, which appears when it is whole.

    Parameters are the technique of each step and those settings that differ anywhere; values the quality and
    the costs, each with its direction; all other figures are user attributes.

    Args:
        name: of the study.
        trials: all of it.
        path: the file; it must not exist.

    Raises:
        AtollError: the file exists or cannot be written, or the trials are none of Atoll.
    """
    if path.exists():
        raise AtollError(f"{path} exists: name another file with --output, or delete it")
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.touch(exist_ok=False)
        _write(name, trials, draft)
        draft.rename(path)
    except OSError as error:
        raise AtollError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _write(name: str, trials: Sequence[TrialRow], path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    finished = [row for row in trials if row["status"] == "finished"]
    values = [value for value in _VALUES if all(_is_number(row[value]) for row in finished)]
    if not values:
        raise AtollError(f"the finished trials of study {name!r} have none of {', '.join(_VALUES)} in common")
    # no address with the path in it: what follows a ? there is no part of the file's name
    connect = partial(sqlite3.connect, path, check_same_thread=False)
    storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": connect})
    try:
        study = optuna.create_study(
            storage=storage, study_name=name, directions=[_direction(value, finished) for value in values]
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(values))
        params = [_params(row["recipe"]) for row in trials]
        kinds = _distributions(params)
        study.add_trials(_trial(row, found, kinds, values) for row, found in zip(trials, params, strict=True))
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _direction(value: str, finished: Iterable[TrialRow]) -> Literal["minimize", "maximize"]:
    more = value == "quality" and all(row["quality_higher_is_better"] is not False for row in finished)
    return "maximize" if more else "minimize"


def _params(recipe: str) -> _Params:
    """Returns the steps of a recipe and all their settings; none of one that this Atoll cannot read."""
    try:
        steps = Recipe.parse(recipe).steps
    except AtollError:
        return {}
    found: _Params = {"steps": len(steps)}
    for place, step in enumerate(steps, start=1):
        told = step.to_json()
        found[f"step {place}"] = told["technique"]
        for setting, value in told["settings"].items():
            found[f"step {place} {told['technique']}.{setting}"] = value
    return found


def _distributions(params: Iterable[_Params]) -> dict[str, BaseDistribution]:
    """Returns what Optuna is to know of every parameter: from what it was, numbers between their extremes."""
    seen: dict[str, list[Any]] = {}
    for found in params:
        for name, value in found.items():
            seen.setdefault(name, []).append(value)
    kinds: dict[str, BaseDistribution] = {}
    for name, values in seen.items():
        if all(type(value) is int for value in values):
            kinds[name] = IntDistribution(min(values), max(values))
        elif all(_is_number(value) for value in values):
            kinds[name] = FloatDistribution(min(values), max(values))
        else:
            kinds[name] = CategoricalDistribution(sorted(set(map(str, values))))
    # what is the same wherever it is set says nothing, and a picture has room for few axes
    return {name: kind for name, kind in kinds.items() if "." not in name or not kind.single()}


def _trial(
    row: TrialRow, params: _Params, kinds: dict[str, BaseDistribution], values: Sequence[str]
) -> FrozenTrial:
    state = _STATES.get(row["status"])
    if state is None:
        allowed = ", ".join(_STATES)
        raise AtollError(f"trial {row['trial']} has the status {row['status']!r:.80}, allowed: {allowed}")
    mine = {name: kinds[name] for name in params if name in kinds}
    found = create_trial(
        state=state,
        values=[float(row[value]) for value in values] if state == TrialState.COMPLETE else None,  # type: ignore[literal-required]
        params={
            name: str(params[name]) if isinstance(kind, CategoricalDistribution) else params[name]
            for name, kind in mine.items()
        },
        distributions=mine,
        user_attrs={name: row[name] for name in _ATTRIBUTES if row[name] is not None},  # type: ignore[literal-required]
    )
    begun, ended = row["started_at"] or row["ended_at"], row["ended_at"]
    found.datetime_start = _local(begun) or found.datetime_start
    if state.is_finished():
        found.datetime_complete = _local(ended) or found.datetime_complete
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _local(moment: datetime | None) -> datetime | None:
    """Returns a moment as Optuna writes it: local time without a zone."""
    return None if moment is None else moment.astimezone().replace(tzinfo=None)
