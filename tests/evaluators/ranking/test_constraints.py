"""Constraints: text form, violations, messages."""

import numpy as np
import pytest
from atoll.evaluators.ranking.constraints import (
    DEFAULT_CONSTRAINTS,
    KNOWN,
    Constraint,
    parse_constraints,
)
from atoll.evaluators.ranking.demands import violations
from atoll.spaces.errors import AtollError
from hypothesis import given
from hypothesis import strategies as st

BASELINE = {"quality": 0.9, "model_bytes": 4000, "latency_ms": 20.0, "macs": 100}
TRIAL = {
    "quality": 0.85,
    "model_bytes": 100,
    "latency_ms": 12.0,
    "latency_ms_low": 9.0,
    "latency_ms_high": 15.0,
    "macs": 50,
}


@given(
    st.sampled_from(KNOWN), st.sampled_from(["<=", ">="]), st.floats(allow_nan=False, allow_infinity=False)
)
def test_text_round_trip(metric, comparison, bound):
    constraint = Constraint(metric, comparison, bound)
    assert Constraint.parse(str(constraint)) == constraint


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("quality_drop <= 0.02", "quality_drop <= 0.02"),
        ("latency_ms<=10.0", "latency_ms <= 10"),
        ("  ratio >= 20 ", "compression_ratio >= 20"),
        ("model_bytes <= 1e6", "model_bytes <= 1000000"),
        ("edge_tpu_mappable = 1.0", "edge_tpu_mappable = 1"),
    ],
)
def test_canonical_text(text, canonical):
    assert str(Constraint.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "violation"),
    [
        ("quality_drop <= 0.02", (0.05 - 0.02) / 0.02),
        ("quality_drop <= 0", 0.05 / 0.001),
        ("latency_ms <= 10", 0.2),
        ("latency_ms <= 24", -0.5),
        ("ratio >= 50", 0.2),
        ("ratio >= 20", -1.0),
        ("quality >= 0.85", 0.0),
    ],
)
def test_violation_is_relative_to_the_bound(text, violation):
    assert Constraint.parse(text).violation(TRIAL, BASELINE) == pytest.approx(violation, abs=1e-12)


@pytest.mark.parametrize(("share", "violation"), [(1.0, 0.0), (0.75, 0.25)])
def test_an_exact_bound_is_missed_on_both_sides(share, violation):
    constraint = Constraint.parse("edge_tpu_mappable = 1.0")
    assert constraint.violation({"edge_tpu_mappable": share}, BASELINE) == violation
    assert not constraint.needs_training
    assert Constraint.parse("macs = 20").violation({"macs": 10}, BASELINE) == 0.5
    assert Constraint.parse("macs = 20").violation({"macs": 30}, BASELINE) == 0.5


def test_the_bound_itself_is_met_in_spite_of_float_noise():
    # 0.9 - 0.88 = 0.020000000000000018
    assert Constraint.parse("quality_drop <= 0.02").violation({"quality": 0.88}, {"quality": 0.9}) == 0


def test_one_sample_too_many_is_a_violation():
    constraint = Constraint.parse("quality_drop <= 0.02")
    assert constraint.violation({"quality": 0.88 - 1 / 1750}, {"quality": 0.9}) > 0


def test_favourable_takes_the_kind_end_of_the_interval():
    assert Constraint.parse("latency_ms <= 10").violation(TRIAL, BASELINE, favourable=True) < 0
    assert Constraint.parse("latency_ms >= 14").violation(TRIAL, BASELINE, favourable=True) < 0
    assert Constraint.parse("macs <= 10").violation(TRIAL, BASELINE, favourable=True) == 4
    wide = {"model_bytes": 100, "model_bytes_low": 50, "model_bytes_high": 200}
    assert Constraint.parse("ratio >= 80").violation(wide, BASELINE, favourable=True) == 0


def test_what_can_be_judged_before_training():
    assert Constraint.parse("quality_drop <= 1").needs_training
    assert not Constraint.parse("ratio >= 1").needs_training
    assert not Constraint.parse("latency_ms <= 1").needs_training
    assert Constraint.parse("label_loyalty >= 1").needs_training


def test_explanation():
    assert Constraint.parse("latency_ms <= 10").explain(TRIAL, BASELINE) == "latency_ms 12, demanded <= 10"


def test_violations_by_text():
    constraints = parse_constraints(["quality_drop <= 0.1", "macs <= 25"])
    assert violations(constraints, TRIAL, BASELINE) == {
        "quality_drop <= 0.1": pytest.approx(-0.5),
        "macs <= 25": pytest.approx(1.0),
    }


def test_default():
    assert [str(constraint) for constraint in DEFAULT_CONSTRAINTS] == ["quality_drop <= 0.02"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latncy_ms <= 10", "unknown metric 'latncy_ms': did you mean 'latency_ms'"),
        ("latency_ms < 10", "is not of the form METRIC <= NUMBER"),
        ("latency_ms <= 10 ms", "is not of the form"),
        ("latency_ms <= ten", "'ten' is not a number"),
        ("latency_ms <= nan", "it must be finite"),
        ("", "is not of the form"),
    ],
)
def test_bad_text(text, message):
    with pytest.raises(AtollError, match=message):
        Constraint.parse(text)


def test_two_bounds_on_one_side_are_refused():
    with pytest.raises(AtollError, match="two constraints latency_ms <= 10 and latency_ms <= 12"):
        parse_constraints(["latency_ms <= 10", "latency_ms <= 12"])
    assert len(parse_constraints(["latency_ms <= 10", "latency_ms >= 1"])) == 2


def test_missing_or_broken_figures_are_named():
    constraint = Constraint.parse("quality_drop <= 0.02")
    with pytest.raises(AtollError, match="quality of the candidate is nan"):
        constraint.violation({"quality": float("nan")}, BASELINE)
    with pytest.raises(AtollError, match="quality of the baseline is None"):
        constraint.violation(TRIAL, {})


@pytest.mark.parametrize("images", [500, 1050])
def test_a_drop_of_exactly_the_bound_meets_it_however_the_shares_were_rounded(images):
    """Qualities are means of float32 (2 points are 21 of 1,050 images); one image more is a violation."""
    constraint = Constraint.parse("quality_drop <= 0.02")
    lost = images * 2 // 100
    for right in range(lost + 1, images + 1):
        base, even, worse = (
            {"quality": float(np.float32(count) / np.float32(images))}
            for count in (right, right - lost, right - lost - 1)
        )
        assert constraint.violation(even, base) <= 0, right
        assert constraint.violation(worse, base) > 0, right
