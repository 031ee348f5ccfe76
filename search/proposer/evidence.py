"""What a study found so far, and what is learned from it of recipes that nobody tried."""

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...evaluators.ranking.against_baseline import figure_of
from ...evaluators.ranking.constraints import Constraint
from ...evaluators.ranking.figures import FIGURE
from ...evaluators.ranking.quality_terms import QualityTerms
from ...spaces.recipes.recipe import Recipe
from .effects import SIZE, Array, Columns, Lessons, Words
from .lesson import PLAN_COSTS, Lesson
from .outlook import Outlook
from .proposer import AfterStep, Told
from .trial_scores import Judge, total_violation

#: costs that no plan tells, and the one whose share of the baseline's they are taken to have
_LIKE = {"payload_bytes": "model_bytes", "nonzero_parameters": "parameters"}
#: standard deviation of a result about the sum of its effects: in halvings, and of the logarithm of a drop
_COST_NOISE, QUALITY_NOISE = 0.1, 0.25
#: so many times that of a result of another study, whose seed, budget or device may be others (own choice:
#: four of them weigh as much as one of this study's own)
_ELSEWHERE = 2.0
#: what a halving of the file is expected to add to the logarithm of the drop before anything is known, and
#: the standard deviation of that: weaker changes are tried first
_DROP_PER_HALVING, _PER_HALVING_SPREAD = 0.3, 0.2
#: the drop that counts as one where no constraint says how much matters: the default constraint's
_DROP_UNIT = 0.02
#: logarithms of a drop outside of these are taken for them: a wreck is a wreck, and better is a bonus
_BEST, _WORST = -1.0, 4.0
#: what a violation as large as the bound itself takes off the objective when the best are chosen
_PENALTY = 2.0


@dataclass(frozen=True)
class Expected:
    """What is expected of candidates that nobody tried.

    Args:
        costs: figures by name, of each.
        drops: the logarithm of the drop, shape (candidates,).
        spreads: standard deviation of that, shape (candidates,).
    """

    costs: list[dict[str, float]]
    drops: Array
    spreads: Array


class Evidence:
    """Results of one study, taken in one after the other.

    A step that a trial took on its way counts as a result of its own: it is what the prefix gives.

    Args:
        outlook: of the study.
        singles: every recipe of one step, whose prices are known from the beginning.
    """

    def __init__(self, outlook: Outlook, singles: Sequence[Recipe]) -> None:
        judge = outlook.judge
        assert judge.objective is not None
        self._judge, self._objective = judge, judge.objective
        self._baseline = {name: figure_of(judge.baseline, name) for name in (*PLAN_COSTS, "quality")}
        self._terms = QualityTerms.of(judge.baseline)
        bound = _drop_bound(judge, self._terms)
        self._unit = (
            _DROP_UNIT if bound is None else max(bound, self._terms.resolution(self._baseline["quality"]))
        )
        #: the largest drop that the constraints allow, as its logarithm
        self.allowed = None if bound is None else self.scaled(bound)
        #: the best objective of any trial that meets the constraints, the baseline's before there is one
        self.best_objective = self._objective(judge.baseline)
        #: whether any trial met the constraints
        self.any_feasible = False
        #: what was evaluated: figures after the last step
        self.found: dict[Recipe, AfterStep] = {}
        self._worth: dict[Recipe, float] = {}
        self._seconds: dict[str, list[float]] = {}
        self._words = Words()
        self._costs, self._drops = Lessons(len(PLAN_COSTS), _COST_NOISE), Lessons(1, QUALITY_NOISE)
        for recipe in singles:
            price = outlook.figures(recipe)
            if price is not None and all(name in price for name in PLAN_COSTS):
                self._costs.add(self._words.learn(recipe), self._halvings(price))
        for lesson in outlook.lessons:
            self._begin_with(lesson)

    def _begin_with(self, lesson: Lesson) -> None:
        """Takes in what another study found: learned from and grown, and yet not evaluated here."""
        costs = {name: self._baseline[name] * share for name, share in lesson.shares.items()}
        self._learn(lesson.recipe, costs, lesson.drop, _ELSEWHERE)

    def add(self, told: Told) -> None:
        """Takes in what came of a recipe."""
        if told.violation <= 0:
            self.any_feasible = True
            self.best_objective = max(self.best_objective, told.objective)
        for prefix, after in zip(told.recipe.prefixes()[1:], told.after, strict=False):
            if prefix in self.found:
                continue
            self.found[prefix] = after
            self._learn(prefix, after.costs, self._drop(after))
            self._seconds.setdefault(prefix.steps[-1].name, []).append(after.seconds)
        if told.failed:
            self._drops.add(self._words.learn(told.recipe), [_WORST])

    def _learn(self, recipe: Recipe, costs: Mapping[str, float], drop: float, noises: float = 1.0) -> None:
        """Learns what a recipe costs and how far it drops, and what it is worth as a beginning."""
        halvings = self._halvings(costs)
        self._costs.add(self._words.learn(recipe), halvings, noises)
        unforeseen = self.scaled(drop) - _DROP_PER_HALVING * halvings[0]
        self._drops.add(self._row(recipe, halvings[0]), [unforeseen], noises)
        all_figures = self.likely(costs, drop)
        violation = total_violation(self._judge.violation(all_figures))
        self._worth[recipe] = self._objective(all_figures) - _PENALTY * violation

    def _row(self, recipe: Recipe, halvings: float) -> tuple[Columns, Array]:
        """Returns a recipe's features with the halvings of its file as one more."""
        columns, weights = self._words.learn(recipe)
        return np.append(columns, SIZE), np.append(weights, halvings * _PER_HALVING_SPREAD)

    def scaled(self, drop: float) -> float:
        """Returns the logarithm of a drop, of either sign: log(1 + drop / unit), within its bounds."""
        return max(_BEST, min(_WORST, math.copysign(math.log1p(abs(drop) / self._unit), drop)))

    def drop(self, scaled: float) -> float:
        """Returns the drop of such a logarithm."""
        return math.copysign(math.expm1(abs(scaled)), scaled) * self._unit

    def likely(self, costs: Mapping[str, Any], drop: float) -> dict[str, Any]:
        """Returns all figures of a recipe, as objective and constraints are asked of them."""
        baseline, worse = self._judge.baseline, -drop if self._terms.higher_is_better else drop
        known = baseline if isinstance(baseline, Mapping) else baseline.to_json()
        like = {
            name: known[name] * costs[other] / max(self._baseline[other], FIGURE[other].resolution)
            for name, other in _LIKE.items()
            if known.get(name) is not None and other in costs
        }
        return {**known, **like, **costs, "quality": self._baseline["quality"] + worse}

    def best(self, most: int) -> list[Recipe]:
        """Returns the best of what was evaluated; what narrowly misses the constraints counts as good too.

        A strong compression that is a step of training short of the constraint is a better start than a weak
        one within it.
        """
        return heapq.nlargest(most, self._worth, key=self._worth.__getitem__)

    def seconds(self) -> Callable[[Recipe], float]:
        """Returns what tells how long the last step of a recipe takes, from the means of what was timed."""
        every = [one for some in self._seconds.values() for one in some]
        mean = sum(every) / len(every) if every else 1.0
        means = {name: sum(some) / len(some) for name, some in self._seconds.items()}
        return lambda recipe: means.get(recipe.steps[-1].name, mean)

    def expected(self, candidates: Sequence[Recipe]) -> Expected:
        """Returns what was learned of candidates; what was evaluated as a prefix is known."""
        rows, unknown = self._words.rows(candidates)
        halvings, _ = self._costs.learned().predict(rows, unknown)
        rows[:, SIZE] = halvings[:, 0] * _PER_HALVING_SPREAD
        means, spreads = self._drops.learned().predict(rows, unknown)
        drops = means[:, 0] + _DROP_PER_HALVING * halvings[:, 0]
        for place, recipe in enumerate(candidates):
            if recipe in self.found:
                drops[place], spreads[place] = self.scaled(self._drop(self.found[recipe])), 0.0
        factors = 2.0**-halvings
        costs = [
            {name: self._baseline[name] * float(factor) for name, factor in zip(PLAN_COSTS, row, strict=True)}
            for row in factors
        ]
        return Expected(costs, drops, spreads)

    def _drop(self, after: AfterStep) -> float:
        return self._terms.drop(self._baseline["quality"], after.quality)

    def _halvings(self, figures: Mapping[str, Any]) -> list[float]:
        return [
            math.log2(
                max(self._baseline[name], FIGURE[name].resolution)
                / max(figure_of(figures, name), FIGURE[name].resolution)
            )
            for name in PLAN_COSTS
        ]


def _drop_bound(judge: Judge, terms: QualityTerms) -> float | None:
    """Returns the largest drop of quality that the constraints allow, None where none speaks of it."""
    bounds = []
    for constraint in judge.constraints:
        if not isinstance(constraint, Constraint):
            continue
        if constraint.metric == "quality_drop" and constraint.comparison == "<=":
            bounds.append(constraint.bound)
        elif constraint.metric == "quality":
            bounds.append(terms.drop(figure_of(judge.baseline, "quality", "baseline"), constraint.bound))
    return min(bounds, default=None)
