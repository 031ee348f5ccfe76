"""Grows recipes step by step: exact prices, and what was learned of every step, choose what is tried next.

Candidates are the next steps of what was already evaluated (with the step cache a step of training each),
beside changes of good recipes and drawn ones. What each costs on the device is known before it is trained,
what it does to the quality is learned from every step that any trial took. The one is tried that promises
most for a second of training still to do: what it would gain on the best so far, times the probability that
it is within the constraints. Now and then the seconds do not count. To grow schemes by a learned predictor
of their next step is AutoMC's idea (Wang et al., ICDE 2022), improvement times feasibility that of
constrained Bayesian optimization (Gardner et al., ICML 2014).
"""

import hashlib
import math
from collections.abc import Container, Iterable, Iterator, Sequence
from functools import lru_cache
from random import Random
from typing import Any

from ...spaces.recipes.order import is_legal, repair
from ...spaces.recipes.recipe import Recipe
from .evidence import QUALITY_NOISE, Evidence, Expected
from .mutation import mutate
from .outlook import Outlook
from .proposer import Told
from .space import Space

#: how many of the best are grown and changed, and candidates that are changes or drawn
GROWN, CHANGED, DRAWN = 24, 96, 48
#: of the best a worse one is changed the less often: e-folding, in places
_PLACES = 4.0
#: so many of the most promising candidates are priced exactly, more where none of these gains anything, and
#: so many are asked for a price at most: it takes tens of milliseconds each, in which the driver does nothing
#: else
PRICED, ASKED = 6, 20
#: of so many proposals one is chosen by what may be instead of what is likely, so that nothing is given up
TURNS = 6
#: of so many proposals one is chosen by what it would gain, however long it trains. Behind a long first step
#: every cheap change looks better than another first step, and all that is trained begins with the same one;
#: chosen on digits (results/search_table/README.md)
PATIENT = 3
#: before anything meets the constraints a larger gain counts as this one, so that something does at once:
#: without it the first may be the third trial. It costs training on an easy task and saves a third of it
#: on a harder one (results/search_table/README.md)
STRIDE = 2.0
#: what a trial takes beside its training, in steps
_OVERHEAD = 0.3
#: random draws; all known means that hardly anything is left
RANDOM_ATTEMPTS = 500


class GrowingProposer:
    """See the module.

    Args:
        space: what may be proposed.
        seed: of the study.
    """

    exhausted = f"no recipe is left that was not tried (in {RANDOM_ATTEMPTS} draws)"

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._singles = [Recipe((step,)) for steps in space.steps.values() for step in steps]
        # Those of the last call: a history much like that one goes on with them, to save time.
        self._outlook: Outlook | None = None
        self._evidence: Evidence | None = None
        self._next_steps = lru_cache(maxsize=4 * GROWN)(self._all_next_steps)

    def propose(
        self,
        n: int,
        history: Sequence[Told],
        pending: Iterable[Recipe] = (),
        known: Container[Recipe] | None = None,
        outlook: Outlook | None = None,
    ) -> Recipe | None:
        """Returns the n-th proposal, None where nothing new was found; drawn where there is no outlook."""
        random = Random(_derived_seed(self._seed, n))
        pending = list(pending)
        taken = {told.recipe for told in history}.union(pending) if known is None else known
        if outlook is not None and outlook.judge.objective is not None:
            evidence = self._evidence_of(history, outlook)
            candidates = self._candidates(evidence, random, taken)
            chosen = self._most_promising(n, candidates, evidence, outlook, pending, random)
            if chosen is not None:
                return chosen
        return next(self._drawn(random, taken, RANDOM_ATTEMPTS), None)

    def parameters(self, recipe: Recipe) -> dict[str, Any]:
        """Returns the steps as text, by position."""
        return {str(place): str(step) for place, step in enumerate(recipe, start=1)}

    def _evidence_of(self, history: Sequence[Told], outlook: Outlook) -> Evidence:
        if self._evidence is None or outlook != self._outlook:
            self._outlook, self._evidence = outlook, Evidence(outlook, self._singles)
        self._evidence.follow(history)
        return self._evidence

    def _candidates(self, evidence: Evidence, random: Random, taken: Container[Recipe]) -> list[Recipe]:
        """Returns what may be tried, each once: next steps, changes, drawn ones, trained prefixes.

        Where few recipes can be evaluated at all, these are what may be tried, the same in any order.
        """
        if self._space.only is not None:
            return [recipe for recipe in self._space.pool if recipe not in taken]
        best = evidence.best(GROWN)
        found = dict.fromkeys(best)
        for recipe in (Recipe(), *best):
            found |= dict.fromkeys(self._next_steps(recipe))
        for _ in range(CHANGED if best else 0):
            place = min(int(random.expovariate(1 / _PLACES)), len(best) - 1)
            found[mutate(best[place], self._space.steps, random, self._space.max_steps)] = None
            found[self._crossed(best[place], random.choice(best), random)] = None
        found |= dict.fromkeys(self._drawn(random, taken, DRAWN))
        return [recipe for recipe in found if recipe in self._space and recipe not in taken]

    def _all_next_steps(self, recipe: Recipe) -> tuple[Recipe, ...]:
        if len(recipe) == self._space.max_steps:
            return ()
        longer = ((*recipe.steps, *single.steps) for single in self._singles)
        return tuple(Recipe(steps) for steps in longer if is_legal(steps))

    def _crossed(self, one: Recipe, other: Recipe, random: Random) -> Recipe:
        """Returns the beginning of one with the end of another."""
        cut, begin = random.randint(1, len(one)), random.randrange(len(other))
        return repair([*one.steps[:cut], *other.steps[begin:]], self._space.max_steps)

    def _drawn(self, random: Random, taken: Container[Recipe], draws: int) -> Iterator[Recipe]:
        """Yields legal recipes of the space that are not taken."""
        if self._space.only is not None:
            left = [recipe for recipe in self._space.pool if recipe not in taken]
            yield from random.sample(left, min(draws, len(left)))
            return
        for _ in range(draws):
            length = random.randint(self._space.min_steps, self._space.max_steps)
            # twice as many as are kept: the repair leaves out what is not legal
            names = [random.choice(self._space.techniques).name for _ in range(2 * length)]
            recipe = repair([random.choice(self._space.steps[name]) for name in names], length)
            if len(recipe) >= self._space.min_steps and recipe not in taken:
                yield recipe

    def _most_promising(
        self,
        n: int,
        candidates: Sequence[Recipe],
        evidence: Evidence,
        outlook: Outlook,
        pending: Sequence[Recipe],
        random: Random,
    ) -> Recipe | None:
        """Returns the candidate of the highest promise, None where nothing can be tried."""
        expected = evidence.expected(candidates)
        step_seconds = evidence.seconds()
        running = {prefix for recipe in pending for prefix in recipe.prefixes()}
        lucks = [random.gauss(0.0, 1.0) for _ in candidates] if n % TURNS == TURNS - 1 else None
        is_patient = n % PATIENT == 1

        def seconds(recipe: Recipe) -> float:
            # what was evaluated was so with all its beginnings: the longest that was says it of the others
            trained = len(recipe)
            for prefix in reversed(recipe.prefixes()[1:]):
                if prefix in evidence.found or prefix in running:
                    break
                trained -= 1
            missing = math.fsum(map(step_seconds, recipe.steps[trained:]))
            return missing + _OVERHEAD * step_seconds(recipe.steps[-1])

        def promise(place: int, such: Expected) -> float:
            luck = None if lucks is None else lucks[place]
            promised = _promise(evidence, such, luck)
            return promised if is_patient else promised / seconds(candidates[place])

        guesses = [promise(place, such) for place, such in enumerate(expected)]
        chosen: list[tuple[float, Recipe]] = []
        first = sorted(range(len(candidates)), key=lambda one: -guesses[one])[:ASKED]
        for place in first:
            price = outlook.figures(candidates[place])
            if price is not None:
                such = evidence.priced(candidates[place], price)
                chosen.append((promise(place, such), candidates[place]))
            if len(chosen) >= PRICED and max(chosen, key=lambda one: one[0])[0] > 0:
                break
        if chosen:
            return max(chosen, key=lambda one: one[0])[1]
        # all of them are refused: the first becomes a trial all the same, rejected with the reason
        return candidates[first[0]] if first else None


def _promise(evidence: Evidence, such: Expected, luck: float | None) -> float:
    """Returns what a recipe would gain on the best so far, times the probability that it is feasible.

    Args:
        evidence: of the study.
        such: what is expected of the recipe.
        luck: where what may be decides, how many standard deviations the drop is better than expected.

    Returns:
        below 0 where nothing would be gained: then what comes nearest to it is tried.
    """
    gain = such.objective - evidence.best_objective
    feasible = 1.0
    if evidence.allowed is not None and such.spread == 0:
        feasible = float(such.drop <= evidence.allowed)
    elif evidence.allowed is not None:
        edge = (evidence.allowed - such.drop) / math.hypot(such.spread, QUALITY_NOISE)
        feasible = 0.5 * math.erfc(-edge / math.sqrt(2)) if luck is None else float(edge > -luck)
    if gain <= 0 or such.broken > 0:
        return min(gain, 0.0) - such.broken - 1.0 + 0.01 * feasible
    return feasible * (gain if evidence.any_feasible else min(gain, STRIDE))


PROPOSER = GrowingProposer


def _derived_seed(seed: int, n: int) -> int:
    digest = hashlib.sha256(f"{seed}/{n}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
