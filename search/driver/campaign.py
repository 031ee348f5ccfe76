"""The course of a study: what to run next, what came of it; durable before anyone hears of it.

Knows neither Ray nor processes: `searcher.py` and `runner.py` carry out what it says. The order is: baseline;
those of further seeds, since drops refer to the mean of all; reference set and the papers' ensemble; once the
reference set is complete the scales are frozen and the searcher's own proposals follow, with checks of what
would win; when a limit is reached, the finalists with all seeds.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...evaluators.measuring.noise import validation_error
from ...evaluators.ranking.against_baseline import Figures, figure_of
from ...evaluators.steps.work import Outcome, Work
from ...evaluators.tasks import load_task
from ...spaces.errors import AtollError
from ...spaces.recipes.recipe import Recipe
from ..proposer.objective import LOG
from ..proposer.outlook import Pricer
from ..proposer.trial_scores import Judge, objective_from_json
from ..store.events import INTERRUPTED
from ..store.selection import FINALIST
from ..store.store import Store
from ..store.stored_rows import StepRow, TrialRow
from ..store.stored_study import StoredStudy
from ..study.reference import fixed_recipes, reference_recipes
from ..study.same_study import check_same
from ..study.study import Study
from .proposals import Proposals, lessons_elsewhere, lessons_of
from .seeds import Seeds
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
        self._told_finalists: list[Recipe] | None = None  # to the journal
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
        self.seeds = Seeds(study, self.trials, store)
        self._proposals = Proposals(study, self.trials, self.seeds, tuple(self._fixed), pricer, recipes)
        # Seconds of this command that no time limit counts, and since when the next of them pass.
        self._uncounted_s = 0.0
        self._uncounted_since_s: float | None = None
        self._begin()

    # What the caller asks ---------------------------------------------------------------------------

    def next(self) -> Trial | None:
        """Returns the next trial, now started, or None: wait (`is_over` tells whether for ever)."""
        trial = None
        if self.end_reason is None and not self._is_stopped([rule for rule in RULES if rule.stops_fixed]):
            trial = self._next_fixed()
            if trial is None and self.judge is not None and self.judge.objective is not None:
                trial = self.seeds.next_check(self.judge) or self._next_proposed(self.judge)
        if self.end_reason is not None:
            trial = self.seeds.next_final()
            if trial is not None and self._told_finalists != self.seeds.finalists:
                self._told_finalists = self.seeds.finalists
                self._journal.search_ended(self.end_reason, self.seeds.finalists or ())
        if trial is not None:
            self._start(trial)
        return trial

    def has_work(self) -> bool:
        """Whether a trial would start now; sets `end_reason` where a limit is reached already."""
        if self.end_reason is None and (self._next_fixed() is not None or not self._is_stopped(RULES)):
            return True
        return self.seeds.next_final() is not None

    @property
    def is_over(self) -> bool:
        """Whether no trial will follow and none is running."""
        return self.end_reason is not None and not self.trials.running and self.seeds.next_final() is None

    @property
    def best(self) -> Trial | None:
        """The trial of the study's seed that would win now; None for none."""
        return None if self.judge is None else self.seeds.best(self.judge)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the command began."""
        return self._clock() - self._started_at_s

    @property
    def counted_s(self) -> float:
        """Those of them that a time limit counts: not what the baselines of further seeds took.

        They belong to the finalists, which come on top of the limit.
        """
        since = self._uncounted_since_s
        return self.elapsed_s - self._uncounted_s - (0.0 if since is None else self._clock() - since)

    def work(self, trial: Trial) -> Work:
        """Returns the piece of work that a worker gets for a trial."""
        settings = self.study.trial_settings(self._threads)
        if trial.seed is not None:
            settings = replace(settings, seed=trial.seed)
        at_once = self.at_once if trial.origin == "baseline" else 1
        if trial.seed is not None and self._waits_for_baselines:  # nothing else trains beside them
            at_once = max(1, self.at_once // len(self.study.further_seeds))
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
            self._uncounted_since_s = self._clock() if self._waits_for_baselines else None
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
        self._journal.begun(self._warm_start())
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
            # what drops refer to was written down with it; of old it was the study's own baseline
            figures = replace(baseline.metrics, quality=figure_of(stored.baseline, "quality", "baseline"))
            self.judge = Judge(self.study.demands, figures, objective_from_json(stored.objective))
            self._score_all(self.judge)
        self._uncounted_since_s = self._clock() if self._waits_for_baselines else None
        self._freeze_if_complete()
        # the same command again goes on with what was cut off; larger limits say that the search goes on
        cut_off = any(not trial.is_over for trial in self.trials.further)
        self.seeds.finalists = self._told_finalists = self._journal.finalists() if cut_off else None
        if self.seeds.finalists is not None:
            self.end_reason = "it was cut off while its finalists were trained"

    def _warm_start(self) -> Mapping[str, Any] | None:
        """Lets the proposer know what the study took from others as it began; returns what to write."""
        if not self.study.warm_start:
            return None
        known = self._journal.warm_start()
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
            if origin == "baseline" and self._waits_for_baselines:
                return self.seeds.next_baseline()
        return next((trial for trial in self.trials.waiting if trial.origin == "search"), None)

    @property
    def _waits_for_baselines(self) -> bool:
        """Whether the reference of drops is still to come: nothing but baselines starts before it."""
        return (self.judge is None or self.judge.objective is None) and bool(self.seeds.baselines_left)

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

    def _is_stopped(self, rules: Sequence[StoppingRule]) -> bool:
        """Whether a rule lets nothing start now; sets the reason where nothing will any more."""
        so_far = SoFar(self.trials, self.study.limits, self.counted_s)
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
        """Returns the judge that holds a further seed, and a baseline, against the baseline of that seed."""
        if trial.seed is None and trial.recipe.steps:
            return judge
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
        if self.judge is None or self.judge.objective is not None or self.seeds.baselines_left:
            return
        if self._uncounted_since_s is not None:
            self._uncounted_s += self._clock() - self._uncounted_since_s
            self._uncounted_since_s = None
        members = [self.trials.of(recipe) for recipe in reference_recipes(self._task, self.study.parsed_goal)]
        over = [member for member in members if member is not None and member.is_over]
        if len(over) == len(members):
            own, *others = [member.metrics for member in over]
            assert own is not None  # without it there is no judge
            reference = self.seeds.reference(own)
            self.judge = self._with_objective(replace(self.judge, baseline=reference), [reference, *others])
            self._journal.frozen(self.judge.objective, over, reference)
            self._score_all(self.judge)

    def _score_all(self, judge: Judge) -> None:
        """Scores what ended before the scales were frozen."""
        for trial in self.trials.values():
            if trial.status == "finished" and trial.objective is None and trial.metrics is not None:
                trial.be_judged(self._judge_beside(trial, judge))
                self._journal.ended(trial)
