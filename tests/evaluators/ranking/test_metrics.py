"""Raw metrics: validation, round trips, and loyalty against closed forms."""

import json
import math
import pickle
from dataclasses import FrozenInstanceError, fields, replace

import numpy as np
import pytest
from atoll.evaluators.ranking.figures import METRICS
from atoll.evaluators.ranking.metrics import Metrics, probability_loyalty
from atoll.spaces.errors import AtollError
from atoll.testing import made_up_metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

EXAMPLE = made_up_metrics(label_loyalty=1.0, latency_ms_low=21.0, latency_ms_high=24.0)


def _logits(p):
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(np.array([p], dtype=float)), -1e4)


def test_json_round_trip_through_text():
    assert Metrics.from_json(json.loads(json.dumps(EXAMPLE.to_json()))) == EXAMPLE


def test_pickle_round_trip():
    assert pickle.loads(pickle.dumps(EXAMPLE)) == EXAMPLE


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        EXAMPLE.quality = 1.0  # type: ignore[misc]  # the point of the test


def test_every_metric_is_a_field_and_every_number_a_metric():
    names = {field.name for field in fields(Metrics)}
    known = {info.name for info in METRICS}
    assert known <= names
    rest = names - known
    assert {name.removesuffix("_low").removesuffix("_high") for name in rest} - known == {
        "quality_name",
        "quality_unit",
        "quality_higher_is_better",
        "latency_status",
        "peak_memory_status",
        "minimum_runtime",
        "minimum_runtime_reason",
        "micro_status",
    }


def test_across_networks():
    adds_up = {info.name: info.adds_up for info in METRICS}
    assert adds_up["macs"] and adds_up["model_bytes"] and adds_up["latency_ms"]
    assert not adds_up["peak_memory_bytes"] and not adds_up["quality"]


def test_numpy_figures_become_plain_ones():
    metrics = replace(EXAMPLE, macs=np.int64(7), quality=np.float32(0.5), model_bytes=8.0)
    assert json.loads(json.dumps(metrics.to_json()))["macs"] == 7
    assert type(metrics.macs) is int and type(metrics.quality) is float and type(metrics.model_bytes) is int


@pytest.mark.parametrize("name", [info.name for info in METRICS])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_figures_that_are_not_finite_are_refused_by_name(name, value):
    with pytest.raises(AtollError, match=f"^{name} is .*finite number"):
        replace(EXAMPLE, **{name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"macs": -1}, "macs is -1: it must not be negative"),
        ({"macs": 1.5}, "macs is 1.5: it must be a whole number"),
        ({"macs": None}, "macs is None: it must be a number"),
        ({"quality": "0.9"}, "quality is '0.9'"),
        ({"quality": True}, "quality is True"),
        ({"quality_name": ""}, "quality_name is ''"),
        ({"label_loyalty": 1.01}, "label_loyalty is 1.01: it must lie between 0 and 1"),
        ({"latency_ms": 30}, "latency_ms 30.0 lies outside its interval 21.0 to 24.0"),
        ({"model_bytes_low": 1}, "model_bytes has half an interval"),
        ({"nonzero_parameters": 2_000_000}, "nonzero_parameters 2000000 > parameters 1106176"),
    ],
)
def test_invalid_metrics(change, message):
    with pytest.raises(AtollError, match=message):
        replace(EXAMPLE, **change)


def test_from_json_names_unknown_and_missing_fields():
    value = EXAMPLE.to_json()
    with pytest.raises(AtollError, match="unknown metric 'latency': did you mean 'latency_ms'"):
        Metrics.from_json({**value, "latency": 1})
    del value["macs"]
    with pytest.raises(AtollError, match="metrics are missing: macs"):
        Metrics.from_json(value)


def test_a_quality_below_zero_is_a_quality():
    assert replace(EXAMPLE, quality=-0.3).quality == -0.3


def test_probability_loyalty_of_equal_and_disjoint_distributions():
    assert probability_loyalty(_logits([0.2, 0.8]), _logits([0.2, 0.8]) + 7) == pytest.approx(1, abs=1e-7)
    assert probability_loyalty(_logits([1, 0]), _logits([0, 1])) == pytest.approx(0, abs=1e-12)


def test_probability_loyalty_closed_form():
    # P = (1, 0), Q = (1/2, 1/2): M = (3/4, 1/4), JSD = H(M) - (0 + 1) / 2 with H(M) = 2 - 3/4 log2 3.
    divergence = 2 - 0.75 * math.log2(3) - 0.5
    got = probability_loyalty(_logits([1, 0]), _logits([0.5, 0.5]))
    assert got == pytest.approx(1 - math.sqrt(divergence), abs=1e-12)


def test_probability_loyalty_is_the_mean_over_samples():
    a = np.concatenate([_logits([1, 0]), _logits([1, 0])])
    b = np.concatenate([_logits([1, 0]), _logits([0, 1])])
    assert probability_loyalty(a, b) == pytest.approx(0.5, abs=1e-12)


OUTPUTS = arrays(np.float64, (3, 4), elements=st.floats(-50, 50))


@given(OUTPUTS, OUTPUTS)
def test_loyalty_is_symmetric_and_bounded(a, b):
    forth, back = probability_loyalty(a, b), probability_loyalty(b, a)
    assert 0 <= forth <= 1
    assert forth == pytest.approx(back, abs=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([[1, 2]], [[1, 2, 3]], r"outputs of shape \(1, 2\) and \(1, 3\)"),
        ([1, 2], [1, 2], r"both must be \(samples, classes\)"),
        (np.zeros((0, 2)), np.zeros((0, 2)), r"both must be \(samples, classes\)"),
        ([[1, math.nan]], [[1, 2]], "not finite"),
    ],
)
def test_loyalty_refuses_wrong_outputs(a, b, message):
    with pytest.raises(AtollError, match=message):
        probability_loyalty(a, b)


def test_an_interval_around_nothing_is_refused():
    with pytest.raises(AtollError, match=r"latency_ms is None within an interval of 1\.0 to 2\.0"):
        made_up_metrics(latency_ms=None, latency_status="unknown: x", latency_ms_low=1.0, latency_ms_high=2.0)
