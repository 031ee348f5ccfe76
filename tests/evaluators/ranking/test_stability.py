"""How stable a first place is: other weights against a search by brute force, leads against closed forms."""

from typing import Any

import numpy as np
import pytest
from atoll.evaluators.ranking.finalists import Finalist
from atoll.evaluators.ranking.leaderboard import leaderboard
from atoll.evaluators.ranking.ranking import ROLES
from atoll.evaluators.ranking.stability import Overtaking, Stability, overtaking_of

METRICS = ("quality", "model_bytes", "latency_ms", "macs", "peak_memory_bytes")
BASELINE = dict.fromkeys(METRICS, 100.0) | {"quality": 0.9}
Weights = dict[str, float]


def table(generator: np.random.Generator, recipes: int) -> list[dict[str, Any]]:
    """Random recipes, all of them smaller and somewhat worse than the baseline."""
    return [
        {"recipe": f"r{place}", "trial": f"r{place}", "quality": 0.9 - generator.uniform(0, 0.1)}
        | {name: generator.uniform(1, 100) for name in METRICS[1:]}
        for place in range(recipes)
    ]


def ranked(rows: list[dict[str, Any]], weights: Weights, scoring: str) -> list[dict[str, Any]]:
    return leaderboard(rows, BASELINE, weights, all=True, scoring=scoring)


def first_of(rows: list[dict[str, Any]], weights: Weights, scoring: str) -> str:
    return next(row["recipe"] for row in ranked(rows, weights, scoring) if row["recipe"] != "baseline")


def changed(weights: Weights, role: str, change: float) -> Weights:
    return weights | {role: weights[role] * (1 + change)}


@pytest.mark.parametrize("scoring", ["linear", "rank"])
@pytest.mark.parametrize("seed", range(6))
def test_the_smallest_change_of_a_weight_is_that_of_brute_force(seed: int, scoring: str) -> None:
    generator = np.random.default_rng(seed)
    rows = table(generator, recipes=2 + seed)
    weights = {role: float(generator.integers(0, 5)) for role in ROLES} | {"accuracy": 3.0}
    found = overtaking_of(ranked(rows, weights, scoring), BASELINE, weights, scoring)
    first = first_of(rows, weights, scoring)
    least = 10.0 if found is None else abs(found.change)
    if found is not None and least > 0:
        assert first_of(rows, changed(weights, found.role, found.change * (1 + 1e-6)), scoring) == found.by
    for role in ROLES:  # nothing closer by does it, whichever weight is changed
        for change in np.linspace(-1, 1, 41) * least * (1 - 1e-6):
            if change >= -1 and any(changed(weights, role, change).values()):
                assert first_of(rows, changed(weights, role, change), scoring) == first, (role, change)


def test_two_metrics_by_hand() -> None:
    """Between the baseline and the best of each, all scales have the ends 1 and 3.

    `small` scores 3 for its size and 1 for its accuracy, `good` 2 and 3, the baseline 1 and 3. With weights
    of 3 and 1 they have 10 and 9: one more for `good` takes half a weight of accuracy.
    """
    equal = {"latency_ms": 100.0, "macs": 100.0, "peak_memory_bytes": 100.0}
    rows = [
        {"recipe": "a", "trial": "small", "quality": 0.8, "model_bytes": 20.0, **equal},
        {"recipe": "b", "trial": "good", "quality": 0.9, "model_bytes": 60.0, **equal},
    ]
    weights = {"compression": 3.0, "accuracy": 1.0}
    found = overtaking_of(ranked(rows, weights, "linear"), BASELINE, weights)
    assert found is not None
    # half of a weight of 1; of compression it would be one of 3, which is less
    assert (found.by, found.role, found.change) == ("good", "compression", pytest.approx(-1 / 3))
    assert str(found) == "good comes first if the weight of compression falls by more than 33 %"


def test_a_recipe_that_is_best_in_all_is_first_under_any_weights() -> None:
    figures = ("a", 1.0), ("b", 50.0)
    rows: list[dict[str, Any]] = [
        {"recipe": name, "trial": name, **dict.fromkeys(METRICS, figure)} for name, figure in figures
    ]
    rows[1]["quality"] = 0.5
    assert overtaking_of(ranked(rows, {"time": 1.0, "accuracy": 1.0}, "linear"), BASELINE, "balanced") is None


def test_the_only_weight_cannot_fall_to_nothing() -> None:
    sizes = ("a", 10.0), ("b", 20.0)
    rows = [{"recipe": name, "trial": name, **BASELINE, "model_bytes": size} for name, size in sizes]
    only = {"compression": 2.0}
    assert overtaking_of(ranked(rows, only, "linear"), BASELINE, only) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (2.5, "grows by more than 250 %"),
        (-0.052, "falls by more than 5.2 %"),
        (11.0, "grows by more than 1,100 %"),
    ],
)
def test_a_change_in_words(change: float, said: str) -> None:
    assert str(Overtaking("a", "time", change)) == f"a comes first if the weight of time {said}"


def board(*scores: float) -> list[dict[str, Any]]:
    alike = {"quality_drop": 0.0, "quality_drop_error": None, "meets": True}
    return [
        {"recipe": f"recipe {place}", "trial": f"r{place}", "score": score, **alike}
        for place, score in enumerate(scores)
    ]


def several(rows: list[dict[str, Any]], *scores: tuple[float, ...]) -> list[Finalist]:
    return [Finalist(row, of) for row, of in zip(rows, scores, strict=True)]


def test_a_lead_is_held_against_the_noise_of_the_seeds() -> None:
    """Leads of 1, 2 and 3: a mean of 2, a standard error of 1 over the root of 3; -1, 1 and 1.5 are luck."""
    rows = board(6.0, 4.0)
    clear = Stability.of(rows, several(rows, (5.0, 6.0, 7.0), (4.0, 4.0, 4.0)), True, None)
    assert clear is not None and clear.is_clear is True
    assert clear.lead == pytest.approx(2.0) and clear.error == pytest.approx(3**-0.5)
    assert clear.sentences == (
        "r0 leads r1 by 2 of the score ± 0.58 (standard error over the seeds): more than their noise",
        "no change of one weight brings another recipe first",
    )
    luck = Stability.of(rows, several(rows, (3.0, 5.0, 5.5), (4.0, 4.0, 4.0)), True, None)
    assert luck is not None and luck.is_clear is False and luck.winner == "r1"
    assert luck.sentences[0].endswith(
        "r1 by 0.5 of the score ± 0.76 (standard error over the seeds): no more than their noise, so they "
        "are level; the safer one, r1, wins: it is ahead on a bad day, a standard error worse"
    )


def test_what_misses_the_constraints_does_not_win() -> None:
    """In a table of all recipes (`--all`) it leads; what is exported is the best of those that meet them."""
    rows = board(6.0, 4.0)
    rows[0]["meets"] = False
    scores = several(rows, (5.0, 6.0, 7.0), (4.0, 4.0, 4.0))
    found = Stability.of(rows, scores, False, None)
    assert found is not None and (found.first, found.winner) == ("r0", "r1")
    assert found.sentences[0].endswith("; of the finalists that meet the constraints r1 wins")
    rows[1]["meets"] = False
    found = Stability.of(rows, scores, False, None)
    assert found is not None and found.winner is None


def test_a_lead_in_size_is_the_same_with_every_seed() -> None:
    rows = [{"recipe": "baseline", "score": 9.0}, *board(3.0, 2.5)]
    found = Stability.of(rows, several(rows[1:], (3.0, 3.0), (2.5, 2.5)), False, None)
    assert found is not None
    assert found.sentences == ("r0 leads r1 by 0.5 halvings, the same with every seed",)


def test_level_recipes_are_called_so() -> None:
    """As many halvings with every seed; the second loses less quality, or neither was trained twice."""
    rows = board(3.0, 3.0)
    rows[0] |= {"quality_drop": 0.02, "quality_drop_error": 0.001}
    rows[1] |= {"quality_drop": 0.01, "quality_drop_error": 0.001}
    found = Stability.of(rows, several(rows, (3.0, 3.0), (3.0, 3.0)), False, None)
    safer = "it is ahead on a bad day, a standard error worse"
    assert found is not None
    assert found.sentences == (f"r0 and r1 are level; the safer one, r1, wins: {safer}",)
    rows[0]["quality_drop"] = 0.005
    found = Stability.of(rows, several(rows, (3.0, 3.0), (3.0, 3.0)), False, None)
    assert found is not None
    assert found.sentences == (f"r0 and r1 are level; the safer one, r0, is first: {safer}",)
    found = Stability.of(rows, [], False, None)
    assert found is not None
    assert found.sentences == ("r0 and r1 are level",)


def test_the_noise_of_one_seed_is_not_known() -> None:
    rows = board(3.0, 2.5, 1.0)
    found = Stability.of(rows, several(rows[:1] + rows[2:], (3.0, 2.0), (1.0, 1.0)), False, None)
    assert found is not None and found.error is None and found.is_clear is None
    assert found.sentences == ("r0 leads r1 by 0.5 halvings, by one seed: whether that is luck is not known",)
    assert found.to_json() == {
        "lead": {"over": "r1", "score": 0.5, "error": None, "is_clear": None},
        "overtaken": None,
    }


def test_one_recipe_leads_nobody() -> None:
    assert Stability.of([*board(1.0), {"recipe": "baseline", "score": 0.5}], [], False, None) is None
