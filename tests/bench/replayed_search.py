"""How long a search trains until it is as good as plain Optuna is after 60 trials: replayed, seed by seed.

Every recipe of the table's space was really trained once (`make bench-table`); a search is told what the
table says, and pays the seconds that the table's training took. (a) is Optuna's TPE as one would plug it
into Ray Tune: same space, repair, objective and constraints, repeats free, every step of every trial
trained; shown a second time with prefixes trained once. (b) draws, (c) is Atoll from cold; both train a
prefix once, as the step cache lets them. How far one is ahead of (a) after the same training is the median
over the seeds, at the tenth of (a)'s time at which that is least.
"""

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from atoll.evaluators.ranking.constraints import parse_constraints
from atoll.evaluators.ranking.goal import Goal
from atoll.search.proposer.outlook import Outlook
from atoll.search.proposer.proposer import AfterStep, Told, new_proposer
from atoll.search.proposer.space import Space
from atoll.search.proposer.trial_scores import Judge, total_violation
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.order import grid_steps
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import technique_named
from figures import report
from search_table import LENGTH, RESULTS, SPACE, recipes

MIN_STEPS = 2
#: trials of plain Optuna, whose best is the target and whose training the measure
TRIALS = 60
#: the sampler's settings were chosen on the first; what it is worth, the second says
TASKS = ("digits", "small_characters")
GOAL, CONSTRAINTS = "smallest", ("quality_drop <= 0.01",)
TECHNIQUES = tuple(technique_named(name) for name in SPACE)


@dataclass(frozen=True)
class Spent:
    """Where a search stood after a trial: seconds of training so far, and its best feasible objective."""

    seconds: float
    best: float | None


class Tabulated:
    """A table of trained recipes as a world for searches; a recipe outside it is an error."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = {Recipe.parse(row["recipe"]): row for row in rows}
        self.judge = Judge(parse_constraints(CONSTRAINTS), self.row(Recipe())).of_costs(Goal.parse(GOAL))

    @classmethod
    def of(cls, path: Path) -> "Tabulated":
        """Reads the rows of the whole budget and the first seed."""
        rows = pq.read_table(path).to_pylist()
        budget = max(row["epochs"] for row in rows)
        return cls([row for row in rows if (row["epochs"], row["seed"]) == (budget, 0)])

    def has(self, recipe: Recipe) -> bool:
        """Whether the table has a recipe."""
        return recipe in self._rows

    def row(self, recipe: Recipe) -> Mapping[str, Any]:
        """Returns what the table has of a recipe.

        Raises:
            AtollError: nothing.
        """
        if recipe not in self._rows:
            raise AtollError(f"the table of {len(self._rows)} recipes has no {recipe}")
        return self._rows[recipe]

    def price(self, recipe: Recipe) -> Mapping[str, Any]:
        """Returns what the table has of a recipe that can be planned.

        Raises:
            AtollError: nothing, or the reason why it cannot.
        """
        row = self.row(recipe)
        if row["reason"] is not None:
            raise AtollError(row["reason"])
        return row

    def told(self, recipe: Recipe) -> Told:
        """Returns what a proposer hears of a recipe."""
        row = self.row(recipe)
        if row["reason"] is not None:
            return Told(recipe, 0.0, 1.0, failed=True)
        records = zip(recipe.prefixes()[1:], row["step_seconds"], strict=True)
        after = tuple(AfterStep.of({**self.row(prefix), "seconds": seconds}) for prefix, seconds in records)
        return Told(recipe, self.judge.score(row) or 0.0, total_violation(self.judge.violation(row)), after)

    @cached_property
    def best(self) -> float:
        """The best feasible objective of any recipe that may be proposed."""
        steps = {step for technique in TECHNIQUES for step in grid_steps(technique, SPACE)}
        space = [recipe for recipe in self._rows if len(recipe) >= MIN_STEPS and steps.issuperset(recipe)]
        return max(one.objective for one in map(self.told, space) if one.violation <= 0 and one.after)


def searched(world: Tabulated, sampler: str, seed: int, trials: int, shares: bool = True) -> list[Spent]:
    """Returns the course of a search.

    Args:
        world: to search.
        sampler: by name.
        seed: of the search.
        trials: how many it has.
        shares: whether a prefix that was trained is not trained again.
    """
    proposer = new_proposer(sampler, Space(TECHNIQUES, MIN_STEPS, LENGTH, SPACE), seed)
    outlook, history, trained = Outlook(world.judge, world.price), list[Told](), set[Recipe]()
    seconds, best, course = 0.0, None, []
    for n in range(trials):
        recipe = proposer.propose(n, history, outlook=outlook)
        if recipe is None:
            break
        told = world.told(recipe)
        for prefix, after in zip(recipe.prefixes()[1:], told.after, strict=False):
            seconds += 0.0 if shares and prefix in trained else after.seconds
            trained.add(prefix)
        history.append(told)
        if told.after and told.violation <= 0 and (best is None or told.objective > best):
            best = told.objective
        course.append(Spent(seconds, best))
    return course


def seconds_until(course: Sequence[Spent], target: float) -> float:
    """Returns what was trained until a search was as good; all of it where it never was."""
    hit = (one.seconds for one in course if one.best is not None and one.best >= target - 1e-9)
    return next(hit, course[-1].seconds)


def best_after(course: Sequence[Spent], seconds: float) -> float:
    """Returns the best objective after so much training, 0 (the baseline's) before there is one."""
    return max((one.best or 0.0 for one in course if one.seconds <= seconds), default=0.0)


def least_ahead(ours: Mapping[int, Sequence[Spent]], plain: Mapping[int, Sequence[Spent]]) -> float:
    """Returns the least of ten medians over the seeds: how far ahead of (a) after tenths of its training."""
    return min(
        statistics.median(
            best_after(ours[seed], course[-1].seconds * tenth / 10)
            - best_after(course, course[-1].seconds * tenth / 10)
            for seed, course in plain.items()
        )
        for tenth in range(1, 11)
    )


def replayed(task: str, seeds: int) -> None:
    """Replays all searches on the table of a task and prints the figures.

    Raises:
        AtollError: the table is not whole.
    """
    path = RESULTS / f"{task}.parquet"
    if not path.exists():
        raise AtollError(f"no table {path}: make bench-table")
    world, space = Tabulated.of(path), recipes(task)
    missing = [recipe for recipe in space if not world.has(recipe)]
    if missing:
        raise AtollError(
            f"{path} has {len(space) - len(missing)} of {len(space)} recipes: make bench-table goes on"
        )
    plain = {seed: searched(world, "tpe", seed, TRIALS, shares=False) for seed in range(seeds)}
    found = {seed: course for seed, course in plain.items() if course[-1].best is not None}
    name = f"replayed_search/{task}"
    report(f"{name}/seeds_where_plain_optuna_found_nothing", len(plain) - len(found), "seeds", None, "lower")
    for title, sampler in (
        ("atoll", "atoll"),
        ("random", "random"),
        ("plain_optuna_sharing_prefixes", "tpe"),
    ):
        ours = {seed: searched(world, sampler, seed, TRIALS) for seed in found}
        ratios = [
            seconds_until(ours[seed], course[-1].best or 0.0) / course[-1].seconds
            for seed, course in found.items()
        ]
        target = 0.2 if sampler == "atoll" else None
        report(f"{name}/{title}_training_share_median", statistics.median(ratios), "share", target, "lower")
        report(f"{name}/{title}_training_share_worst", max(ratios), "share", target and 1.05, "lower")
        report(f"{name}/{title}_ahead_least", least_ahead(ours, found), "halvings", target and 0.0, "higher")
    report(f"{name}/best_of_table", world.best, "halvings", None, "higher")
    ends = statistics.median(course[-1].best or 0.0 for course in found.values())
    report(f"{name}/plain_optuna_best_median", ends, "halvings", None, "higher")


def main(arguments: Sequence[str]) -> int:
    """Replays the tables that are named, all if none is; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", action="append", choices=TASKS, help="a table, may be given again")
    parser.add_argument("--seeds", type=int, default=50)
    given = parser.parse_args(arguments)
    try:
        for task in given.task or TASKS:
            replayed(task, given.seeds)
    except AtollError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
