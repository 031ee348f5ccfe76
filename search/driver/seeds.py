"""The seeds beside a study's own: the baselines of all of them, checks of what would win, the finalists."""

import math
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from ...evaluators.ranking.against_baseline import figure_of
from ...evaluators.ranking.metrics import Metrics
from ...evaluators.ranking.quality_terms import QualityTerms
from ...spaces.recipes.recipe import Recipe
from ..proposer.trial_scores import Judge, total_violation
from ..store.selection import FINALIST, finalist_recipes
from ..store.store import Store
from ..store.stored_study import StoredStudy
from ..study.study import Study
from .trial import Trial
from .trials import Trials

#: of the searcher's best so far one further seed may be trained for so many trials that ended (own choice: a
#: check takes about three times as long as a trial, whose beginning lies in the step cache)
TRIALS_A_CHECK = 4

#: a recipe and a further seed
Final = tuple[Recipe, int]


class Seeds:
    """Says what is trained with further seeds, and what a recipe is worth over all that it has.

    All but who the finalists are is a function of the study and its trials.

    Args:
        study: names the seeds.
        trials: of the study; those with further seeds are added to them.
        store: holds the rows that finalists are chosen from.
    """

    def __init__(self, study: Study, trials: Trials, store: Store) -> None:
        self._study, self._trials, self._store = study, trials, store
        #: what is trained with all seeds when a limit was reached; None before that is known
        self.finalists: list[Recipe] | None = None
        # Those that met the constraints when the last call looked, for whom, and how many it looked at.
        self._met: dict[str, Trial] = {}
        self._looked_for: tuple[Judge, int] | None = None
        self._looked = 0

    # The baselines ----------------------------------------------------------------------------------

    @property
    def baselines_left(self) -> list[int]:
        """The further seeds whose baseline is not over."""
        found = {seed: self._trials.of(Recipe(), seed) for seed in self._study.further_seeds}
        return [seed for seed, baseline in found.items() if baseline is None or not baseline.is_over]

    def next_baseline(self) -> Trial | None:
        """Returns the next baseline of a further seed; None where all are begun."""
        return self._next((Recipe(), seed) for seed in self.baselines_left)

    def reference(self, own: Metrics) -> Metrics:
        """Returns the baseline that the search is held against: of the study's seed, with the mean quality.

        One seed's baseline may be a weak one, and every drop would be too small by that.

        Args:
            own: figures of the baseline of the study's seed.
        """
        further = [self._trials.of(Recipe(), seed) for seed in self._study.further_seeds]
        found = [own, *(one.metrics for one in further if one is not None and one.metrics is not None)]
        return replace(own, quality=statistics.fmean(one.quality for one in found)) if found[1:] else own

    # What a recipe is worth -------------------------------------------------------------------------

    def mean(self, trial: Trial, judge: Judge) -> Metrics | None:
        """Returns the figures of a trial of the study's seed with the quality that all its seeds say.

        That is the reference's, changed by the mean of what each seed makes of the baseline of that seed.

        Args:
            trial: of the study's seed.
            judge: holds it against the reference.

        Returns:
            its own figures where it has that seed alone; None where it has none, or one of its seeds failed.
        """
        further = [self._trials.of(trial.recipe, seed) for seed in self._study.further_seeds]
        over = [one for one in further if one is not None and one.is_over]
        if trial.metrics is None or any(one.metrics is None for one in over):
            return None
        pairs = [(self._trials.of(Recipe(), one.seed), one) for one in (trial, *over)]
        changes = [
            one.metrics.quality - baseline.metrics.quality
            for baseline, one in pairs
            if one.metrics is not None and baseline is not None and baseline.metrics is not None
        ]
        if len(changes) < 2:
            return trial.metrics
        quality = figure_of(judge.baseline, "quality") + statistics.fmean(changes)
        if QualityTerms.of(trial.metrics).is_share:
            quality = min(1.0, max(0.0, quality))
        return replace(trial.metrics, quality=quality)

    def best(self, judge: Judge) -> Trial | None:
        """Returns the trial of the study's seed that would win now, the baseline aside; None for none."""
        return max(self._scores(judge), key=lambda found: found[1], default=(None, 0.0))[0]

    def likely_finals(self, judge: Judge) -> tuple[int, list[Final]]:
        """Returns who would be finalists now: how many, and which of their seeds are not over."""
        ranked = sorted(self._scores(judge), key=lambda found: -found[1])
        recipes = [trial.recipe for trial, _ in ranked[: self._study.finalists]]
        finals = [(recipe, seed) for recipe in recipes for seed in self._usable()]
        return len(recipes), [final for final in finals if not self._is_over(final)]

    def _scores(self, judge: Judge) -> Iterator[tuple[Trial, float]]:
        """Yields what holds the constraints in the mean of its seeds, with its score in that mean."""
        owns = [self._trials.of(trial.recipe) for trial in self._trials.further]
        checked = {own.name: own for own in owns if own is not None and own.recipe.steps}
        for name, trial in {**self._feasible(judge), **checked}.items():
            score = self._checked_score(trial, judge) if name in checked else trial.objective
            if score is not None and score > -math.inf:
                yield trial, score

    def _feasible(self, judge: Judge) -> dict[str, Trial]:
        """Returns the trials of the study's seed that meet the constraints with it, the baseline aside.

        Whoever wants a proposal asks for them, often of ten thousand: each trial is looked at once.
        """
        if self._looked_for != (judge, self._trials.restarts):
            self._looked_for, self._looked, self._met = (judge, self._trials.restarts), 0, {}
        over = self._trials.over
        new = [
            trial
            for trial in islice(over.values(), self._looked, None)
            if trial.seed is None and trial.recipe.steps and trial.is_feasible
        ]
        self._looked = len(over)
        if new:  # in the order in which trials came about, whichever ended first
            met = sorted([*self._met.values(), *new], key=lambda trial: int(trial.name[1:]))
            self._met = {trial.name: trial for trial in met}
        return self._met

    def _checked_score(self, trial: Trial, judge: Judge) -> float | None:
        """Returns what a trial is worth over all its seeds; None where their mean breaks a constraint."""
        metrics = self.mean(trial, judge)
        if metrics is None or total_violation(judge.violation(metrics)) > 0:
            return None
        return judge.score(metrics)

    def next_check(self, judge: Judge) -> Trial | None:
        """Returns a further seed of what would win now, if it may start; what was cut off goes first.

        What holds the constraints by luck would lead the search astray, and leave none that holds at its end.
        One seed is trained after the other, as long as the mean holds.
        """
        further = [trial for trial in self._trials.further if trial.recipe.steps]
        if any(trial.status == "running" for trial in further):
            return None
        waiting = next((trial for trial in further if trial.status == "waiting"), None)
        if waiting is not None:
            return waiting
        if TRIALS_A_CHECK * (len(further) + 1) > self._trials.count("finished"):
            return None
        best = self.best(judge)
        return None if best is None else self._next((best.recipe, seed) for seed in self._usable())

    # The finalists ----------------------------------------------------------------------------------

    @property
    def finals_left(self) -> list[Final] | None:
        """Recipes and further seeds that are not over, the baseline's too; None before they are known."""
        return None if self.finalists is None else [one for one in self._finals() if not self._is_over(one)]

    def next_final(self) -> Trial | None:
        """Returns the next of the finalists with a further seed; None: wait, or nothing is left of them.

        Baselines go before the finalists that are held against them, and a seed whose baseline failed is
        left out.
        """
        own = self._trials.of(Recipe())
        if own is None or own.metrics is None or any(trial.seed is None for trial in self._trials.running):
            return None  # whoever runs may be one of them
        if self.finals_left is None or (self.finalists and not self.finals_left):
            self.finalists = self._next_finalists()
        return self._next(self._finals())

    def _next_finalists(self) -> list[Recipe]:
        """Returns the recipes that are to have all their seeds, none where that is done."""
        study, seeds = self._study, self._usable()
        row = self._store.study(study.study_name)
        if row is None or not seeds:
            return []
        stored, trials = StoredStudy.from_row(row), self._store.trials(study.study_name)
        found = finalist_recipes(stored, trials, study.finalists, len(seeds))
        return [Recipe.parse(text) for text in found]

    def _finals(self) -> list[Final]:
        recipes = [Recipe(), *self.finalists] if self.finalists else []
        return [(recipe, seed) for seed in self._usable() for recipe in recipes]

    def _usable(self) -> list[int]:
        """Returns the further seeds that something can be held against, now or later."""
        return [seed for seed in self._study.further_seeds if not self._has_failed(seed)]

    def _has_failed(self, seed: int) -> bool:
        baseline = self._trials.of(Recipe(), seed)
        return baseline is not None and baseline.is_over and baseline.metrics is None

    def _is_over(self, final: Final) -> bool:
        trial = self._trials.of(*final)
        return self._has_failed(final[1]) or (trial is not None and trial.is_over)

    def _next(self, finals: Iterable[Final]) -> Trial | None:
        """Returns the first that nobody has begun and that may be: with the baseline beside it made."""
        for recipe, seed in finals:
            trial, baseline = self._trials.of(recipe, seed), self._trials.of(Recipe(), seed)
            is_ready = not recipe.steps or (baseline is not None and baseline.metrics is not None)
            if is_ready and (trial is None or trial.status == "waiting"):
                return trial or self._trials.create(recipe, FINALIST, seed=seed)
        return None
