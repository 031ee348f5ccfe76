"""The papers' ranking against their printed tables, brute force, and properties."""

import csv
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators.ranking.ranking import (
    COLUMNS,
    PROFILES,
    PUB1_WEIGHTS,
    SCORINGS,
    metric_scores,
    profile_weights,
    rank_models,
    scale,
)
from atoll.spaces.errors import AtollError
from hypothesis import given
from hypothesis import strategies as st

DATA = Path(__file__).parents[2] / "data"

# Whole numbers: affine maps of them are exact, so that properties are not about float noise.
FIGURES = st.lists(st.integers(-1000, 1000), min_size=1, max_size=12)
SIGNED = st.tuples(FIGURES, st.booleans())


def _rank_file(name, weights, scoring, scoring_of=None):
    with (DATA / name).open() as stream:
        rows = list(csv.DictReader(stream))
    columns = [column for column in COLUMNS if column.name in rows[0]]
    ranking = rank_models(
        {column.name: [float(row[column.name]) for row in rows] for column in columns},
        {column.name: weights[column.role] for column in columns},
        {column.name: column.higher_is_better for column in columns},
        scoring,
        scoring_of,
    )
    return rows, ranking


def test_reproduces_pub1_table_5():
    rows, ranking = _rank_file("pub1_table2.csv", PUB1_WEIGHTS, "dense", {"accuracy_pct": "linear"})
    assert list(ranking.ranks) == [int(row["published_rank"]) for row in rows]
    printed = {row["model"]: float(row["published_score"]) for row in rows}
    got = dict(zip(printed, ranking.scores, strict=True))
    assert got["binarized"] == pytest.approx(8.0757, abs=5e-5)  # printed 8.07: cut, not rounded
    del printed["binarized"]
    assert {model: round(got[model], 2) for model in printed} == printed


def test_reproduces_thesis_table_10():
    rows, ranking = _rank_file("thesis_table6.csv", PROFILES["performance"], "rank")
    assert list(ranking.ranks) == [int(row["published_performance_rank"]) for row in rows]
    printed = [float(row["published_performance_score"]) for row in rows]
    assert [round(score, 2) for score in ranking.scores] == printed


def test_formula_by_hand():
    # Eqs. 11-17 for two metrics: c = 3, so 10, 20, 40 scale to 1, 5/3, 3; sizes are scored upside down.
    ranking = rank_models(
        {"quality": [10, 20, 40], "model_bytes": [100, 50, 300]},
        {"quality": 3, "model_bytes": 1},
        {"quality": True, "model_bytes": False},
    )
    assert ranking.metric_scores["quality"] == pytest.approx((1, 5 / 3, 3))
    assert ranking.metric_scores["model_bytes"] == pytest.approx((3 - 0.4, 3, 1))
    assert ranking.scores == pytest.approx(((3 + 2.6) / 4, (5 + 3) / 4, (9 + 1) / 4))
    assert ranking.ranks == (3, 2, 1)
    assert ranking.order() == [2, 1, 0]


def test_ties_at_two_decimals_of_the_scaled_figure():
    # c = 4: 0, 1, 1.003, 2 of 2 scale to 1, 2.5, 2.5045, 4: the middle ones agree at two decimals.
    values = [0, 1, 1.003, 2]
    assert metric_scores(values, True, "rank").tolist() == [1, 3, 3, 4]
    assert metric_scores(values, False, "rank").tolist() == [4, 3, 3, 1]
    assert metric_scores(values, True, "dense").tolist() == [2, 3, 3, 4]


def test_rounded_linear_score():
    values = [0, 1, 3]  # c = 3: 1, 1.666…, 3
    assert metric_scores(values, True, "linear", rounded=True).tolist() == [1, 1.67, 3]
    assert metric_scores(values, False, "linear", rounded=True) == pytest.approx([3, 2.33, 1])


def test_a_half_is_rounded_up():
    values = [0, 1, 8]  # c = 3: 1 + 2/8 = 1.25; with five models 1 + 4/32 = 1.125
    assert metric_scores(values, True, "linear", rounded=True).tolist() == [1, 1.25, 3]
    assert metric_scores([0, 1, 0, 0, 32], True, "linear", rounded=True).tolist() == [1, 1.13, 1, 1, 5]


def test_linear_is_rounded_beside_a_rank_rule_only():
    values, weights, up = {"a": [0.0, 1.0, 3.0]}, {"a": 1.0}, {"a": True}
    assert rank_models(values, weights, up, "dense", {"a": "linear"}).scores[1] == 1.67
    assert rank_models(values, weights, up, "linear", {"a": "linear"}).scores[1] == pytest.approx(
        5 / 3, abs=1e-15
    )


@pytest.mark.parametrize("scoring", SCORINGS)
def test_without_spread_everyone_ties_for_best(scoring):
    assert metric_scores([7.0] * 5, False, scoring).tolist() == [5.0] * 5


def test_equal_averages_share_a_rank_and_the_next_skips():
    ranking = rank_models({"a": [1, 3, 3, 2]}, {"a": 1}, {"a": True})
    assert ranking.ranks == (4, 1, 1, 3)


def test_metrics_without_weight_are_left_out():
    values = {"a": [1, 2], "b": [2, 1]}
    up = {"a": True, "b": True}
    assert rank_models(values, {"a": 1}, up).ranks == (2, 1)
    assert rank_models(values, {"a": 0, "b": 1}, up).metric_scores.keys() == {"b"}


def test_profiles_are_thesis_table_4():
    assert PROFILES["performance"] == {"compression": 2, "time": 3, "cost": 3, "accuracy": 5, "memory": 2}
    assert [sum(profile.values()) for profile in PROFILES.values()] == [15, 15, 15, 13, 15]


@given(SIGNED, st.sampled_from(SCORINGS))
def test_scores_lie_between_1_and_c(figures, scoring):
    values, up = figures
    scores = metric_scores(values, up, scoring)
    assert scores.min() >= 1 and scores.max() == len(values)


@given(SIGNED)
def test_rank_rules_by_brute_force(figures):
    values, up = figures
    c = len(values)
    if len(set(values)) == 1:
        return
    hundredths = [int(np.floor(s * 100 + 0.5 + 1e-9)) for s in scale(values, c)]

    def better(a, b):
        return a > b if up else a < b

    competition = [c - sum(better(other, mine) for other in hundredths) for mine in hundredths]
    dense = [c - len({other for other in hundredths if better(other, mine)}) for mine in hundredths]
    assert metric_scores(values, up, "rank").tolist() == competition
    assert metric_scores(values, up, "dense").tolist() == dense


@given(SIGNED, st.integers(1, 50), st.integers(-500, 500), st.sampled_from(SCORINGS))
def test_units_do_not_matter(figures, factor, offset, scoring):
    values, up = figures
    moved = [value * factor + offset for value in values]
    assert metric_scores(moved, up, scoring) == pytest.approx(metric_scores(values, up, scoring), abs=1e-9)


@given(st.data(), st.sampled_from(SCORINGS))
def test_order_of_the_models_does_not_matter(data, scoring):
    c = data.draw(st.integers(1, 8))
    column = st.lists(st.integers(0, 20), min_size=c, max_size=c)
    values = {"a": data.draw(column), "b": data.draw(column)}
    order = data.draw(st.permutations(range(c)))
    weights, up = {"a": 3, "b": 2}, {"a": True, "b": False}
    straight = rank_models(values, weights, up, scoring)
    shuffled = rank_models({k: [v[i] for i in order] for k, v in values.items()}, weights, up, scoring)
    assert shuffled.ranks == tuple(straight.ranks[i] for i in order)


@given(SIGNED)
def test_turning_a_metric_round_changes_nothing(figures):
    values, up = figures
    mirrored = metric_scores([-value for value in values], not up, "linear")
    assert mirrored == pytest.approx(metric_scores(values, up, "linear"), abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: profile_weights("performence"), "unknown profile 'performence': did you mean 'performance'"),
        (lambda: metric_scores([1, 2], True, "dens"), "unknown scoring 'dens': did you mean 'dense'"),
        (lambda: rank_models({"a": [1]}, {"b": 1}, {}), "unknown metric 'b'"),
        (lambda: rank_models({"a": [1]}, {"a": 1}, {"a": True}, "rank", {"c": "rank"}), "unknown metric 'c'"),
        (lambda: rank_models({"a": [1]}, {"a": -1}, {"a": True}), "weight of a is -1"),
        (lambda: rank_models({"a": [1]}, {"a": 0}, {"a": True}), "no weight is above 0"),
        (lambda: rank_models({"a": [1, float("nan")]}, {"a": 1}, {"a": True}), "a of model 2 is nan"),
        (
            lambda: rank_models({"a": [1], "b": [1, 2]}, {"a": 1, "b": 1}, {"a": True, "b": True}),
            "different numbers of models: a 1, b 2",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(AtollError, match=message):
        call()
