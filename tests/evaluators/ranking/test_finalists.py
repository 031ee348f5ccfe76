"""The winner of the finalists: seeds are paired, luck is told from a lead, and the safer of equals wins."""

import math
from typing import Any

import pytest
from atoll.evaluators.ranking.constraints import parse_constraints
from atoll.evaluators.ranking.finalists import Finalist, Lead, finalists, said_on_test, winner
from atoll.evaluators.ranking.goal import Goal
from atoll.evaluators.ranking.leaderboard import leaderboard, leaderboard_by_goal, recipe_rows, standard_error
from atoll.spaces.errors import AtollError

BASELINE = {
    "quality": 0.90,
    "model_bytes": 8000,
    "latency_ms": 8.0,
    "macs": 800,
    "peak_memory_bytes": 80,
    "seed": 0,
}


def trial(recipe: str, quality: float, size: int = 1000, seed: int = 0) -> dict[str, Any]:
    costs = {"model_bytes": size, "latency_ms": 1.0, "macs": 100, "peak_memory_bytes": 10}
    return {
        "recipe": recipe,
        "seed": seed,
        "epochs_per_step": 1.0,
        "quality": quality,
        "trial": recipe,
        **costs,
    }


def seeds(recipe: str, *qualities: float, size: int = 1000) -> list[dict[str, Any]]:
    return [trial(recipe, quality, size, seed) for seed, quality in enumerate(qualities)]


def finalist(drop: float, error: float, *scores: float) -> Finalist:
    return Finalist({"quality_drop": drop, "quality_drop_error": error}, scores)


def test_each_seed_is_held_against_its_own_baseline() -> None:
    rows = [*seeds("baseline", 0.90, 0.94, 0.86), *seeds("a", 0.89, 0.91, 0.87), trial("b", 0.89)]
    a, b = recipe_rows(rows, BASELINE)
    # drops of 0.01, 0.03 and -0.01: mean 0.01, standard deviation 0.02
    assert (a["n"], a["baseline_quality"], a["quality"]) == (3, pytest.approx(0.90), pytest.approx(0.89))
    assert a["quality_drop_error"] == pytest.approx(0.02 / 3**0.5)
    assert a["seed"] == 0, "the seed whose drop is the mean"
    assert (b["n"], b["baseline_quality"], b["quality_drop_error"]) == (1, 0.90, None)
    ranked = {row["recipe"]: row for row in leaderboard(rows, BASELINE)}
    assert ranked["a"]["quality_drop"] == pytest.approx(0.01)
    assert ranked["a"]["score"] == pytest.approx(ranked["b"]["score"]), "equal drops and costs score alike"


def test_a_mean_drop_decides_what_meets_the_constraint() -> None:
    """0.86 is far below the first baseline, and level with its own."""
    rows = [*seeds("baseline", 0.90, 0.85), *seeds("a", 0.895, 0.84), *seeds("b", 0.90, 0.80)]
    constraints = parse_constraints(["quality_drop <= 0.01"])
    met = [row["recipe"] for row in leaderboard(rows, BASELINE, constraints=constraints)]
    assert sorted(met) == ["a", "baseline"]
    by_goal = leaderboard_by_goal(rows, BASELINE, Goal.parse("smallest"), constraints)
    assert sorted(row["recipe"] for row in by_goal) == ["a", "baseline"]


def test_the_standard_error_is_that_of_a_mean() -> None:
    assert standard_error([0.1, 0.3]) == pytest.approx(0.1)  # |a - b| / 2
    assert standard_error([0.1]) is None
    assert standard_error([0.1, float("nan")]) is standard_error([float("inf"), 0.1]) is None


def test_a_lead_is_told_seed_by_seed() -> None:
    """Seeds that lift both alike say nothing; gaps of 1, 1.2 and 0.8 do."""
    one, other = finalist(0, 0, 5, 9.2, 1.8), finalist(0, 0, 4, 8, 1)
    lead = Lead.of(one, other)
    assert (lead.score, lead.error) == (pytest.approx(1.0), pytest.approx(0.2 / 3**0.5))
    assert lead.is_clear
    assert not Lead.of(finalist(0, 0, 5, 9), finalist(0, 0, 4, 9.5)).is_clear  # 0.25 with 0.75
    assert not Lead.of(one, one).is_clear


def test_the_safest_of_those_that_luck_tells_apart_wins() -> None:
    risky, safe, worse = finalist(0, 0, 9, 1, 5.3), finalist(0, 0, 5, 5, 5), finalist(0, 0, 4.9, 4.9, 4.9)
    assert winner([risky, safe, worse]) is safe
    clear = finalist(0, 0, 6, 6, 6)
    assert winner([clear, safe]) is clear


def test_equal_costs_leave_it_to_the_drop() -> None:
    luckier, surer = finalist(0.001, 0.010, 3, 3, 3), finalist(0.002, 0.001, 3, 3, 3)
    assert winner([luckier, surer]) is surer


def test_scores_of_each_seed_come_from_the_leaderboard_of_that_seed() -> None:
    rows = [
        *seeds("baseline", 0.90, 0.94),
        *seeds("a", 0.90, 0.93, size=1000),
        *seeds("b", 0.89, 0.93, size=500),
        trial("c", 0.90, 250),
        {**trial("a", 0.0, 1, seed=2), "status": "failed"},
    ]
    goal = Goal.parse("smallest")
    ranked = leaderboard_by_goal(rows, BASELINE, goal)
    found = finalists(rows, ranked, lambda some: leaderboard_by_goal(some, BASELINE, goal, all=True))
    assert [(one.row["recipe"], one.scores) for one in found] == [("b", (4.0, 4.0)), ("a", (3.0, 3.0))]
    assert winner(found).row["recipe"] == "b"
    once = [row for row in rows if row["seed"] == 0]
    assert finalists(once, leaderboard_by_goal(once, BASELINE, goal), lambda some: []) == []


def test_recipes_that_share_no_two_seeds_are_not_compared() -> None:
    rows = [
        *seeds("baseline", 0.90),
        *seeds("a", 0.90, 0.89),
        trial("b", 0.9, seed=7),
        trial("b", 0.9, seed=8),
    ]
    goal = Goal.parse("smallest")
    ranked = leaderboard_by_goal(rows, BASELINE, goal)
    assert {row["n"] for row in ranked if row["recipe"] != "baseline"} == {2}
    assert finalists(rows, ranked, lambda some: leaderboard_by_goal(some, BASELINE, goal, all=True)) == []


def test_the_test_split_is_held_against_validation_over_the_seeds_that_were_tested() -> None:
    """Drops on validation 0.01, 0.03 and 0.02, on test 0.03, 0.07 and none: gaps of 0.02 and 0.04."""
    rows = [*seeds("baseline", 0.90, 0.90, 0.90), *seeds("a", 0.89, 0.87, 0.88), trial("b", 0.89)]
    for row, test_drop in zip(rows[3:5], (0.03, 0.07), strict=True):
        row["test_drop"] = test_drop
    a, b = recipe_rows(rows, BASELINE)
    assert a["test_drop"] == pytest.approx(0.05) and a["test_gap"] == pytest.approx(0.03)
    assert a["test_drop_error"] == pytest.approx(
        0.02
    )  # standard deviation of 0.02 times the root of 2, over it
    assert (b["test_drop"], b["test_drop_error"], b["test_gap"]) == (None, None, None)
    assert said_on_test(b) is None
    assert said_on_test(a) == (
        "mean over its seeds: on the test split (files) 5.00 points worse ± 2.00 points, on validation 2.00 "
        "points worse ± 0.58 points; the test split is 3.00 points worse"
    )


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_drop_on_test_that_is_no_number_is_refused(value: float) -> None:
    rows = [*seeds("baseline", 0.90, 0.90), *seeds("a", 0.89, 0.87)]
    for row in rows[2:]:
        row["test_drop"] = value
    with pytest.raises(AtollError, match=f"^a: test_drop of the candidate is {value}: .* finite number$"):
        recipe_rows(rows, BASELINE)


def test_an_error_that_grows_is_a_drop_on_test_too() -> None:
    """Of an error in mm less is better: 0.3 mm more on validation, and the test split 0.1 mm worse."""
    unit = {"quality_name": "error", "quality_unit": "mm", "quality_higher_is_better": False}
    rows = [{**trial("a", 1.2 + seed / 10, seed=seed), "test_drop": 0.4, **unit} for seed in (0, 2)]
    (row,) = recipe_rows(rows, {**BASELINE, "quality": 1.0, **unit})
    assert row["test_gap"] == pytest.approx(0.1)
    assert str(said_on_test(row)).endswith(
        "on validation 0.3 mm worse ± 0.1 mm; the test split is 0.1 mm worse"
    )
