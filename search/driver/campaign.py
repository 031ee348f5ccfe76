"""The course of a study: what to run next, what came of it; durable before anyone hears of it.

Knows neither Ray nor processes: `searcher.py` and `runner.py` carry out what it says. The order is: baseline;
reference set and the papers' ensemble; once the reference set is complete the scales are frozen and the
searcher's own proposals follow; when a limit is reached, the finalists with further seeds.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...evaluators.measuring.noise import validation_error
from ...evaluators.ranking.against_baseline import Figures
from ...evaluators.steps.work import Outcome, Work
from ...evaluators.tasks import load_task
from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from ..proposer.objective import LOG
from ..proposer.outlook import Pricer
from ..proposer.trial_scores import Judge, objective_from_json
from ..store.events import INTERRUPTED
from ..store.selection import FINALIST, finalist_recipes
from ..store.store import Store
from ..store.stored_rows import StepRow, TrialRow
from ..store.stored_study import StoredStudy
from ..study.reference import fixed_recipes, reference_recipes
from ..study.same_study import check_same
from ..study.study import Study
from .proposals import Proposals, lessons_elsewhere, lessons_of
from .stopping import RULES, SoFar, StoppingRule
from .study_journal import StudyJournal
from .trial import Trial
from .trials import Trials
from .work import STOPPED, TRIES

_LOG = logging.getLogger(__name__)

#: Proposals priced in one call: the driver's loop must go on meanwhile.
_PRICED_AT_A_TIME = 20


class Campaign:
    """The driver's side of a study; the caller holds the store's lock and has called `store.recover`.

    Args:
        study: what is searched.
        store: where it is written down.
        pricer: gives the plan-only figures of a recipe; None rejects nothing.
        threads: of a worker.
        clock: seconds, for the time limit.
        recipes: those that can be evaluated at all; None for every one.
        at_once: how many runs of the baseline may train at a time: nothing else does before it is made.
    """

    def __init__(
        self,
        study: Study,
        store: Store,
        pricer: Pricer | None = None,
        threads: int = 1,
        clock: Callable[[], float] = time.monotonic,
        recipes: frozenset[Recipe] | None = None,
        at_once: int = 1,
    ) -> None:
        self.study = study
        self.store = store
        self.trials = Trials()
        self.judge: Judge | None = None
        self.end_reason: str | None = None
        self.started = 0  # trials, by this command
        #: seconds that the baseline will take, and one epoch of it, once a worker has timed them
        self.baseline_s, self.epoch_s = 0.0, 0.0
        #: studies whose results it began with
        self.warmed_by: tuple[str, ...] = ()
        self.at_once = at_once
        self._threads = threads
        self._clock = clock
        self._started_at_s = clock()
        self._journal = StudyJournal(study, store)
        self._task = load_task(study.task)
        self._fixed = fixed_recipes(self._task, study.parsed_goal)
        self._proposals = Proposals(study, self.trials, tuple(self._fixed), pricer, recipes)
        #: what is trained when a limit was reached; None before that is known
        self._finals: list[tuple[Recipe, int]] | None = None
        self._begin()

    # What the caller asks ---------------------------------------------------------------------------

    def next(self) -> Trial | None:
        """Returns the next trial, now started, or None: wait (`is_over` tells whether for ever)."""
        trial = None
        if self.end_reason is None and not self._is_stopped([rule for rule in RULES if rule.stops_fixed]):
            trial = self._next_fixed()
            if trial is None and self.judge is not None and self.judge.objective is not None:
                trial = self._next_proposed(self.judge)
        if self.end_reason is not None:
            trial = self._next_final()
        if trial is not None:
            self._start(trial)
        return trial

    def has_work(self) -> bool:
        """Whether a trial would start now; sets `end_reason` where a limit is reached already."""
        if self.end_reason is None and (self._next_fixed() is not None or not self._is_stopped(RULES)):
            return True
        return self._next_final() is not None

    @property
    def is_over(self) -> bool:
        """Whether no trial will follow and none is running."""
        return self.end_reason is not None and not self.trials.running and self._next_final() is None

    @property
    def finals_left(self) -> list[tuple[Recipe, int]] | None:
        """Recipes and further seeds that are not over, the baseline's too; None before they are known."""
        return None if self._finals is None else [one for one in self._finals if not self._is_final_over(one)]

    @property
    def elapsed_s(self) -> float:
        """Seconds since the command began."""
        return self._clock() - self._started_at_s

    def work(self, trial: Trial) -> Work:
        """Returns the piece of work that a worker gets for a trial."""
        settings = self.study.trial_settings(self._threads)
        if trial.seed is not None:
            settings = replace(settings, seed=trial.seed)
        at_once = self.at_once if trial.origin == "baseline" else 1
        return Work(settings, trial.recipe, trial.origin in ("baseline", FINALIST), at_once)

    def end(self, name: str, outcome: Outcome) -> Trial:
        """Writes down what came of a trial, then learns from it; a second end of it is ignored.

        One whose process was lost waits to be run again, at most twice.

        Raises:
            AtollError: the baseline failed, or the worker's machine cannot go on; the trial of the latter is
                left running, so that the next start runs it again.
        """
        trial = self.trials[name]
        if trial.is_over:
            return trial
        if outcome.status == STOPPED:
            raise AtollError(f"study {self.study.study_name!r} stopped at trial {name}: {outcome.reason}")
        if outcome.status == INTERRUPTED:
            trial.interruptions += 1
            if trial.interruptions < TRIES:
                return self._try_again(trial)
            outcome = Outcome.failed(f"killed its worker {trial.interruptions} times")
        trial.take(outcome)
        if trial.origin == "baseline" and trial.metrics is not None:
            self.judge = Judge(self.study.demands, trial.metrics)
        if self.judge is not None:
            trial.be_judged(self._judge_beside(trial, self.judge))
        self._journal.ended(trial)
        if trial.origin == "baseline" and trial.status != "finished":
            raise AtollError(f"study {self.study.study_name!r}: the baseline failed: {outcome.reason}")
        self._freeze_if_complete()
        return trial

    def add(self, recipe: Recipe, origin: str = "evaluate") -> Trial:
        """Returns the trial of a recipe, started unless it is finished: for `atoll evaluate`."""
        trial = self.trials.of(recipe) or self.trials.create(recipe, origin)
        if trial.status != "finished":
            self._start(trial)
        return trial

    # The beginning ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        name = self.study.study_name
        row = self.store.study(name) if self.store.path.exists() else None
        stored = None if row is None else StoredStudy.from_row(row)
        if stored is not None and stored.definition:
            check_same(name, stored.definition, self.study.definition(), "this search")
        elif stored is not None and stored.digest not in (None, self.study.digest):
            raise AtollError(
                f"study {name!r} is in the store with another definition than that of this search, which "
                f"cannot be shown (its lines in the journal are damaged). Allowed are the same definition or "
                f"another name"
            )
        self._journal.begun(self._warm_start(is_new=stored is None))
        if stored is None:
            return
        steps: dict[str, list[StepRow]] = {}
        for step in self.store.steps_of_study(name):
            steps.setdefault(step["trial"], []).append(step)
        for trial in self.store.trials(name):
            self._load(trial, steps.get(trial["trial"], []))
        baseline = self.trials.of(Recipe())
        if baseline is None or baseline.metrics is None:
            return
        self.judge = Judge(self.study.demands, baseline.metrics)
        if stored.objective:
            self.judge = replace(self.judge, objective=objective_from_json(stored.objective))
            self._score_all(self.judge)
        self._freeze_if_complete()
        # the same command again goes on with what was cut off; larger limits say that the search goes on
        was_cut_off = any(not trial.is_over for trial in self.trials.values() if trial.seed is not None)
        if was_cut_off and _ends(stored.limits) == _ends(self.study.given_limits()):
            self.end_reason = "it was cut off while its finalists were trained"

    def _warm_start(self, is_new: bool) -> Mapping[str, Any] | None:
        """Lets the proposer know what the study took from others as it began; returns what to write."""
        if not self.study.warm_start:
            return None
        known = None if is_new else self._journal.warm_start()
        told = known
        if told is None:
            told = lessons_elsewhere(self.store, self.study) if self.store.path.exists() else {}
        self._proposals.lessons = lessons_of(told)
        self.warmed_by = tuple(map(str, told.get("studies") or ())) if self._proposals.lessons else ()
        return told if known is None else None

    def _load(self, row: TrialRow, steps: Sequence[StepRow]) -> None:
        """Takes a trial over from the store, unless it is of another budget, or of a seed of nobody here."""
        try:
            self.trials.skip(row["trial"])
            is_ours = row["origin"] == FINALIST or row["seed"] == self.study.seed
            if is_ours and row["epochs_per_step"] == self.study.budget_epochs:
                self.trials.add(Trial.from_row(row, steps))
        except AtollError as error:
            _LOG.warning("trial %.80s of the store is left aside: %s", row["trial"], error)

    # What comes next --------------------------------------------------------------------------------

    def _next_fixed(self) -> Trial | None:
        """Returns the next of baseline, reference set, papers and interrupted trials, if it may start."""
        for recipe, origin in self._fixed.items():
            trial = self.trials.of(recipe) or self.trials.create(recipe, origin)
            if trial.status == "waiting":
                return trial
            if origin == "baseline" and not trial.is_over:
                return None
        return next((trial for trial in self.trials.waiting if trial.origin == "search"), None)

    def _next_proposed(self, judge: Judge) -> Trial | None:
        for _ in range(_PRICED_AT_A_TIME):
            if self._is_stopped(RULES):
                return None
            trial = self._proposals.next(judge)
            if trial is None:
                self.end_reason = self._proposals.end_reason
                return None
            if trial.status == "waiting":
                return trial
            self._journal.proposed(trial, self._proposals.parameters(trial))
            self._journal.ended(trial)
        return None

    def _next_final(self) -> Trial | None:
        """Returns the next of the finalists with a further seed; None: wait, or nothing is left of them.

        Baselines go before the finalists that are held against them, and a seed whose baseline failed is
        left out.
        """
        if self.judge is None or any(trial.seed is None for trial in self.trials.running):
            return None  # whoever runs may be one of them
        while self._finals is None or (self._finals and all(map(self._is_final_over, self._finals))):
            self._finals = self._next_finals()
        for recipe, seed in self._finals:
            trial = self.trials.of(recipe, seed)
            baseline = self.trials.of(Recipe(), seed)
            is_ready = not recipe.steps or (baseline is not None and baseline.metrics is not None)
            if is_ready and (trial is None or trial.status == "waiting"):
                return trial or self.trials.create(recipe, FINALIST, seed=seed)
        return None

    def _next_finals(self) -> list[tuple[Recipe, int]]:
        """Returns what the finalists have to be trained with, none where that is done."""
        study, seeds = self.study, self.study.further_seeds
        row = self.store.study(study.study_name)
        if row is None or not seeds:
            return []
        stored, trials = StoredStudy.from_row(row), self.store.trials(study.study_name)
        found = finalist_recipes(stored, trials, study.finalists, len(seeds))
        recipes = [Recipe(), *map(Recipe.parse, found)] if found else []
        finals = [(recipe, seed) for seed in seeds for recipe in recipes]
        return [] if all(map(self._is_final_over, finals)) else finals

    def _is_final_over(self, final: tuple[Recipe, int]) -> bool:
        recipe, seed = final
        trial, baseline = self.trials.of(recipe, seed), self.trials.of(Recipe(), seed)
        if baseline is not None and baseline.is_over and baseline.metrics is None:
            return True
        return trial is not None and trial.is_over

    def _is_stopped(self, rules: Sequence[StoppingRule]) -> bool:
        """Whether a rule lets nothing start now; sets the reason where nothing will any more."""
        so_far = SoFar(self.trials, self.study.limits, self.elapsed_s)
        for rule in rules:
            self.end_reason = rule.end(so_far)
            if self.end_reason is not None or rule.holds(so_far):
                return True
        return False

    # Writing down -----------------------------------------------------------------------------------

    def _start(self, trial: Trial) -> None:
        self._journal.proposed(trial, self._proposals.parameters(trial))
        self._journal.started(trial)
        self.trials.start(trial)
        self.started += 1

    def _try_again(self, trial: Trial) -> Trial:
        """Lets a trial wait whose process was lost: that says nothing of its recipe."""
        trial.wait()
        self._journal.interrupted(trial)
        if trial.seed is None:
            self.end_reason = None  # it is found again when nothing waits any more
        return trial

    def _judge_beside(self, trial: Trial, judge: Judge) -> Judge:
        """Returns the judge that holds a trial against the baseline of its own seed, where there is one."""
        baseline = self.trials.of(Recipe(), trial.seed)
        metrics = None if baseline is None else baseline.metrics
        return judge if metrics is None else replace(judge, baseline=metrics)

    def _with_objective(self, judge: Judge, reference: Sequence[Figures | None]) -> Judge:
        """Returns the judge with what the study's goal makes of the baseline and the reference set."""
        study = self.study
        if not study.parsed_goal.is_score:
            return judge.of_costs(study.parsed_goal)
        error = validation_error(study.task, judge.baseline) if study.scale == LOG else 0.0
        return judge.frozen(reference, study.profile, study.scale, error)

    def _freeze_if_complete(self) -> None:
        """Freezes the scales once the reference set is over, and scores what ended before that."""
        if self.judge is None or self.judge.objective is not None:
            return
        members = [self.trials.of(recipe) for recipe in reference_recipes(self._task, self.study.parsed_goal)]
        over = [member for member in members if member is not None and member.is_over]
        if len(over) == len(members):
            self.judge = self._with_objective(self.judge, [member.metrics for member in over])
            self._journal.frozen(self.judge.objective, over)
            self._score_all(self.judge)

    def _score_all(self, judge: Judge) -> None:
        """Scores what ended before the scales were frozen."""
        for trial in self.trials.values():
            if trial.status == "finished" and trial.objective is None and trial.metrics is not None:
                trial.be_judged(judge)
                self._journal.ended(trial)


def _ends(limits: Mapping[str, Any]) -> tuple[Any, ...]:
    """Returns when limits end a search; how many workers it has is another matter."""
    return tuple(limits.get(name) for name in ("ensembles", "trials", "time_minutes"))
