"""A trial as the driver knows it: one recipe of the study, from its proposal to its end."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ...evaluators.ranking.metrics import Metrics
from ...evaluators.steps.work import Outcome
from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from ..proposer.trial_scores import Judge, total_violation
from ..store.store import INTERRUPTED
from ..study.study import MIN_STEPS


@dataclass
class Trial:
    """One recipe of the study, at the study's seed and budget.

    Args:
        name: within the study, `t0007`.
        recipe: what is carried out.
        origin: baseline, reference, paper, search or evaluate.
        proposal: n of the searcher's n-th proposal.
        status: waiting, running, finished, failed or rejected.
        reason: why it is not finished.
        metrics: of a finished one.
        objective: on the frozen scales.
        violation: by constraint.
        interruptions: how often its process was lost.
        seconds: wall time.
        steps: as reported; None where they are in the store.
        worker_pid, node, threads, weights_digest: as reported.
        ended_at: when it was first written down as over, ISO 8601; a score that comes later changes nothing.
    """

    name: str
    recipe: Recipe
    origin: str
    proposal: int | None = None
    status: str = "waiting"
    reason: str | None = None
    metrics: dict[str, Any] | None = None
    objective: float | None = None
    violation: dict[str, float] | None = None
    interruptions: int = 0
    seconds: float | None = None
    steps: list[dict[str, Any]] | None = None
    worker_pid: int | None = None
    node: str | None = None
    threads: int | None = None
    weights_digest: str | None = None
    ended_at: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ("finished", "failed", "rejected")

    @property
    def is_ensemble(self) -> bool:
        """Whether it is the searcher's own, of two steps or more."""
        return self.origin == "search" and len(self.recipe) >= MIN_STEPS

    @property
    def is_feasible(self) -> bool:
        """Whether it finished and meets every constraint."""
        return self.status == "finished" and total_violation(self.violation) == 0

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Trial":
        """Takes a trial over from the store; what its driver left running waits to be run again.

        So does a baseline that failed: without it nothing could be judged, and the study would wait for ever.
        So does one whose figures are not whole.

        Raises:
            AtollError: the recipe cannot be read.
        """
        lost = row["status"] == "finished" and not _are_whole(row["metrics"])
        interrupted = row["status"] == "running" or row["reason"] == INTERRUPTED or lost
        again = interrupted or (row["status"] == "failed" and row["origin"] == "baseline")
        return cls(
            name=row["trial"],
            recipe=Recipe.parse(row["recipe"]),
            origin=row["origin"],
            proposal=row["proposal"],
            status="waiting" if again else row["status"],
            reason=None if again else row["reason"],
            metrics=None if lost else row["metrics"],
            objective=None if lost else row["objective"],
            violation=None if lost else row["violation"],
            # A baseline that failed has all its tries again.
            interruptions=0 if again and not interrupted else row.get("interruptions") or 0,
            seconds=row["seconds"],
            worker_pid=row["worker_pid"],
            node=row["node"],
            threads=row.get("threads"),
            weights_digest=row.get("weights_digest"),
            ended_at=None if again or row.get("ended_at") is None else row["ended_at"].isoformat(),
        )

    def take(self, outcome: Outcome) -> None:
        """Takes what a worker reported."""
        for name, value in outcome.to_json().items():
            setattr(self, name, value)
        self.ended_at = None

    def be_judged(self, judge: Judge) -> None:
        """Takes objective and violations, where there is something to judge."""
        if self.metrics is not None:
            self.objective = judge.score(self.metrics)
            self.violation = judge.violation(self.metrics)


def _are_whole(metrics: Mapping[str, Any] | None) -> bool:
    known = {field.name for field in fields(Metrics)}  # a newer Atoll may have more
    try:
        Metrics.from_json({name: value for name, value in (metrics or {}).items() if name in known})
    except AtollError:
        return False
    return True
