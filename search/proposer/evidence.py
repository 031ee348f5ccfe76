"""What a study found so far, and what is learned from it of recipes that nobody tried."""

import heapq
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any

from ...evaluators.ranking.against_baseline import cost_of, figure_of
from ...evaluators.ranking.constraints import Constraint
from ...evaluators.ranking.figures import FIGURE
from ...evaluators.ranking.quality_terms import QualityTerms
from ...spaces.recipes.recipe import Recipe
from ...spaces.technique.technique import Technique
from .effects import Lessons, Words, with_size
from .lesson import PLAN_COSTS, Lesson
from .outlook import Outlook
from .proposer import AfterStep, Told
from .trial_scores import Judge, total_violation

#: costs that no plan tells, and the one whose share of the baseline's they are taken to have
_LIKE = {
    "payload_bytes": "model_bytes",
    "nonzero_parameters": "parameters",
    "arena_bytes": "peak_memory_bytes",
    "ethos_u_flash_bytes": "model_bytes",
}
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
#: what was learned is fitted anew when the history grew by such a part; below it with every result
_REFIT = 32


@dataclass(frozen=True)
class Expected:
    """What is expected of a candidate that nobody tried.

    Args:
        costs: figures by name.
        drop: its logarithm.
        spread: standard deviation of that, 0 where it was evaluated as a prefix.
        objective: what such figures are worth.
        broken: by how much they break constraints that need no training.
    """

    costs: Mapping[str, float]
    drop: float
    spread: float
    objective: float
    broken: float


@dataclass(frozen=True)
class _Before:
    """What taking back a result has to restore."""

    teaching: int
    found: int
    words: int
    any_feasible: bool
    best_objective: float


class Evidence:
    """Results of one study, in the order of its history.

    A step that a trial took on its way counts as a result of its own: it is what the prefix gives. Results
    are a stack: where one is found to belong further down, those above it are taken back, to the last bit,
    and put on again. So whatever was known meanwhile, what is known of a history is the same.

    Args:
        outlook: of the study.
        singles: every recipe of one step, whose prices are known from the beginning.
    """

    def __init__(self, outlook: Outlook, singles: Sequence[Recipe]) -> None:
        judge = outlook.judge
        assert judge.objective is not None
        self._judge, self._objective = judge, judge.objective
        self._figures = judge.baseline if isinstance(judge.baseline, Mapping) else judge.baseline.to_json()
        self._baseline = {name: cost_of(judge.baseline, name) for name in (*PLAN_COSTS, "quality")}
        self._terms = QualityTerms.of(judge.baseline)
        self._priced = [one for one in judge.constraints if not one.needs_training]
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
        #: the figures of its costs, by what costs depend on; in the order in which they came
        self._built: dict[Recipe, list[Mapping[str, float]]] = {}
        self._told: list[Told] = []
        self._before: list[_Before] = []
        #: how many of them say anything (a rejected recipe does not), and those of the last fit; -1: none
        self._teaching, self._fitted = 0, -1
        self._worths: dict[Recipe, float] = {}
        #: by technique: whole microseconds in all, of how many steps
        self._timed: dict[str, list[int]] = {}
        self._words = Words()
        self._costs, self._drops = Lessons(len(PLAN_COSTS), _COST_NOISE), Lessons(1, QUALITY_NOISE)
        for recipe in singles:
            price = outlook.figures(recipe)
            if price is not None and all(name in price for name in PLAN_COSTS):
                self._costs.add(self._words.learn(recipe), self._halvings(price))
        for lesson in outlook.lessons:
            self._begin_with(lesson)
        self._elsewhere = dict(self._worths)
        self._fit()

    def _begin_with(self, lesson: Lesson) -> None:
        """Takes in what another study found: learned from and grown, and yet not evaluated here."""
        costs = {name: self._baseline[name] * share for name, share in lesson.shares.items()}
        self._learn(lesson.recipe, costs, lesson.drop, _ELSEWHERE)
        self._worths[lesson.recipe] = self._worth(costs, lesson.drop)

    # Hearing and taking back ------------------------------------------------------------------------

    def follow(self, history: Sequence[Told]) -> None:
        """Knows exactly this history from now on.

        What is learned of it is learned again with every result at first, and later when it grew by a
        `_REFIT`-th: then of as many of its first results as are a multiple of that.
        """
        pairs = zip(self._told, history, strict=False)
        same = next((place for place, (a, b) in enumerate(pairs) if a is not b and a != b), len(history))
        self._keep(same)
        self._hear(history[len(self._told) :])
        fitted = self._teaching - self._teaching % max(1, self._teaching // _REFIT)
        if self._fitted != fitted:
            self._keep(bisect_left(self._before, fitted, key=lambda before: before.teaching))
            self._fit()
            self._hear(history[len(self._told) :])

    def _hear(self, results: Iterable[Told]) -> None:
        for told in results:
            before = _Before(
                self._teaching, len(self.found), len(self._words), self.any_feasible, self.best_objective
            )
            self._told.append(told)
            self._before.append(before)
            self._teaching += bool(told.after or told.failed or told.violation <= 0)
            if told.violation <= 0:
                self.any_feasible = True
                self.best_objective = max(self.best_objective, told.objective)
            for prefix, after in zip(told.recipe.prefixes()[1:], told.after, strict=False):
                if prefix not in self.found:
                    self._take(prefix, after)
            if told.failed:
                self._drops.add(self._words.learn(told.recipe), [_WORST])

    def _keep(self, first: int) -> None:
        """Takes back all results but the first ones."""
        while len(self._told) > first:
            told, before = self._told.pop(), self._before.pop()
            if told.failed:
                self._drops.add(self._words.learn(told.recipe), [_WORST], times=-1)
            while len(self.found) > before.found:
                self._take_back(*self.found.popitem())
            self._words.forget(before.words)
            self._teaching = before.teaching
            self.any_feasible, self.best_objective = before.any_feasible, before.best_objective
        if self._teaching < self._fitted:
            self._fitted = -1

    def _take(self, recipe: Recipe, after: AfterStep) -> None:
        drop = self._drop(after)
        self.found[recipe] = after
        self._built.setdefault(_as_built(recipe), []).append(after.costs)
        self._expected.pop(recipe, None)
        self._learn(recipe, after.costs, drop)
        self._worths[recipe] = self._worth(after.costs, drop)
        timed = self._timed.setdefault(recipe.steps[-1].name, [0, 0])
        timed[0] += _microseconds(after)
        timed[1] += 1

    def _take_back(self, recipe: Recipe, after: AfterStep) -> None:
        """Undoes `_take`, of what was taken last."""
        self._built[_as_built(recipe)].pop()
        self._expected.pop(recipe, None)
        self._learn(recipe, after.costs, self._drop(after), times=-1)
        if recipe in self._elsewhere:
            self._worths[recipe] = self._elsewhere[recipe]
        else:
            del self._worths[recipe]
        timed = self._timed[recipe.steps[-1].name]
        timed[0] -= _microseconds(after)
        timed[1] -= 1

    def _learn(
        self, recipe: Recipe, costs: Mapping[str, float], drop: float, noises: float = 1.0, times: int = 1
    ) -> None:
        """Learns what a recipe costs and how far it drops."""
        row, halvings = self._words.learn(recipe), self._halvings(costs)
        self._costs.add(row, halvings, noises, times)
        unforeseen = self.scaled(drop) - _DROP_PER_HALVING * halvings[0]
        self._drops.add(with_size(row, halvings[0] * _PER_HALVING_SPREAD), [unforeseen], noises, times)

    def _worth(self, costs: Mapping[str, float], drop: float) -> float:
        """Returns what a recipe is worth as a beginning."""
        figures = self.likely(costs, drop)
        return self._objective(figures) - _PENALTY * total_violation(self._judge.violation(figures))

    def _fit(self) -> None:
        self._fitted = self._teaching
        self._expected: dict[Recipe, Expected] = {}
        self._cost_effects, self._drop_effects = (
            lessons.learned(len(self._words)) for lessons in (self._costs, self._drops)
        )

    # What is said of it -----------------------------------------------------------------------------

    def scaled(self, drop: float) -> float:
        """Returns the logarithm of a drop, of either sign: log(1 + drop / unit), within its bounds."""
        return max(_BEST, min(_WORST, math.copysign(math.log1p(abs(drop) / self._unit), drop)))

    def drop(self, scaled: float) -> float:
        """Returns the drop of such a logarithm."""
        return math.copysign(math.expm1(abs(scaled)), scaled) * self._unit

    def likely(self, costs: Mapping[str, Any], drop: float) -> dict[str, Any]:
        """Returns all figures of a recipe, as objective and constraints are asked of them."""
        worse = -drop if self._terms.higher_is_better else drop
        like = {
            name: self._figures[name] * costs[other] / max(self._baseline[other], FIGURE[other].resolution)
            for name, other in _LIKE.items()
            if self._figures.get(name) is not None and other in costs
        }
        return {**self._figures, **like, **costs, "quality": self._baseline["quality"] + worse}

    def best(self, most: int) -> list[Recipe]:
        """Returns the best of what was evaluated; what narrowly misses the constraints counts as good too.

        A strong compression that is a step of training short of the constraint is a better start than a weak
        one within it.
        """
        return [recipe for recipe, _ in heapq.nlargest(most, self._worths.items(), key=itemgetter(1))]

    def seconds(self) -> Callable[[Technique], float]:
        """Returns what tells how long a step takes, from the means of what was timed."""
        timed = {name: one for name, one in self._timed.items() if one[1]}
        total, steps = (sum(one[part] for one in timed.values()) for part in (0, 1))
        mean = total / steps / 1e6 if steps else 1.0
        means = {name: total / steps / 1e6 for name, (total, steps) in timed.items()}
        return lambda step: means.get(step.name, mean)

    def expected(self, candidates: Sequence[Recipe]) -> list[Expected]:
        """Returns what was learned of candidates; what was evaluated as a prefix is known."""
        new = [recipe for recipe in candidates if recipe not in self._expected]
        rows = [self._words.row(recipe) for recipe in new]
        halvings = self._cost_effects.means(rows)
        rows = [
            with_size(row, float(size) * _PER_HALVING_SPREAD)
            for row, size in zip(rows, halvings[:, 0], strict=True)
        ]
        drops = self._drop_effects.means(rows)[:, 0] + _DROP_PER_HALVING * halvings[:, 0]
        spreads = self._drop_effects.spreads(rows)
        for recipe, factors, drop, spread in zip(new, 2.0**-halvings, drops, spreads, strict=True):
            costs = {
                name: self._baseline[name] * float(factor)
                for name, factor in zip(PLAN_COSTS, factors, strict=True)
            }
            self._expected[recipe] = self._such(recipe, costs, float(drop), float(spread))
        return [self._as_dear_as_built(recipe) for recipe in candidates]

    def _as_dear_as_built(self, recipe: Recipe) -> Expected:
        """Returns what is expected, with the costs of what was evaluated and differs by training alone."""
        known = self._built.get(_as_built(recipe))
        return self.priced(recipe, known[0]) if known else self._expected[recipe]

    def priced(self, recipe: Recipe, price: Mapping[str, Any]) -> Expected:
        """Returns what is expected of a candidate, its costs being known."""
        expected = self._expected[recipe]
        return self._such(recipe, {**expected.costs, **price}, expected.drop, expected.spread)

    def _such(self, recipe: Recipe, costs: Mapping[str, Any], drop: float, spread: float) -> Expected:
        if recipe in self.found:
            drop, spread = self.scaled(self._drop(self.found[recipe])), 0.0
        likely = self.likely(costs, self.drop(drop))
        broken = math.fsum(max(0.0, one.violation(likely, self._judge.baseline)) for one in self._priced)
        return Expected(costs, drop, spread, self._objective(likely), broken)

    def _drop(self, after: AfterStep) -> float:
        return self._terms.drop(self._baseline["quality"], after.quality)

    def _halvings(self, figures: Mapping[str, Any]) -> list[float]:
        return [
            math.log2(
                max(self._baseline[name], FIGURE[name].resolution)
                / max(cost_of(figures, name), FIGURE[name].resolution)
            )
            for name in PLAN_COSTS
        ]


@lru_cache(maxsize=65536)
def _as_built(recipe: Recipe) -> Recipe:
    """Returns the steps that decide what a recipe costs: those that only train do not."""
    return Recipe(tuple(one for one in recipe if one.stage != "training" or one.replaces_network))


def _microseconds(after: AfterStep) -> int:
    return round(after.seconds * 1e6)


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
