"""A trial as the driver knows it: one recipe of the study, from its proposal to its end."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ...evaluators.ranking.figures import FIGURE
from ...evaluators.ranking.metrics import Metrics
from ...evaluators.ranking.quality_terms import QualityTerms
from ...evaluators.steps.work import Outcome
from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from ..proposer.proposer import AfterStep
from ..proposer.trial_scores import Judge, total_violation
from ..store.selection import FINALIST
from ..store.store import INTERRUPTED
from ..store.stored_rows import StepRow, TrialRow
from ..study.study import MIN_STEPS

#: figures that are told of a trial that finished; the store has them all
_FACTS = ("quality", "quality_name", "model_bytes", "latency_ms", "peak_memory_bytes")


@dataclass
class Trial:
    """One recipe of the study, at its budget, with the study's seed or, of a finalist, with another one.

    Args:
        name: within the study, `t0007`.
        recipe: what is carried out.
        origin: baseline, reference, paper, search, evaluate or finalist.
        proposal: n of the searcher's n-th proposal.
        seed: a further one, of a finalist or of the baseline beside it; None is the study's.
        is_running: whether a worker has it.
        outcome: what came of it; None until it is over.
        steps_are_stored: whether the outcome came from the store, which keeps the steps.
        after: what its steps left, one after the other, for the proposer; empty where that is not whole.
        objective: on the frozen scales.
        violation: by constraint.
        interruptions: how often its process was lost.
        ended_at: when it was first written down as over, ISO 8601; a score that comes later changes nothing.
    """

    name: str
    recipe: Recipe
    origin: str
    proposal: int | None = None
    seed: int | None = None
    is_running: bool = False
    outcome: Outcome | None = None
    steps_are_stored: bool = False
    after: tuple[AfterStep, ...] = ()
    objective: float | None = None
    violation: dict[str, float] | None = None
    interruptions: int = 0
    ended_at: str | None = None

    @property
    def status(self) -> str:
        """One of waiting, running, finished, failed and rejected."""
        if self.outcome is not None:
            return self.outcome.status
        return "running" if self.is_running else "waiting"

    @property
    def metrics(self) -> Metrics | None:
        """Of a finished one's final network."""
        return None if self.outcome is None else self.outcome.metrics

    @property
    def seconds(self) -> float | None:
        """Wall time, once it is over."""
        return None if self.outcome is None else self.outcome.seconds

    @property
    def reason(self) -> str | None:
        """Why it is over and not finished."""
        return None if self.outcome is None else self.outcome.reason

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.outcome is not None

    @property
    def is_ensemble(self) -> bool:
        """Whether it is the searcher's own, of two steps or more."""
        return self.origin == "search" and len(self.recipe) >= MIN_STEPS

    @property
    def is_feasible(self) -> bool:
        """Whether it finished and meets every constraint, with the seed that it has."""
        return self.status == "finished" and total_violation(self.violation) == 0

    @property
    def told(self) -> str:
        """What became of it, in a line."""
        if self.status == "finished" and self.metrics is not None:
            quality = QualityTerms.of(self.metrics).figure(FIGURE["quality"]).said(self.metrics.quality)
            size, seconds = FIGURE["model_bytes"].said(self.metrics.model_bytes), self.seconds or 0.0
            what = f"quality {quality}, {size}, {FIGURE['seconds'].said(seconds)}"
        else:
            what = f"{self.status}: {self.reason}"
        again = "" if self.seed is None else f" with seed {self.seed}"
        return f"{self.name} {self.recipe}{again}: {what}"

    @property
    def facts(self) -> dict[str, Any]:
        """What became of it, in JSON's own types."""
        metrics = {} if self.metrics is None else self.metrics.to_json()
        return {
            "trial": self.name,
            "recipe": str(self.recipe),
            "origin": self.origin,
            "seed": self.seed,
            "status": self.status,
            "reason": self.reason,
            "seconds": self.seconds,
            "objective": self.objective,
            "feasible": self.is_feasible,
            **{name: metrics.get(name) for name in _FACTS},
        }

    @classmethod
    def from_row(cls, row: TrialRow, steps: Sequence[StepRow] = ()) -> "Trial":
        """Takes a trial over from the store; what its driver left running waits to be run again.

        So does a baseline that failed: without it nothing could be judged, and the study would wait for ever.
        So does one whose figures are not whole.

        Args:
            row: of the view `trials`.
            steps: of the view `steps`, in their order.

        Raises:
            AtollError: the recipe cannot be read.
        """
        trial = cls(row["trial"], Recipe.parse(row["recipe"]), row["origin"], row["proposal"])
        trial.seed = row["seed"] if trial.origin == FINALIST else None
        outcome = _stored_outcome(row)
        if outcome is not None and outcome.status == "failed" and trial.origin == "baseline":
            return trial  # with all its tries again
        trial.interruptions = row.get("interruptions") or 0
        if outcome is not None:
            trial.outcome, trial.steps_are_stored = outcome, True
            trial.after = _after(trial.recipe, steps)
            trial.objective, trial.violation = row["objective"], row["violation"]
            ended_at = row.get("ended_at")
            trial.ended_at = None if ended_at is None else ended_at.isoformat()
        return trial

    def start(self) -> None:
        """Begins to run; what came of it before no longer counts."""
        self.is_running = True
        self.outcome = self.objective = self.violation = None

    def wait(self) -> None:
        """Waits to be run again: its process was lost."""
        self.is_running = False

    def take(self, outcome: Outcome) -> None:
        """Takes what a worker reported."""
        self.is_running = self.steps_are_stored = False
        self.outcome = outcome
        self.after = _after(self.recipe, [asdict(step) for step in outcome.steps])
        self.ended_at = None

    def be_judged(self, judge: Judge) -> None:
        """Takes objective and violations, where there is something to judge."""
        if self.metrics is not None:
            self.objective = judge.score(self.metrics)
            self.violation = judge.violation(self.metrics)


def _after(recipe: Recipe, steps: Sequence[Mapping[str, Any]]) -> tuple[AfterStep, ...]:
    if [step["step"] for step in steps] != [str(step) for step in recipe]:
        return ()
    try:
        return tuple(map(AfterStep.of, steps))
    except AtollError:
        return ()


def _stored_outcome(row: TrialRow) -> Outcome | None:
    """Returns what the store has of an end, but for its steps; None where the trial has to be run again."""
    if row["status"] == "running" or row["reason"] == INTERRUPTED:
        return None
    is_finished = row["status"] == "finished"
    metrics = _whole(row["metrics"]) if is_finished else None
    if is_finished and metrics is None:
        return None
    return Outcome(
        row["status"],
        row["reason"],
        metrics,
        seconds=row["seconds"],
        worker_pid=row["worker_pid"],
        node=row["node"],
        threads=row.get("threads"),
        weights_digest=row.get("weights_digest"),
    )


def _whole(metrics: Mapping[str, Any] | None) -> Metrics | None:
    known = {field.name for field in fields(Metrics)}  # a newer Atoll may have more
    try:
        return Metrics.from_json({name: value for name, value in (metrics or {}).items() if name in known})
    except AtollError:
        return None
