"""What a driver writes down of its study: events for the journal, which make the rows of the store."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from ..proposer.trial_scores import Judge
from ..store.events import Ended, EndStatus, Event, Proposed, Started, StudyDescribed
from ..store.store import Store
from ..study.study import Study
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
        self._append(self._described(created_at=_now()))

    def frozen(self, judge: Judge, members: Sequence[Trial]) -> None:
        """Writes the baseline, the reference set and the scales that it froze."""
        reference = {
            "members": [{"recipe": str(m.recipe), "status": m.status, "metrics": m.metrics} for m in members],
            "objective": judge.objective.to_json() if judge.objective else None,
        }
        self._append(self._described(baseline=dict(judge.baseline), reference=reference))

    def proposed(self, trial: Trial, parameters: Mapping[str, Any] | None) -> None:
        """Writes a trial's recipe, and the proposal as the optimiser knows it."""
        told = None if parameters is None else dict(parameters)
        self._append(Proposed(**self._about(trial), parameters=told))

    def started(self, trial: Trial) -> None:
        """Writes that a worker has it."""
        self._append(Started(**self._about(trial), started_at=_now()))

    def ended(self, trial: Trial) -> None:
        """Writes what came of a trial; once more with its score where that came later.

        Without steps (a trial of an earlier run) those that are stored stay.
        """
        trial.ended_at = trial.ended_at or _now()
        self._append(
            Ended(
                **self._about(trial),
                status=cast("EndStatus", trial.status),
                reason=trial.reason,
                interruptions=trial.interruptions,
                objective=trial.objective,
                violation=trial.violation,
                metrics=trial.metrics,
                steps=trial.steps,
                seconds=trial.seconds,
                worker_pid=trial.worker_pid,
                node=trial.node,
                threads=trial.threads,
                weights_digest=trial.weights_digest,
                ended_at=trial.ended_at,
            )
        )

    def interrupted(self, trial: Trial) -> None:
        """Writes that a trial's process was lost, and how often that makes it."""
        self._append(
            Ended(
                **self._about(trial),
                status="interrupted",
                interruptions=trial.interruptions,
                ended_at=_now(),
            )
        )

    def _described(self, **more: Any) -> StudyDescribed:
        study = self._study
        return StudyDescribed(
            study=study.study_name,
            digest=study.digest,
            definition=study.definition(),
            limits=study.given_limits(),
            **more,
        )

    def _about(self, trial: Trial) -> dict[str, Any]:
        """Returns what every event of a trial says, so that it is understood without the others."""
        return {
            "study": self._study.study_name,
            "study_digest": self._study.digest,
            "trial": trial.name,
            "recipe": str(trial.recipe),
            "recipe_digest": trial.recipe.digest,
            "seed": self._study.seed,
            "epochs_per_step": self._study.budget_epochs,
            "origin": trial.origin,
            "proposal": trial.proposal,
        }

    def _append(self, event: Event) -> None:
        self._store.journal.append(event)


def _now() -> str:
    return datetime.now(UTC).isoformat()
