"""What crosses the boundary between driver and worker: a piece of work as plain JSON, and what came of it."""

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ...evaluators.cache_dir import cache_dir
from ...evaluators.ranking.metrics import Metrics
from ...evaluators.steps.evaluate import EvaluationRequest, Evaluator, evaluate
from ...spaces.errors import AtollError, MachineError
from ...spaces.recipes.recipe import Recipe

#: status of work that the machine, not the recipe, made impossible: it ends the search and no trial
STOPPED = "stopped"

#: So often is a trial run whose process is lost: somebody else may have killed one or two of them.
TRIES = 3


@dataclass(frozen=True)
class Work:
    """One recipe to evaluate.

    Args:
        task: name of the task.
        recipe: canonical JSON of the recipe.
        seed: of the trial.
        epochs_per_step: passes over the training split after every step.
        device: name of the device that prices it.
        threads: of the worker.
        baseline_epochs: the largest budget that any candidate may spend.
        keep: whether the step cache must never forget it.
    """

    task: str
    recipe: list[dict[str, Any]]
    seed: int
    epochs_per_step: float
    device: str
    threads: int
    baseline_epochs: float
    keep: bool = False

    def to_json(self) -> dict[str, Any]:
        """Returns every field in JSON's own types."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """What came of a piece of work.

    Args:
        status: finished, failed, rejected, stopped, or interrupted: its process is gone (killed, out of
            memory, or with its machine), and nobody was left to say more.
        reason: why it is not finished.
        metrics: of a finished one, as `Metrics.to_json` gives them.
        steps: rows of the steps, as the store keeps them.
        seconds: wall time.
        worker_pid, node, threads: the process that did it.
        weights_digest: SHA-256 over the final weights, hexadecimal.
    """

    status: str
    reason: str | None = None
    metrics: dict[str, Any] | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)
    seconds: float | None = None
    worker_pid: int | None = None
    node: str | None = None
    threads: int | None = None
    weights_digest: str | None = None

    @classmethod
    def failed(cls, reason: str, **fields: Any) -> "Outcome":
        """Returns the outcome of a trial that came to nothing; the reason is one line."""
        return cls("failed", " ".join(reason.split()) or "no reason given", **fields)

    def checked(self) -> "Outcome":
        """Returns itself, or a failure where a finished one's metrics are no finite figures."""
        if self.status != "finished":
            return self
        try:
            Metrics.from_json(self.metrics or {})
        except AtollError as error:
            why = Outcome.failed(str(error))
            return replace(self, status=why.status, reason=why.reason, metrics=None)
        return self


def carry_out(work: Mapping[str, Any], evaluator: Evaluator | None = None) -> dict[str, Any]:
    """Does a piece of work in this process: the worker's edge, where whatever goes wrong becomes a failure.

    Args:
        work: what `Work.to_json` gave.
        evaluator: `evaluators.evaluate.evaluate` when None.

    Returns:
        an `Outcome` as a mapping.
    """
    started = time.perf_counter()
    here = {"worker_pid": os.getpid(), "node": platform.node(), "threads": work["threads"]}
    try:
        request = EvaluationRequest(
            **{**work, "recipe": Recipe.from_json(work["recipe"]), "cache_dir": cache_dir()}
        )
        found = (evaluator or evaluate)(request).to_json()
        outcome = Outcome(
            "finished",
            metrics=found["metrics"],
            steps=found["steps"],
            seconds=found["seconds"],
            weights_digest=found["digest"],
            **here,
        )
    except MachineError as error:
        outcome = Outcome(STOPPED, str(error), **here)
    except AtollError as error:
        outcome = Outcome.failed(str(error), seconds=time.perf_counter() - started, **here)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        outcome = Outcome.failed(what, seconds=time.perf_counter() - started, **here)
    return asdict(outcome.checked())
