"""What a rule would save that stops trials on their way: replayed on the table, and not part of Atoll.

After each step of a trial that was just trained, the end is predicted from everything the sampler `atoll`
learned so far and the drop just measured: with the posterior over effects both are jointly normal, so that
the end given the prefix is a closed form (Bishop, Pattern Recognition and Machine Learning, eqs. 2.81-82).
The trial stops where the end is within the constraints with less than some probability. Results stand in
results/search_table/README.md.
"""

import math
from statistics import NormalDist, mean, median

import numpy as np
from atoll.search.proposer.effects import with_size
from atoll.search.proposer.evidence import _DROP_PER_HALVING, _PER_HALVING_SPREAD, QUALITY_NOISE, Evidence
from atoll.search.proposer.grown import GrowingProposer
from atoll.search.proposer.outlook import Outlook
from atoll.search.proposer.proposer import Told
from atoll.search.proposer.space import Space
from atoll.spaces.recipes.recipe import Recipe
from figures import report
from replayed_search import MIN_STEPS, TASKS, TECHNIQUES, TRIALS, Spent, Tabulated, searched, seconds_until
from search_table import LENGTH, RESULTS, SPACE

SEEDS = 12
#: below which probability of a feasible end a trial stops; 0: never
PROBABILITIES = (0.0, 0.02, 0.05, 0.2)


class Joint:
    """What is expected of drops of several recipes, as weights over the effects that were learned.

    Args:
        evidence: of the study so far.
        outlook: with the prices.
    """

    def __init__(self, evidence: Evidence, outlook: Outlook) -> None:
        self._evidence, self._outlook = evidence, outlook
        self._effects = evidence._drop_effects

    def of(self, recipe: Recipe) -> tuple[np.ndarray, float, float] | None:
        """Returns weights of effects, variance of what is unknown, and mean drop; None without a price."""
        price = self._outlook.figures(recipe)
        if price is None:
            return None
        halvings = self._evidence._halvings(price)[0]
        columns, weights = with_size(self._evidence._words.row(recipe), halvings * _PER_HALVING_SPREAD)
        known = self._effects._knows(columns)
        found = np.zeros(len(self._effects.precision))
        np.add.at(found, columns[known], weights[known])
        drop = float(found @ self._effects._means[:, 0]) + _DROP_PER_HALVING * halvings
        return found, float((weights[~known] ** 2).sum()), drop

    def bounds(self, recipe: Recipe, probability: float) -> dict[Recipe, float]:
        """Returns the drop, as its logarithm, after each prefix above which the end is too improbable."""
        end, allowed = self.of(recipe), self._evidence.allowed
        if end is None or allowed is None or probability <= 0:
            return {}
        covariance, edge = self._effects._covariance, NormalDist().inv_cdf(probability)
        weights, unknown, expected = end
        variance = weights @ covariance @ weights + unknown + QUALITY_NOISE**2
        found = {}
        for prefix in recipe.prefixes()[1:-1]:
            before = self.of(prefix)
            if before is None:
                continue
            # what is unknown of the beginning is as unknown of the end
            shared = before[0] @ covariance @ weights + before[1]
            spread = before[0] @ covariance @ before[0] + before[1] + QUALITY_NOISE**2
            if shared > 0:
                left = math.sqrt(max(variance - shared**2 / spread, QUALITY_NOISE**2))
                found[prefix] = before[2] + (allowed - edge * left - expected) * spread / shared
        return found


def stopped_search(world: Tabulated, seed: int, probability: float) -> tuple[list[Spent], int, bool]:
    """Returns the course of a search with the rule, how many it stopped, and whether a new best was one."""
    proposer = GrowingProposer(Space(TECHNIQUES, MIN_STEPS, LENGTH, SPACE), seed)
    outlook, history, trained = Outlook(world.judge, world.price), list[Told](), set[Recipe]()
    seconds, best, course, stops, wrong = 0.0, None, list[Spent](), 0, False
    for n in range(TRIALS):
        recipe = proposer.propose(n, history, outlook=outlook)
        if recipe is None:
            break
        told, evidence = world.told(recipe), proposer._evidence
        assert evidence is not None
        bounds = Joint(evidence, outlook).bounds(recipe, probability)
        is_best = bool(told.after) and told.violation <= 0 and (best is None or told.objective > best)
        for place, (prefix, after) in enumerate(
            zip(recipe.prefixes()[1:], told.after, strict=False), start=1
        ):
            is_new = prefix not in trained
            trained.add(prefix)
            seconds += after.seconds if is_new else 0.0
            if is_new and evidence.scaled(evidence._drop(after)) > bounds.get(prefix, math.inf):
                told = Told(recipe, 0.0, 1.0, told.after[:place])
                stops, wrong, is_best = stops + 1, wrong or is_best, False
                break
        history.append(told)
        best = told.objective if is_best else best
        course.append(Spent(seconds, best))
    return course, stops, wrong


def measure(task: str) -> None:
    """Replays all searches on the table of a task and prints the figures."""
    world = Tabulated.of(RESULTS / f"{task}.parquet")
    plain = [searched(world, "tpe", seed, TRIALS, shares=False)[-1] for seed in range(SEEDS)]
    for probability in PROBABILITIES:
        found = [stopped_search(world, seed, probability) for seed in range(SEEDS)]
        shares = [
            seconds_until(course, end.best or 0.0) / end.seconds
            for (course, _, _), end in zip(found, plain, strict=True)
        ]
        name = f"stopping_rule/{task}/below_{100 * probability:g}_percent"
        report(f"{name}/training", mean(course[-1].seconds for course, _, _ in found), "s", None, "lower")
        report(f"{name}/trials_stopped", sum(stops for _, stops, _ in found), "trials", None, "higher")
        report(f"{name}/best_stopped", sum(wrong for _, _, wrong in found), "seeds", None, "lower")
        report(f"{name}/training_share_median", median(shares), "share", None, "lower")


if __name__ == "__main__":
    for task in TASKS:
        measure(task)
