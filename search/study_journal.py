"""What a driver writes down of its study: events for the journal, which make the rows of the store."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .judge import Judge
from .store import Store
from .study import Study
from .trial import Trial


class StudyJournal:
    """Appends the events of one study; each is durable when the call returns.

    Args:
        study: what the events belong to.
        store: whose journal is written; the caller is its driver.
    """

    def __init__(self, study: Study, store: Store) -> None:
        self._study = study
        self._store = store

    def begun(self) -> None:
        """Writes the study's definition and limits."""
        self._append(
            type="study",
            digest=self._study.digest,
            definition=self._study.definition(),
            limits=self._study.limits.model_dump(mode="json"),
            created_at=_now(),
        )

    def frozen(self, judge: Judge, members: Sequence[Trial]) -> None:
        """Writes the baseline, the reference set and the scales that it froze."""
        self._append(
            type="study",
            baseline=dict(judge.baseline),
            reference={
                "members": [
                    {"recipe": str(m.recipe), "status": m.status, "metrics": m.metrics} for m in members
                ],
                "objective": judge.objective.to_json() if judge.objective else None,
            },
        )

    def proposed(self, trial: Trial, parameters: Mapping[str, Any] | None) -> None:
        """Writes a trial's recipe, and the proposal as the optimiser knows it."""
        self._append(
            type="proposed",
            **self._key(trial),
            recipe=str(trial.recipe),
            origin=trial.origin,
            proposal=trial.proposal,
            parameters=parameters,
        )

    def started(self, trial: Trial) -> None:
        """Writes that a worker has it."""
        self._append(type="started", **self._key(trial), started_at=_now())

    def ended(self, trial: Trial) -> None:
        """Writes what came of a trial; once more with its score where that came later.

        Without steps (a trial of an earlier run) those that are stored stay.
        """
        self._append(
            type="ended",
            **self._key(trial),
            status=trial.status,
            reason=trial.reason,
            objective=trial.objective,
            violation=trial.violation,
            metrics=trial.metrics,
            steps=trial.steps,
            seconds=trial.seconds,
            worker_pid=trial.worker_pid,
            node=trial.node,
            threads=trial.threads,
            weights_digest=trial.weights_digest,
            ended_at=_now(),
        )

    def _key(self, trial: Trial) -> dict[str, Any]:
        return {
            "trial": trial.name,
            "recipe_digest": trial.recipe.digest,
            "seed": self._study.seed,
            "epochs_per_step": self._study.budget_epochs,
        }

    def _append(self, **event: Any) -> None:
        self._store.journal.append({"study": self._study.study_name, **event})


def _now() -> str:
    return datetime.now(UTC).isoformat()
