"""The replay of searches: what is paid and what is found, on a table that is made up here."""

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import BASELINE

sys.path.insert(0, str(Path(__file__).parent))

from replayed_search import Spent, Tabulated, best_after, least_ahead, searched, seconds_until
from search_table import SPACE, Table, recipes, runs

STRONG = {"tensor_train": 3.0, "tucker": 2.0, "prune_channels": 2.0, "quantize": 4.0, "distill": 1.0}


def row(recipe: Recipe) -> dict[str, Any]:
    size = 1.0
    for step in recipe:
        size *= STRONG.get(step.name, 1.0)
    drop = sum(0.001 * (1 + place) for place, step in enumerate(recipe) if step.name != "distill")
    found = {**BASELINE.to_json(), "recipe": str(recipe), "epochs": 2.0, "seed": 0, "reason": None}
    costs = {name: found[name] / size for name in ("model_bytes", "macs", "latency_ms", "parameters")}
    seconds = [float(place) for place in range(1, len(recipe) + 1)]
    return {**found, **costs, "quality": BASELINE.quality - drop, "step_seconds": seconds}


@pytest.fixture(scope="module")
def world() -> Tabulated:
    return Tabulated([row(recipe) for recipe in recipes("digits")])


def test_the_space_has_every_legal_recipe_once_with_the_fixed_ones() -> None:
    found = recipes("digits")
    assert len(found) == len(set(found)) > 600
    assert {step.name for recipe in found for step in recipe} >= set(SPACE)
    assert Recipe() in found


def test_the_rows_of_a_table_are_the_budgets_and_seeds_that_are_promised() -> None:
    found = runs("digits", 2.0)
    texts = {str(recipe) for recipe in recipes("digits")}
    assert {run.recipe for run in found if (run.epochs, run.seed) == (2.0, 0)} == texts
    assert {run.recipe for run in found if (run.epochs, run.seed) == (0.5, 0)} == texts
    assert len([run for run in found if run.seed]) >= 2 * 60


def test_a_prefix_is_paid_once_where_it_is_shared(world: Tabulated) -> None:
    shared, apart = (searched(world, "random", 0, 30, shares=one) for one in (True, False))
    assert [one.best for one in shared] == [one.best for one in apart]
    assert shared[-1].seconds < apart[-1].seconds
    assert all(one.seconds <= other.seconds for one, other in pairwise(shared))


def test_what_is_found_is_never_better_than_the_best_of_the_table(world: Tabulated) -> None:
    assert searched(world, "atoll", 0, 20)[-1].best == pytest.approx(world.best)


def test_what_could_not_be_planned_has_no_price_and_is_never_chosen_before_what_has_one() -> None:
    rows = [row(recipe) for recipe in recipes("digits")]
    best = max(rows, key=lambda one: one["quality"] > BASELINE.quality - 0.01 and -one["model_bytes"])
    refused = {name: None for name in best} | {"recipe": best["recipe"], "reason": "touches no layer"}
    world = Tabulated([refused if one is best else one for one in rows])
    with pytest.raises(AtollError, match="touches no layer"):
        world.price(Recipe.parse(best["recipe"]))
    assert world.told(Recipe.parse(best["recipe"])).failed
    assert searched(world, "atoll", 0, 20)[-1].best == pytest.approx(world.best)


def test_a_recipe_outside_the_table_is_an_error(world: Tabulated) -> None:
    with pytest.raises(AtollError, match="has no svd"):
        world.told(Recipe.parse("svd -> quantize"))


def test_seconds_and_bests_are_read_off_a_course() -> None:
    course = [Spent(2.0, None), Spent(3.0, 1.5), Spent(7.0, 1.5), Spent(9.0, 2.0)]
    assert seconds_until(course, 1.5) == 3.0
    assert seconds_until(course, 1.6) == 9.0
    assert seconds_until(course, 5.0) == 9.0
    assert [best_after(course, seconds) for seconds in (1.0, 2.5, 3.0, 100.0)] == [0.0, 0.0, 1.5, 2.0]


def test_ahead_is_the_median_where_it_is_least() -> None:
    plain = {seed: [Spent(1.0, 1.0), Spent(10.0, 3.0)] for seed in range(3)}
    better = [Spent(0.5, 2.0), Spent(9.5, 2.5)]
    worst = {0: [Spent(0.5, 9.0)], 1: better, 2: better}
    assert least_ahead(plain, plain) == 0.0
    # two of three are ahead by 1 until plain Optuna's last trial, then behind by a half
    assert least_ahead(worst, plain) == -0.5
    assert least_ahead({seed: [Spent(0.5, 9.0)] for seed in range(3)}, plain) == 6.0


def test_a_table_is_written_whole_and_gone_on_with(tmp_path: Path) -> None:
    table = Table(tmp_path / "t.parquet")
    table.rows = [row(Recipe()), {"recipe": "svd", "epochs": 2.0, "seed": 0, "reason": "diverged"}]
    table.save()
    again = Table(tmp_path / "t.parquet")
    assert len(again.done()) == 2
    assert {one["recipe"]: one["reason"] for one in again.rows} == {"baseline": None, "svd": "diverged"}
    assert not list(tmp_path.glob("*.part"))
