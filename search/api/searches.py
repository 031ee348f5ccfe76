"""Searches: begun by `run`, gone on with by `resume`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...evaluators.tasks import load_task
from ...evaluators.tasks.prepared import trust_task
from ...spaces.errors import AtollError
from ..driver.launch import launch
from ..live.log import Wanted
from ..store.selection import choose_study, ranked_trials
from ..store.store import Store
from ..store.stored_rows import LeaderboardRow
from ..store.stored_study import StoredStudy
from ..study import study_file
from ..study.study import Study
from .default_store import Place, store_at


@dataclass(frozen=True)
class SearchResult:
    """What a search left: everything is in the store.

    Args:
        study: what was searched, complete; its `study_name` finds it in the store.
        store: where its trials are.
        end_reason: which limit was reached, in words; None where Ctrl-C came first.
    """

    study: Study
    store: Store
    end_reason: str | None

    def leaderboard(self, profile: str | None = None) -> list[LeaderboardRow]:
        """Returns the finished trials that meet the study's constraints, best first, a dict a trial.

        Args:
            profile: the weights of the score; the study's own when None.

        Raises:
            AtollError: an unknown profile, or the baseline is not finished.
        """
        return ranked_trials(self.store, choose_study(self.store, self.study.study_name), profile)


def study_of(
    study: Study | Mapping[str, Any] | Path | str | None,
    *,
    seed: int | None = None,
    name: str | None = None,
    workers: int | None = None,
    trials: int | None = None,
    ensembles: int | None = None,
    time_minutes: float | None = None,
) -> Study:
    """Returns a study with some of its values replaced.

    Args:
        study: a study, its values as a YAML file holds them, such a file, or the name of a built-in study;
            the demo when None.
        seed: of everything random; another seed is another study.
        name: of the study.
        workers: trials at a time.
        trials: end when so many are finished or failed in all.
        ensembles: end when so many proposed ensembles are finished.
        time_minutes: start nothing new after so many.

    Raises:
        AtollError: it cannot be read, or says something that is not allowed.
    """
    limits = _given(workers=workers, trials=trials, ensembles=ensembles, time_minutes=time_minutes)
    values = _given(seed=seed, name=name) | ({"limits": limits} if limits else {})
    if isinstance(study, Study):
        if not values:
            return study
        study = study.model_dump(exclude_unset=True)
    if isinstance(study, Mapping):
        return study_file.create_study(dict(study), "study", values)
    return study_file.read_study(study_file.find_study_file(None if study is None else str(study)), values)


def is_study_file(given: Path | str) -> bool:
    """Whether a study is named by its file; else it is the name of one in the store."""
    return Path(given).is_file() or Path(given).suffix in (".yaml", ".yml")


def stored_study(given: Path | str | None, store: Store) -> StoredStudy:
    """Returns a study of the store; where its file is named, its task is prepared on this machine again.

    Args:
        given: a name, or a YAML file that was searched before, on another machine perhaps; the newest when
            None.
        store: that knows it.

    Raises:
        AtollError: the store knows no such study, or what the file makes is another task than those there.
    """
    if given is None or not is_study_file(given):
        return choose_study(store, None if given is None else str(given))
    chosen = study_named(given, store)
    known = [StoredStudy.from_row(row) for row in reversed(store.studies()) if row["definition"]]
    for study in known:
        if study.digest == chosen.digest:
            return study
    for study in known:
        if study.task.rpartition("@")[2] == chosen.task.rpartition("@")[2]:
            return study
    raise AtollError(
        f"{given} makes the task {chosen.task} here, and no study in {store.path} has it: there are "
        f"{', '.join(dict.fromkeys(study.task for study in known)) or 'none'}; network, weights, data, "
        "settings and code of quality and loss have to be those that were searched"
    )


def study_named(
    given: Path | str, store: Store, overrides: Mapping[str, Any] | None = None, images: int | None = None
) -> Study:
    """Returns the study that a command means: that of a file, else the one of this name in the store.

    Args:
        given: a YAML file, or a name.
        store: where studies have names.
        overrides: values that replace those of a file; a study of the store has its own.
        images: how many a user's own task decodes at most, to be looked at; all when None.

    Raises:
        AtollError: there is neither, the file says something that is not allowed, or a study of the store
            would be changed.
    """
    if is_study_file(given):
        return study_file.read_study(study_file.find_study_file(str(given)), dict(overrides or {}), images)
    if overrides:
        raise AtollError(
            f"{given!r} is a study of the store, with its own {', '.join(overrides)}: leave the others out, "
            "or name a study file"
        )
    stored = choose_study(store, str(given))
    return Study.from_stored(stored.name, stored.definition, stored.limits)


def check_task(study: Study, trust: bool = False) -> None:
    """Looks whether trials of a study can run here: its data are there, its code may run.

    Args:
        study: of any task.
        trust: whether code of the task may run that this machine never ran before.

    Raises:
        AtollError: they cannot.
    """
    task = load_task(study.task)
    if trust:
        trust_task(task)
    if task.check_data is not None:
        task.check_data()


def run(
    study: Study | Mapping[str, Any] | Path | str,
    store: Place = None,
    *,
    address: str | None = None,
    seed: int | None = None,
    name: str | None = None,
    workers: int | None = None,
    trials: int | None = None,
    ensembles: int | None = None,
    time_minutes: float | None = None,
    json: bool = False,
    log: Sequence[str] = (),
) -> SearchResult:
    """Searches until a limit is reached or Ctrl-C; progress is told on stderr.

    The same study again goes on where it was. A script needs no `if __name__ == "__main__"`: workers are
    Ray's processes, and do not import it.

    Args:
        study: a study, its values as a YAML file holds them, such a file, or the name of a built-in study.
        store: where trials live; `ATOLL_STORE`, else `./atoll.duckdb`, when None.
        address: HOST:PORT of a Ray cluster; one on this machine, for as long as this takes, when None.
        seed, name, workers, trials, ensembles, time_minutes: replace what the study says, see `study_of`.
        json: whether progress is told on stdout, a JSON object a line, instead of on stderr.
        log: `tensorboard`, `mlflow`, either with `=WHERE`: where trials are logged beside the store.

    Returns:
        study, store and the reason of the end.

    Raises:
        AtollError: the study is not allowed, or the store knows another one of its name; another process
            drives the store; no cluster answers; or nothing could be evaluated.
    """
    wanted = [Wanted.parse(text) for text in log]
    chosen = study_of(
        study, seed=seed, name=name, workers=workers, trials=trials, ensembles=ensembles,
        time_minutes=time_minutes,
    )  # fmt: skip
    return _launched(chosen, store_at(store), address, json, wanted)


def resume(
    name: str | None = None,
    store: Place = None,
    *,
    address: str | None = None,
    workers: int | None = None,
    trials: int | None = None,
    ensembles: int | None = None,
    time_minutes: float | None = None,
    trust: bool = False,
    json: bool = False,
    log: Sequence[str] = (),
) -> SearchResult:
    """Goes on with a study of the store: interrupted trials run again, larger limits extend it.

    Args:
        name: of the study; the newest when None.
        store, address: as for `run`.
        workers, trials, ensembles, time_minutes: replace the limits that the store knows.
        trust: whether code of a task may run that this machine never ran before.
        json, log: as for `run`.

    Returns:
        as `run`.

    Raises:
        AtollError: there is no such study, or as for `run`.
    """
    wanted, place = [Wanted.parse(text) for text in log], store_at(store)
    stored = choose_study(place, name)
    limits = _given(workers=workers, trials=trials, ensembles=ensembles, time_minutes=time_minutes)
    chosen = Study.from_stored(stored.name, stored.definition, {**stored.limits, **limits})
    if trust:
        trust_task(load_task(chosen.task))
    return _launched(chosen, place, address, json, wanted)


def _launched(
    study: Study, store: Store, address: str | None, json: bool, logs: Sequence[Wanted]
) -> SearchResult:
    campaign = launch(study, store, address, json, logs)
    return SearchResult(campaign.study, campaign.store, campaign.end_reason)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
