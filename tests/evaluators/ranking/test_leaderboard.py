"""The leaderboard: who is on it, the means over seeds, and that a wreck cannot win it."""

import pytest
from atoll.evaluators.ranking.constraints import Constraint, parse_constraints
from atoll.evaluators.ranking.leaderboard import leaderboard, nearest_miss, recipe_rows
from atoll.evaluators.ranking.ranking import PROFILES, rank_models
from atoll.spaces.errors import AtollError

BASELINE = {
    "quality": 0.90,
    "model_bytes": 4_400_000,
    "latency_ms": 22.0,
    "macs": 32_000_000,
    "peak_memory_bytes": 9e6,
}


def _trial(recipe, quality, shrink, seed=0, epochs_per_step=1, **more):
    """A trial whose costs are the baseline's divided by `shrink` (model bytes) or less."""
    return {
        "recipe": recipe,
        "seed": seed,
        "epochs_per_step": epochs_per_step,
        "quality": quality,
        "model_bytes": 4_400_000 / shrink,
        "latency_ms": 22.0 / shrink**0.25,
        "macs": 32_000_000 / shrink**0.25,
        "peak_memory_bytes": 9e6 / shrink**0.25,
        **more,
    }


SOUND = [
    _trial("quantize(bits=8)", 0.90, 4),
    _trial("tensor_train(rank=16) -> quantize(bits=4)", 0.89, 107),
    _trial("prune_channels(ratio=0.5) -> quantize(bits=8)", 0.885, 12),
    _trial("binarize", 0.882, 29),
]
# A lost network: chance on 11 classes, 800 times smaller.
WRECK = _trial("prune_channels(ratio=0.9) -> tensor_train(rank=1) -> binarize", 0.09, 800)


def _order(rows, **options):
    return [row["recipe"] for row in leaderboard(rows, BASELINE, **options)]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_wreck_neither_wins_nor_moves_the_others(profile):
    assert _order([*SOUND, WRECK], profile=profile) == _order(SOUND, profile=profile)
    assert WRECK["recipe"] not in _order([*SOUND, WRECK], profile=profile)


def test_without_constraints_the_papers_score_crowns_the_wreck():
    # Why there is a constraint by default: what is saved is paid in the score, whatever is left of quality.
    assert _order([*SOUND, WRECK], profile="efficiency", all=True, scoring="rank")[0] == WRECK["recipe"]
    row = leaderboard([*SOUND, WRECK], BASELINE, all=True, scoring="rank")[0]
    assert row["recipe"] == WRECK["recipe"]
    assert not row["meets"]
    assert row["misses"] == "quality_drop 0.81, demanded <= 0.02"


def test_scores_are_the_papers_over_what_is_shown():
    rows = leaderboard(SOUND, BASELINE, profile="performance")
    metrics = {
        "quality": (5, True),
        "model_bytes": (2, False),
        "latency_ms": (3, False),
        "macs": (3, False),
        "peak_memory_bytes": (2, False),
    }
    expected = rank_models(
        {name: [row[name] for row in rows] for name in metrics},
        {name: weight for name, (weight, _) in metrics.items()},
        {name: up for name, (_, up) in metrics.items()},
    )
    assert [row["score"] for row in rows] == pytest.approx(expected.scores)
    assert [row["rank"] for row in rows] == list(expected.ranks) == [1, 2, 3, 4, 5]


def test_the_baseline_is_always_there_and_once():
    rows = leaderboard([_trial("baseline", 0.5, 1), WRECK], BASELINE)
    assert [(row["recipe"], row["quality"], row["quality_drop"]) for row in rows] == [("baseline", 0.90, 0)]
    assert rows[0]["compression_ratio"] == 1 and rows[0]["score"] == 1


def test_a_stricter_baseline_constraint_does_not_drop_the_baseline():
    rows = leaderboard(SOUND, BASELINE, constraints=parse_constraints(["ratio >= 100"]))
    assert [row["recipe"] for row in rows] == ["tensor_train(rank=16) -> quantize(bits=4)", "baseline"]
    assert rows[1]["misses"] == "compression_ratio 1, demanded >= 100"


def test_mean_over_seeds_at_the_largest_budget():
    rows = [
        _trial("a", 0.10, 4, seed=0, epochs_per_step=1),
        _trial("a", 0.88, 4, seed=0, epochs_per_step=3, trial="t1"),
        _trial("a", 0.90, 4, seed=1, epochs_per_step=3, trial="t2"),
        _trial("a", 0.92, 4, seed=2, epochs_per_step=3, trial="t3"),
        _trial("b", 0.89, 4),
    ]
    a, b = recipe_rows(rows, BASELINE)
    assert (a["recipe"], a["n"], a["trial"]) == ("a", 3, "t2")
    assert a["quality"] == pytest.approx(0.90)
    assert a["quality_std"] == pytest.approx(0.02)  # sample standard deviation of 0.88, 0.90, 0.92
    assert (b["n"], b["quality"], b["quality_std"]) == (1, 0.89, None)


def test_whole_figures_that_agree_stay_whole():
    rows = [_trial("a", 0.8, 4, seed=seed, parameters=7, packed_bytes=None) for seed in (0, 1)]
    (row,) = recipe_rows(rows, BASELINE)
    assert row["parameters"] == 7 and isinstance(row["parameters"], int)
    assert row["packed_bytes"] is None


def test_a_trial_given_twice_counts_once():
    (row,) = recipe_rows([_trial("a", 0.5, 4), _trial("a", 0.9, 4)], BASELINE)
    assert (row["n"], row["quality"]) == (1, 0.9)


def test_only_finished_trials_count():
    rows = [{"recipe": "c", "status": status} for status in ("failed", "rejected", "running")]
    assert recipe_rows([*rows, _trial("a", 0.9, 4, status="finished")], BASELINE)[0]["recipe"] == "a"
    assert len(recipe_rows(rows, BASELINE)) == 0


def test_order_of_the_trials_does_not_matter():
    assert _order(SOUND) == _order(SOUND[::-1])


def test_nearest_miss_names_what_is_missing():
    near, far = _trial("near", 0.86, 10), _trial("far", 0.5, 100)
    miss = nearest_miss([far, near], BASELINE)
    assert miss["recipe"] == "near"
    assert miss["misses"] == "quality_drop 0.04, demanded <= 0.02"
    assert nearest_miss([near, *SOUND], BASELINE) is None
    assert nearest_miss([], BASELINE) is None


def test_the_largest_violation_decides_who_is_nearest():
    constraints = [Constraint("quality_drop", "<=", 0.02), Constraint("latency_ms", "<=", 1)]
    slow = _trial("slow", 0.90, 4)  # 15.6 ms: 14.6 over
    lossy = _trial("lossy", 0.86, 100)  # 7 ms: 6 over; 1 over in quality
    assert nearest_miss([slow, lossy], BASELINE, constraints)["recipe"] == "lossy"


def test_missing_figures_name_recipe_and_metric():
    with pytest.raises(AtollError, match="a: latency_ms of the candidate is None"):
        leaderboard([_trial("a", 0.9, 4, latency_ms=None)], BASELINE)
