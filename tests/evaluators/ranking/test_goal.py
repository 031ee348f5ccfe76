"""Goals of a search: what a study may say, and how costs are compared."""

import math

import pytest
from atoll.evaluators.ranking.constraints import parse_constraints
from atoll.evaluators.ranking.goal import COSTS, NAMED, Goal
from atoll.evaluators.ranking.leaderboard import BASELINE, leaderboard_by_goal
from atoll.spaces.errors import AtollError
from atoll.testing import made_up_metrics
from hypothesis import given
from hypothesis import strategies as st

PLAIN = made_up_metrics().to_json()


@pytest.mark.parametrize(
    "value", [*NAMED, {"minimize": "macs"}, {"minimize": "latency_ms * peak_memory_bytes * model_bytes"}]
)
def test_what_a_study_says_comes_back(value: str | dict[str, str]) -> None:
    assert Goal.parse(Goal.parse(value).value) == Goal.parse(value)
    assert Goal.parse(value).value == value


def test_a_named_goal_written_out_is_the_named_one() -> None:
    assert Goal.parse({"minimize": " model_bytes "}).value == "smallest"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("smalest", "did you mean 'smallest'"),
        ({"minimize": "quality"}, "cannot minimize 'quality'"),
        ({"minimize": "model_byte"}, "did you mean 'model_bytes'"),
        ({"minimize": "macs * macs"}, "twice"),
        ({"minimize": ""}, "cannot minimize ''"),
        ({"maximize": "quality"}, "allowed are score"),
        ({"minimize": "macs", "and": "more"}, "allowed are score"),
        (["macs"], "allowed are score"),
        (None, "allowed are score"),
    ],
)
def test_what_means_nothing_is_refused_with_what_is_allowed(value: object, said: str) -> None:
    with pytest.raises(AtollError, match=said):
        Goal.parse(value)


def test_only_costs_that_a_candidate_has_before_it_is_packed_can_be_minimized() -> None:
    assert {"model_bytes", "payload_bytes", "latency_ms", "peak_memory_bytes", "macs"} <= set(COSTS)
    assert not {"quality", "quality_drop", "packed_bytes", "train_seconds", "label_loyalty"} & set(COSTS)


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.floats(0.01, 1e4), st.floats(0.01, 1e4))
def test_halvings_are_the_logarithm_of_the_product_of_ratios(
    size: int, other: int, ms: float, was: float
) -> None:
    goal = Goal.parse({"minimize": "model_bytes * latency_ms"})
    found = goal.halvings({"model_bytes": size, "latency_ms": ms}, {"model_bytes": other, "latency_ms": was})
    assert found == pytest.approx(math.log2((other / size) * (was / ms)), abs=1e-9)


def test_a_cost_of_nothing_counts_as_the_least_that_can_be_told() -> None:
    assert Goal.parse({"minimize": "macs"}).halvings({"macs": 0}, {"macs": 1024}) == 10.0


def test_a_cost_below_zero_or_missing_is_refused() -> None:
    goal = Goal.parse("smallest")
    with pytest.raises(AtollError, match="model_bytes of the candidate is -1"):
        goal.halvings({"model_bytes": -1}, {"model_bytes": 5})
    with pytest.raises(AtollError, match="model_bytes of the baseline"):
        goal.halvings({"model_bytes": 1}, {})


def test_the_leaderboard_ranks_by_the_goal_what_meets_the_constraints() -> None:
    rows = [
        {**PLAIN, "recipe": name, "model_bytes": size, "latency_ms": ms, "quality": quality,
         "latency_ms_low": ms, "latency_ms_high": ms}
        for name, size, ms, quality in (
            ("small", 1000, 9.0, 0.94), ("fast", 3000, 1.0, 0.94),
            ("wreck", 10, 0.1, 0.2), ("alike", 1000, 9.0, 0.95)
        )
    ]  # fmt: skip
    allowed = parse_constraints(["quality_drop <= 0.02"])
    smallest = leaderboard_by_goal(rows, PLAIN, Goal.parse("smallest"), allowed)
    assert [(row["rank"], row["recipe"]) for row in smallest] == [
        (1, "small"), (1, "alike"), (3, "fast"), (4, BASELINE)
    ]  # fmt: skip
    assert smallest[0]["score"] == pytest.approx(math.log2(PLAIN["model_bytes"] / 1000))
    fastest = leaderboard_by_goal(rows, PLAIN, Goal.parse("fastest"), allowed)
    assert [row["recipe"] for row in fastest] == ["fast", "small", "alike", BASELINE]
    everything = leaderboard_by_goal(rows, PLAIN, Goal.parse("smallest"), allowed, all=True)
    assert everything[0]["recipe"] == "wreck"
    assert not everything[0]["meets"]


def test_a_metric_twice_is_refused():
    with pytest.raises(AtollError, match=r"goal: macs \* macs names a metric twice"):
        Goal.parse({"minimize": "macs * macs"})
