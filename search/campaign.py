"""The course of a study: what to run next, what came of it; durable before anyone hears of it.

Knows neither Ray nor processes: `searcher.py` and `runner.py` carry out what it says. The order is: baseline;
reference set and the papers' ensemble; once the reference set is complete the scales are frozen and the
searcher's own proposals follow.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..evaluators.constraints import parse_constraints
from ..spaces.errors import AtollError
from ..spaces.recipe import Recipe
from .judge import FAILED_VIOLATION, Judge, Verdict, total_violation
from .objective import Objective
from .proposer import Proposer, Told
from .reference import paper_recipes, reference_recipes
from .store import Store
from .study import Study, check_same
from .study_journal import StudyJournal
from .trial import Trial
from .work import STOPPED, Outcome, Work

#: After so many in a row the study ends and names the constraint (design.md, "Technique").
REJECTIONS_IN_A_ROW = 1000
#: Proposals priced in one call: the driver's loop must go on meanwhile.
_PRICED_AT_A_TIME = 20

Pricer = Callable[[Recipe], Mapping[str, Any]]


class Campaign:
    """The driver's side of a study; the caller holds the store's lock and has called `store.recover`.

    Args:
        study: what is searched.
        store: where it is written down.
        pricer: gives the plan-only figures of a recipe; None rejects nothing.
        threads: of a worker.
        clock: seconds, for the time limit.
    """

    def __init__(
        self,
        study: Study,
        store: Store,
        pricer: Pricer | None = None,
        threads: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.study = study
        self.store = store
        self.trials: dict[str, Trial] = {}
        self.judge: Judge | None = None
        self.end_reason: str | None = None
        self._pricer = pricer
        self._threads = threads
        self._clock = clock
        self._journal = StudyJournal(study, store)
        self._started_at_s = clock()
        self._rejections_in_a_row = 0
        self._next_name = 1
        self._proposer = Proposer(
            study.technique_types, study.min_steps, study.max_steps, study.seed, study.settings
        )
        self._reference = reference_recipes()
        self._papers = paper_recipes()
        self._by_recipe: dict[Recipe, Trial] = {}
        self._begin()

    # What the caller asks ---------------------------------------------------------------------------

    def next(self) -> Trial | None:
        """Returns the next trial, now started, or None: wait (`is_over` tells whether for ever)."""
        if self.end_reason is not None:
            return None
        if self._clock() - self._started_at_s >= self._time_limit_s:
            self.end_reason = f"the time limit of {self.study.limits.time_minutes:g} minutes is reached"
            return None
        trial = self._next_fixed()
        if trial is None and self.judge is not None and self.judge.objective is not None:
            trial = self._next_proposed()
        if trial is not None:
            self._start(trial)
        return trial

    def has_work(self) -> bool:
        """Whether a trial would start now; sets `end_reason` where a limit is reached already."""
        return self.end_reason is None and (self._next_fixed() is not None or not self._limit_reached())

    @property
    def is_over(self) -> bool:
        """Whether no trial will follow and none is running."""
        return self.end_reason is not None and not self.running

    @property
    def running(self) -> list[Trial]:
        """The trials that are being evaluated."""
        return [trial for trial in self.trials.values() if trial.status == "running"]

    def count(self, status: str) -> int:
        """Returns how many trials have a status."""
        return sum(trial.status == status for trial in self.trials.values())

    @property
    def finished_ensembles(self) -> int:
        """How many ensembles of the searcher are finished."""
        return sum(trial.is_ensemble and trial.status == "finished" for trial in self.trials.values())

    @property
    def best(self) -> Trial | None:
        """The feasible trial with the highest objective, the baseline left aside."""
        found = [
            t for t in self.trials.values() if t.is_feasible and len(t.recipe) and t.objective is not None
        ]
        return max(found, key=lambda trial: trial.objective or 0.0, default=None)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the command began."""
        return self._clock() - self._started_at_s

    def work(self, trial: Trial) -> Work:
        """Returns the piece of work that a worker gets for a trial."""
        return Work(
            task=self.study.task,
            recipe=trial.recipe.to_json(),
            seed=self.study.seed,
            epochs_per_step=self.study.budget_epochs,
            device=self.study.device,
            threads=self._threads,
            baseline_epochs=self.study.baseline_epochs,
            keep=trial.origin == "baseline",
        )

    def end(self, name: str, outcome: Outcome) -> Trial:
        """Writes down what came of a trial, then learns from it; a second end of it is ignored.

        Raises:
            AtollError: the baseline failed, or the worker's machine cannot go on; the trial of the latter is
                left running, so that the next start runs it again.
        """
        trial = self.trials[name]
        if trial.is_over:
            return trial
        if outcome.status == STOPPED:
            raise AtollError(f"study {self.study.study_name!r} stopped at trial {name}: {outcome.reason}")
        outcome = outcome.checked()
        if trial.origin == "baseline" and outcome.status == "finished":
            self.judge = Judge(parse_constraints(self.study.constraints), outcome.metrics or {})
        trial.take(outcome)
        if self.judge is not None:
            trial.be_judged(self.judge)
        self._journal.ended(trial)
        if trial.origin == "baseline" and trial.status != "finished":
            raise AtollError(f"study {self.study.study_name!r}: the baseline failed: {trial.reason}")
        self._freeze_if_complete()
        return trial

    def add(self, recipe: Recipe, origin: str = "evaluate") -> Trial:
        """Returns the trial of a recipe, started unless it is finished: for `atoll evaluate`."""
        trial = self._known(recipe) or self._create(recipe, origin)
        if trial.status != "finished":
            self._start(trial)
        return trial

    # The beginning ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        name = self.study.study_name
        row = self.store.study(name) if self.store.path.exists() else None
        if row is not None and row.get("definition"):
            check_same(name, row["definition"], self.study.definition(), "this search")
        self._journal.begun()
        if row is None:
            return
        for stored in self.store.trials(name):
            self._load(stored)
        baseline = self._known(Recipe())
        if baseline is None or baseline.metrics is None:
            return
        self.judge = Judge(parse_constraints(self.study.constraints), baseline.metrics)
        frozen = (row.get("reference") or {}).get("objective")
        if frozen:
            self.judge = Judge(self.judge.constraints, baseline.metrics, Objective.from_json(frozen))
        self._freeze_if_complete()

    def _load(self, row: Mapping[str, Any]) -> None:
        """Takes a trial over from the store, unless it is of another seed or budget."""
        self._next_name = max(self._next_name, int(row["trial"][1:]) + 1)
        if row["seed"] == self.study.seed and row["epochs_per_step"] == self.study.budget_epochs:
            self._enter(Trial.from_row(row))

    # What comes next --------------------------------------------------------------------------------

    @property
    def _time_limit_s(self) -> float:
        minutes = self.study.limits.time_minutes
        return float("inf") if minutes is None else minutes * 60

    def _next_fixed(self) -> Trial | None:
        """Returns the next of baseline, reference set, papers and interrupted trials, if it may start."""
        for recipe, origin in self._fixed():
            trial = self._known(recipe)
            if trial is None:
                trial = self._create(recipe, origin)
            if trial.status == "waiting":
                return trial
            if origin == "baseline" and not trial.is_over:
                return None
        return next((t for t in self._searched() if t.status == "waiting"), None)

    def _next_proposed(self) -> Trial | None:
        if self._limit_reached():
            return None
        for _ in range(_PRICED_AT_A_TIME):
            if self._rejections_in_a_row >= REJECTIONS_IN_A_ROW:
                self.end_reason = self._why_rejected()
                return None
            trial = self._propose()
            if trial is None or trial.status == "waiting":
                return trial
        return None

    def _limit_reached(self) -> bool:
        """Whether no proposal may start now; sets the reason where none will any more."""
        limits = self.study.limits
        spent = [t for t in self.trials.values() if t.status in ("finished", "failed")]
        wanted = (
            ("trials", limits.trials, len(spent), len(self.running)),
            (
                "ensembles",
                limits.ensembles,
                self.finished_ensembles,
                sum(trial.is_ensemble for trial in self.running),
            ),
        )
        for what, limit, done, running in wanted:
            if limit is not None and done >= limit:
                self.end_reason = f"{done} {what} are done"
            if limit is not None and done + running >= limit:
                return True
        return False

    def _propose(self) -> Trial | None:
        """Returns the searcher's next proposal as a trial, waiting or rejected; None ends the study."""
        n = 1 + max((t.proposal for t in self._searched() if t.proposal is not None), default=-1)
        pending = [trial.recipe for trial in self.running]
        known = [trial.recipe for trial in self.trials.values()]
        recipe = self._proposer.propose(n, self._history(), pending, known)
        if recipe is None:
            rejected = f"; {self._why_rejected()}" if self._rejections_in_a_row else ""
            self.end_reason = f"no recipe is left that was not tried (in 500 draws){rejected}"
            return None
        trial = self._create(recipe, "search", proposal=n)
        verdict = self._verdict(recipe)
        if verdict is None:
            self._rejections_in_a_row = 0
            return trial
        self._rejections_in_a_row += 1
        trial.take(Outcome("rejected", verdict.reason))
        trial.violation = verdict.violation
        self._announce(trial)
        self._journal.ended(trial)
        return trial

    def _verdict(self, recipe: Recipe) -> Verdict | None:
        """Prices a recipe; what cannot even be planned is rejected too."""
        if self._pricer is None or self.judge is None:
            return None
        try:
            return self.judge.rejection(self._pricer(recipe))
        except AtollError as error:
            return Verdict(str(error), {"plan": FAILED_VIOLATION})

    def _why_rejected(self) -> str:
        counts: dict[str, int] = {}
        for trial in self._searched()[-self._rejections_in_a_row :]:
            for constraint in trial.violation or {}:
                counts[constraint] = counts.get(constraint, 0) + 1
        worst = max(counts, key=lambda constraint: counts[constraint], default="?")
        return (
            f"{self._rejections_in_a_row} proposals in a row cannot meet the constraints; "
            f"{worst!r} rejects the most ({counts.get(worst, 0)}): loosen it or choose another device"
        )

    def _history(self) -> list[Told]:
        """Returns what the optimiser knows: fixed recipes in their order, then proposals in theirs."""
        order = {recipe: position for position, (recipe, _) in enumerate(self._fixed())}
        over = [t for t in self.trials.values() if t.is_over and len(t.recipe)]
        over.sort(
            key=lambda t: (t.proposal is not None, t.proposal or 0, order.get(t.recipe, len(order)), t.name)
        )
        told = [self._told(trial) for trial in over if trial.origin != "evaluate"]
        return [one for one in told if one is not None]

    def _told(self, trial: Trial) -> Told | None:
        objective = self.judge.objective if self.judge else None
        if objective is None:
            return None
        if trial.status == "finished":
            score = objective.lowest_reference if trial.objective is None else trial.objective
            return Told(trial.recipe, score, total_violation(trial.violation))
        violation = total_violation(trial.violation) or FAILED_VIOLATION
        return Told(trial.recipe, objective.lowest_reference, violation)

    # Writing down -----------------------------------------------------------------------------------

    def _create(self, recipe: Recipe, origin: str, proposal: int | None = None) -> Trial:
        trial = Trial(f"t{self._next_name:04d}", recipe, origin, proposal)
        self._next_name += 1
        return self._enter(trial)

    def _enter(self, trial: Trial) -> Trial:
        self.trials[trial.name] = trial
        self._by_recipe[trial.recipe] = trial
        return trial

    def _start(self, trial: Trial) -> None:
        self._announce(trial)
        self._journal.started(trial)
        trial.status = "running"

    def _announce(self, trial: Trial) -> None:
        parameters = self._proposer.parameters(trial.recipe) if trial.proposal is not None else None
        self._journal.proposed(trial, parameters)

    def _freeze_if_complete(self) -> None:
        """Freezes the scales once the reference set is over, and scores what ended before that."""
        members = [self._known(recipe) for recipe in self._reference]
        if self.judge is None or any(member is None or not member.is_over for member in members):
            return
        if self.judge.objective is None:
            over = [member for member in members if member is not None]
            self.judge = self.judge.frozen([m.metrics for m in over], self.study.profile)
            self._journal.frozen(self.judge, over)
        for trial in self.trials.values():
            if trial.status == "finished" and trial.objective is None and trial.metrics is not None:
                trial.be_judged(self.judge)
                self._journal.ended(trial)

    def _known(self, recipe: Recipe) -> Trial | None:
        return self._by_recipe.get(recipe)

    def _fixed(self) -> Iterator[tuple[Recipe, str]]:
        """Yields what every study runs first, and as what."""
        for recipe in self._reference:
            yield recipe, "reference" if len(recipe) else "baseline"
        for recipe in self._papers:
            yield recipe, "paper"

    def _searched(self) -> list[Trial]:
        return [trial for trial in self.trials.values() if trial.origin == "search"]
