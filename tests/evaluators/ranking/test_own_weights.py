"""Weights named metric by metric, and what each metric adds to a score."""

import pytest
from atoll.evaluators.ranking.explained import explained
from atoll.evaluators.ranking.own_weights import own_weights
from atoll.spaces.errors import AtollError

NONE = {"compression": 0.0, "time": 0.0, "cost": 0.0, "accuracy": 0.0, "memory": 0.0}


@pytest.mark.parametrize(
    ("text", "profile", "weights"),
    [
        ("quality", "performance", {"accuracy": 5.0}),
        ("quality, model_bytes=9", "performance", {"accuracy": 5.0, "compression": 9.0}),
        ("macs=0.5", "balanced", {"cost": 0.5}),
        ("latency_ms", {"time": 7.0}, {"time": 7.0}),
        ("time, accuracy=4", "balanced", {"time": 3.0, "accuracy": 4.0}),
        ("Work, peak memory=1, file=2", "balanced", {"cost": 3.0, "memory": 1.0, "compression": 2.0}),
    ],
)
def test_a_metric_weighs_what_is_said_or_what_its_profile_says(text, profile, weights):
    assert own_weights(text, profile) == NONE | weights


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown metric ''"),
        ("qualty", "unknown metric 'qualty': did you mean 'quality'?"),
        ("quality=nan", "the weight of quality is 'nan'"),
        ("quality=inf", "the weight of quality is 'inf'"),
        ("quality,quality=2", "quality is named twice"),
        ("latency,latency_ms", "latency_ms is named twice"),
        ("memry", "did you mean 'memory'?"),
        ("latency_ms", "no weight is above 0"),
    ],
)
def test_other_texts_are_refused(text, message):
    with pytest.raises(AtollError, match=message.replace("?", r"\?")):
        own_weights(text, {"accuracy": 1.0})


def test_a_score_is_the_sum_of_what_its_metrics_add():
    """By hand: quality 0, 1, 2 of weight 2, bytes 30, 10, 20 of weight 1, the rest not counted."""
    alike = {"latency_ms": 1.0, "macs": 1.0, "peak_memory_bytes": 1.0, "baseline_quality": 0.0}
    rows = [{"quality": q, "model_bytes": b} | alike for q, b in ((0.0, 30), (1.0, 10), (2.0, 20))]
    baseline = rows[0] | {"quality_unit": "", "quality_name": "q", "quality_higher_is_better": True}
    parts = explained(rows, baseline, {"accuracy": 2.0, "compression": 1.0})
    found = [{part.metric: (part.scaled, part.score, part.adds) for part in row} for row in parts]
    assert [row["quality"] for row in found] == [
        (1.0, 1.0, pytest.approx(2 / 3)),
        (2.0, 2.0, pytest.approx(4 / 3)),
        (3.0, 3.0, pytest.approx(2.0)),
    ]
    assert [row["model_bytes"] for row in found] == [
        (3.0, 1.0, pytest.approx(1 / 3)),
        (1.0, 3.0, pytest.approx(1.0)),
        (2.0, 2.0, pytest.approx(2 / 3)),
    ]
    assert all(row.keys() == {"quality", "model_bytes"} for row in found)


def test_a_metric_on_which_all_agree_has_no_scale():
    rows = [
        {"quality": 1.0, "model_bytes": b, "latency_ms": 1.0, "macs": 1.0, "peak_memory_bytes": 1.0}
        for b in (1, 2)
    ]
    rows = [row | {"baseline_quality": 1.0} for row in rows]
    parts = explained(rows, rows[0], "balanced")
    assert {part.metric: part.scaled for part in parts[0]}["macs"] is None
    assert [sum(part.adds for part in row) for row in parts] == [pytest.approx(2.0), pytest.approx(9 / 5)]
