"""TensorBoard and MLflow: Ray's own loggers write a run for a trial, with a point after every step."""

import logging
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...evaluators.steps.pipeline_result import MEASURED_AFTER_A_STEP
from ...evaluators.steps.work import Outcome
from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from ...spaces.recipes.recipe import Recipe

TENSORBOARD, MLFLOW = "tensorboard", "mlflow"
#: by kind: what it needs, and how that is installed
_NEEDS = {TENSORBOARD: ("tensorboardX", "'ray[tune]'"), MLFLOW: ("mlflow", "'atoll[mlflow]'")}
#: says of a run in MLflow which store it belongs to; a server may have runs of several under one name
STORE_TAG = "atoll.store"
#: what MLflow calls a run whose process was stopped
_KILLED = "KILLED"
#: figures that are written, a curve each: what a step is worth, and more of a trial
LOGGED = (*MEASURED_AFTER_A_STEP, "train_epochs", "train_seconds", "seconds", "objective")


@dataclass(frozen=True)
class Wanted:
    """A log that is asked for.

    Args:
        kind: tensorboard or mlflow.
        where: a folder; of MLflow a SQLite file or the URI of a server. Beside the store where empty.
    """

    kind: str
    where: str = ""

    @classmethod
    def parse(cls, text: str) -> "Wanted":
        """Reads `tensorboard`, `mlflow`, or either with `=WHERE`.

        Raises:
            AtollError: it is neither, or its package is missing.
        """
        kind, _, where = text.partition("=")
        if kind not in _NEEDS:
            raise AtollError(f"--log {text!r:.80}: {known_names(kind, _NEEDS)}, with =WHERE behind it or not")
        package, install = _NEEDS[kind]
        if find_spec(package) is None:
            raise AtollError(f"--log {kind} needs the package {package}: pip install {install}")
        return cls(kind, where)

    def place(self, store: Path) -> str:
        """Returns the folder or URI.

        Args:
            store: the file of the store, beside which it lies where nothing else is said.
        """
        if self.kind == TENSORBOARD:
            return self.where or str(store.with_name(f"{store.stem}-tensorboard"))
        if "://" in self.where:
            return self.where
        return f"sqlite:///{Path(self.where or store.with_name(f'{store.stem}-mlflow.db')).absolute()}"

    def logger(self, store: Path, study: str) -> Any:
        """Returns Ray's logger; in TensorBoard a study is a folder, in MLflow an experiment.

        Raises:
            AtollError: nothing can be written there.
        """
        if self.kind == TENSORBOARD:
            from ray.tune.logger import TBXLoggerCallback

            return TBXLoggerCallback()
        for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
            os.environ.setdefault(name, "true")
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        origin = {STORE_TAG: f"{platform.node()}:{store.absolute()}"}
        found = MLflowLoggerCallback(tracking_uri=self.place(store), experiment_name=study, tags=origin)
        for name in ("mlflow", "alembic"):  # they tell how an empty database is made
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            found.setup()
            _end_leftovers(found)
        except Exception as error:  # of a database, a server, a network
            said = " ".join(str(error).split())[:200]
            raise AtollError(f"--log mlflow: {self.place(store)} cannot be written: {said}") from error
        return found


@dataclass(eq=False)
class _Run:
    """A trial as Ray's loggers look at one.

    Args:
        name: of the trial.
        config: its parameters.
        local_path: where TensorBoard's file is written.
    """

    name: str
    config: dict[str, Any]
    local_path: str

    @property
    def evaluated_params(self) -> dict[str, Any]:
        return self.config

    def init_local_path(self) -> None:
        Path(self.local_path).mkdir(parents=True, exist_ok=True)

    def __str__(self) -> str:
        return self.name


class Log:
    """Passes what becomes of trials on to loggers, in a thread of its own: the search waits for none of them.

    Args:
        wanted: which.
        store: the file of the store.
        study: its name.
        say: hears, once, that a logger failed: it is left then, and the search goes on.

    Raises:
        AtollError: nothing can be written there.
    """

    def __init__(self, wanted: Sequence[Wanted], store: Path, study: str, say: Callable[[str], None]) -> None:
        self._say, self._store, self._study = say, store, study
        self._loggers = {one: one.logger(store, study) for one in wanted}
        self._runs: dict[str, dict[Wanted, _Run]] = {}
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._failed: list[str] = []

    def begun(self, trial: str, parameters: Mapping[str, Any]) -> None:
        """Begins the run of a trial."""
        folders = {one: Path(one.place(self._store)) / self._study / trial for one in self._loggers}
        runs = {one: _Run(trial, dict(parameters), str(folder)) for one, folder in folders.items()}
        self._runs[trial] = runs
        self._each(lambda logger, run: logger.log_trial_start(run), runs)

    def stepped(self, trial: str, figures: Mapping[str, Any]) -> None:
        """Writes what a trial is worth after a step; `step` says which."""
        known = {name: value for name, value in figures.items() if name in LOGGED and value is not None}
        step = int(figures["step"])
        runs = self._runs.get(trial, {})
        self._each(lambda logger, run: logger.log_trial_result(step, run, _result(step, known)), runs)

    def ended(self, trial: str, is_finished: bool) -> None:
        """Ends the run of a trial."""
        runs = self._runs.pop(trial, {})
        self._each(lambda logger, run: logger.log_trial_end(run, failed=not is_finished), runs)

    def close(self) -> None:
        """Waits until all is written; what still runs was interrupted."""
        for trial in list(self._runs):
            self._each(_interrupt, self._runs.pop(trial))
        self._thread.shutdown(wait=True)
        self.tell()

    def tell(self) -> None:
        """Says what failed meanwhile."""
        while self._failed:
            self._say(self._failed.pop())

    def _each(self, call: Callable[[Any, _Run], None], runs: Mapping[Wanted, _Run]) -> None:
        for one, run in runs.items():
            self._thread.submit(self._passed_on, one, call, run)

    def _passed_on(self, one: Wanted, call: Callable[[Any, _Run], None], run: _Run) -> None:
        logger = self._loggers.get(one)
        if logger is None:
            return
        try:
            call(logger, run)
        except Exception as error:  # whatever a server, a disk or a package has to say
            del self._loggers[one]
            said = " ".join(str(error).split())[:200]
            self._failed.append(f"--log {one.kind}: {said}; the search goes on without it")


def _interrupt(logger: Any, run: _Run) -> None:
    """Ends a run that did not come to its end: MLflow has a word for that, Ray's logger does not say it."""
    if hasattr(logger, "mlflow_util"):
        logger.mlflow_util.end_run(run_id=logger._trial_runs[run], status=_KILLED)
    else:
        logger.log_trial_end(run, failed=True)


def _end_leftovers(logger: Any) -> None:
    """Ends in MLflow what a process that is gone left running: one alone drives a store, and now we do."""
    from mlflow.tracking import MlflowClient

    client, experiment = MlflowClient(logger.tracking_uri), logger.mlflow_util.experiment_id
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        if run.data.tags.get(STORE_TAG) == logger.tags[STORE_TAG]:
            client.set_terminated(run.info.run_id, _KILLED)


@contextmanager
def opened(
    wanted: Sequence[Wanted], store: Path, study: str, say: Callable[[str], None]
) -> Iterator[Log | None]:
    """Opens logs, and closes them when all is written; None where none is wanted.

    Args:
        wanted, store, study, say: as for `Log`.
    """
    if not wanted:
        yield None
        return
    log = Log(wanted, store, study, say)
    try:
        yield log
    finally:
        log.close()


def figures_after(outcome: Outcome) -> dict[str, Any]:
    """Returns what a recipe is worth after its last step, as flat figures: `step` is its number."""
    metrics = {} if outcome.metrics is None else outcome.metrics.to_json()
    known = {name: metrics[name] for name in LOGGED if metrics.get(name) is not None}
    step = outcome.steps[-1].position if outcome.steps else 0
    return {"step": step, **known, "seconds": outcome.seconds or 0.0}


def parameters_of(recipe: Recipe, **more: Any) -> dict[str, Any]:
    """Returns the parameters of a run: a recipe, its steps by number, and their settings.

    >>> found = parameters_of(Recipe.parse("svd(rank=0.5) -> quantize(bits=4)"), seed=3)
    >>> [found[name] for name in ("steps", "seed", "step_1", "step_1.rank", "step_2", "step_2.bits")]
    [2, 3, 'svd', 0.5, 'quantize', 4]
    """
    found = {"recipe": str(recipe), "steps": len(recipe), **more}
    for number, step in enumerate(recipe, start=1):
        found[f"step_{number}"] = step.name
        found |= {f"step_{number}.{name}": _plain(value) for name, value in step.settings().items()}
    return found


def _plain(value: Any) -> Any:
    return value if isinstance(value, (str, bool, int, float)) else str(value)


def _result(step: int, figures: Mapping[str, Any]) -> dict[str, Any]:
    return {**figures, "training_iteration": step}
