"""The objective: the papers' formula inside the reference's extremes, the stated continuation outside."""

import csv
import json
import math
import pickle
from itertools import pairwise
from pathlib import Path

import pytest
from atoll.evaluators.ranking.constraints import DEFAULT_CONSTRAINTS
from atoll.evaluators.ranking.demands import violations
from atoll.evaluators.ranking.figures import FIGURE
from atoll.evaluators.ranking.ranking import OUR_METRICS, PROFILES, rank_models
from atoll.search.proposer.objective import Scale, WeightedScore
from atoll.spaces.errors import AtollError
from hypothesis import assume, given
from hypothesis import strategies as st

# The papers' five techniques and the baseline, in our units (PUB-I table 2, without the other networks).
with (Path(__file__).parents[2] / "data" / "pub1_table2.csv").open() as _stream:
    REFERENCE = [
        {
            "quality": float(row["accuracy_pct"]) / 100,
            "model_bytes": 1000 * float(row["model_size_kb"]),
            "latency_ms": float(row["inference_time_ms"]),
            "macs": 500_000 * float(row["computational_cost_mflops"]),
            "peak_memory_bytes": 1000 * float(row["peak_memory_kb"]),
        }
        for row in csv.DictReader(_stream)
    ][:6]
BASELINE = REFERENCE[0]
C = len(REFERENCE)
UP = {metric: FIGURE[metric].higher_is_better for metric in OUR_METRICS.values()}


@pytest.mark.parametrize("profile", PROFILES)
def test_inside_the_extremes_it_is_the_papers_score_to_the_digit(profile):
    objective = WeightedScore.from_reference(REFERENCE, profile)
    papers = rank_models(
        {metric: [member[metric] for member in REFERENCE] for metric in UP},
        {metric: PROFILES[profile][role] for role, metric in OUR_METRICS.items()},
        UP,
    )
    assert [objective(member) for member in REFERENCE] == pytest.approx(list(papers.scores), rel=1e-14)
    assert objective.lowest_reference == pytest.approx(min(papers.scores), rel=1e-14)


def test_inside_by_hand():
    # c = 2, quality 0.5 to 0.9, bytes 100 to 300: a third of the way up in quality, half way down in bytes.
    low, high = _uniform(quality=0.5, model_bytes=100), _uniform(quality=0.9, model_bytes=300)
    scores = WeightedScore.from_reference([low, high]).scores(_uniform(quality=0.6, model_bytes=200))
    assert scores["quality"] == pytest.approx(1.25)
    assert scores["model_bytes"] == pytest.approx(1.5)


def test_outside_by_the_formula():
    # score(n) = score(e) + s (e + ε) ln((n + ε) / (e + ε))
    size = Scale(low=100, high=300, higher_is_better=False, resolution=1, c=6)
    assert size.score(10) == pytest.approx(6 - 5 / 200 * 101 * math.log(11 / 101))
    assert size.score(900) == pytest.approx(1 - 5 / 200 * 301 * math.log(901 / 301))
    quality = Scale(low=0.6, high=0.9, higher_is_better=True, resolution=0.001, c=6)
    assert quality.score(0.0) == pytest.approx(1 + 5 / 0.3 * 0.601 * math.log(0.001 / 0.601))
    assert quality.score(1.0) == pytest.approx(6 + 5 / 0.3 * 0.901 * math.log(1.001 / 0.901))


def test_resolutions():
    scales = WeightedScore.from_reference(REFERENCE).scales
    assert {name: scale.resolution for name, scale in scales.items()} == {
        "model_bytes": 1,
        "latency_ms": 0.001,
        "macs": 1,
        "quality": 0.001,
        "peak_memory_bytes": 1,
    }


def test_without_spread_everyone_ties_for_best_and_a_tenth_is_worth_the_whole_spread():
    objective = WeightedScore.from_reference([{**member, "macs": 1e6} for member in REFERENCE])
    scale = objective.scales["macs"]
    assert scale.score(1e6) == C
    assert scale.score(1e5) == pytest.approx(C + (C - 1), rel=1e-4)
    alike = [{**member, "quality": 0.9} for member in REFERENCE]
    quality = WeightedScore.from_reference(alike).scales["quality"]
    assert quality.score(0.9) == C
    # About linear nearby: a loss of 0.01 costs a tenth of c - 1.
    assert quality.score(0.89) == pytest.approx(C - 0.1 * (C - 1), rel=1e-2)


def test_spread_below_the_resolution_is_no_spread():
    reference = [{**REFERENCE[0], "latency_ms": 10 + i * 1e-7} for i in range(3)]
    scale = WeightedScore.from_reference(reference).scales["latency_ms"]
    assert (scale.low, scale.high) == (10, 10)


def test_more_compression_still_pays_beyond_the_reference():
    objective = WeightedScore.from_reference(REFERENCE, "performance")
    small, smaller = ({**BASELINE, "model_bytes": BASELINE["model_bytes"] / ratio} for ratio in (200, 400))
    assert objective(smaller) > objective(small)


def test_a_collapsed_trial_neither_wins_nor_moves_the_order_of_the_others():
    # 800 times smaller at the chance of 11 classes, among the reference and a sound ensemble.
    sound = {
        **BASELINE,
        "quality": 0.765,
        "model_bytes": BASELINE["model_bytes"] / 100,
        "latency_ms": 6.0,
        "peak_memory_bytes": 2e6,
    }
    wreck = {name: figure / 800 for name, figure in BASELINE.items()} | {"quality": 1 / 11}
    for profile in PROFILES:
        objective = WeightedScore.from_reference(REFERENCE, profile)
        trials = [*REFERENCE, sound]
        before = [objective(trial) for trial in trials]
        planted = objective(wreck)
        assert math.isfinite(planted)
        assert [objective(trial) for trial in trials] == before
        feasible = [
            (objective(trial), name)
            for name, trial in {"baseline": BASELINE, "sound": sound, "wreck": wreck}.items()
            if all(one <= 0 for one in violations(DEFAULT_CONSTRAINTS, trial, BASELINE).values())
        ]
        assert max(feasible)[1] == "sound"
        assert "wreck" not in {name for _, name in feasible}


def test_quality_below_the_reference_is_punished_more_and_more():
    scale = WeightedScore.from_reference(REFERENCE).scales["quality"]
    losses = [scale.score(q) - scale.score(q - 0.1) for q in (0.6, 0.5, 0.4, 0.3, 0.2, 0.1)]
    assert losses == sorted(losses)
    assert losses[0] > scale.slope * 0.1  # steeper than the slope at the edge


def test_json_round_trip_keeps_every_digit():
    objective = WeightedScore.from_reference(REFERENCE, "cost")
    stored = WeightedScore.from_json(json.loads(json.dumps(objective.to_json())))
    assert stored == objective
    assert stored({**BASELINE, "macs": 12345}) == objective({**BASELINE, "macs": 12345})


def test_pickle_round_trip():
    objective = WeightedScore.from_reference(REFERENCE)
    assert pickle.loads(pickle.dumps(objective)) == objective


def test_own_weights():
    objective = WeightedScore.from_reference(REFERENCE, {"accuracy": 3, "compression": 1})
    assert (objective.profile, objective.weights) == ("own", {"model_bytes": 1, "quality": 3})


# A quality that is no share ---------------------------------------------------------------------------------


def _errors(*figures):
    terms = {"quality_name": "mean_absolute_error", "quality_unit": "mm", "quality_higher_is_better": False}
    return [_uniform(quality=figure) | terms for figure in figures]


def test_less_of_an_error_scores_more_and_is_scaled_by_the_errors_themselves():
    # c = 2, errors 2 to 4 um: half way, eq. 12; beyond the edge by the formula with a thousandth for ε
    scale = WeightedScore.from_reference(_errors(2e-6, 4e-6)).scales["quality"]
    assert scale.score(3e-6) == pytest.approx(1.5)
    assert scale.score(2e-6) == 2
    assert scale.score(1e-6) == pytest.approx(2 - -1 / 2e-6 * -2.002e-6 * math.log(1.002e-6 / 2.002e-6))
    assert scale.score(1e-6) > 2 > scale.score(8e-6)
    objective = WeightedScore.from_reference(_errors(2e-6, 4e-6))
    assert objective(_errors(1e-6)[0]) > objective(_errors(8e-6)[0])


@pytest.mark.parametrize("members", [(0.5, 0.9), (-0.5, 0.9), (-2.0, -1.0), (0.8, 0.8), (0.0, 0.9)])
def test_r2_below_zero_has_a_score_and_the_order_stays(members):
    r2 = [_uniform(quality=figure) | {"quality_name": "r2", "quality_unit": ""} for figure in members]
    scale = WeightedScore.from_reference(r2).scales["quality"]
    scores = [scale.score(n) for n in (-1e6, -40.0, -2.5, -1.5, -0.6, -0.4, -1e-9, 0.0, 1e-9, 0.5, 0.95, 1.0)]
    assert all(map(math.isfinite, scores))
    assert all(a < b for a, b in pairwise(scores))


# Properties -------------------------------------------------------------------------------------------------

METRIC = st.sampled_from(sorted(UP))


def _uniform(**figures):
    return {
        "quality": 0.5,
        "model_bytes": 50,
        "latency_ms": 5,
        "macs": 500,
        "peak_memory_bytes": 50,
    } | figures


def _figures(metric):
    """Raw figures on the grid of the metric's resolution."""
    ticks = st.integers(0, 1000) if metric == "quality" else st.integers(0, 10**8)
    return ticks.map(lambda tick: tick * FIGURE[metric].resolution)


@st.composite
def _scale_and_figures(draw, count):
    metric = draw(METRIC)
    members = draw(st.lists(_figures(metric), min_size=2, max_size=6))
    reference = [_uniform(**{metric: figure}) for figure in members]
    scale = WeightedScore.from_reference(reference).scales[metric]
    return scale, draw(st.lists(_figures(metric), min_size=count, max_size=count))


@given(_scale_and_figures(2))
def test_strictly_monotone_and_finite(drawn):
    scale, (a, b) = drawn
    assume(abs(a - b) >= 0.9 * scale.resolution)
    worse, better = sorted((a, b), reverse=not scale.higher_is_better)
    assert math.isfinite(scale.score(worse)) and math.isfinite(scale.score(better))
    assert scale.score(worse) < scale.score(better)


@given(_scale_and_figures(0), st.sampled_from(["low", "high"]), st.sampled_from([-1, 1]))
def test_continuous_with_the_same_slope_on_both_sides_of_an_edge(drawn, edge, side):
    scale, _ = drawn
    e = getattr(scale, edge)
    step = 1e-6 * (e + scale.resolution)
    assume(e + side * step >= 0)
    if scale.low < scale.high:
        assume(step < (scale.high - scale.low))
    rise = scale.score(e + side * step) - scale.score(e)
    assert rise == pytest.approx(side * step * scale.slope, rel=1e-4, abs=1e-9)


@given(_scale_and_figures(1))
def test_between_1_and_c_inside(drawn):
    scale, (n,) = drawn
    if scale.low <= n <= scale.high:
        assert 1 - 1e-9 <= scale.score(n) <= scale.c + 1e-9
    else:
        best = scale.high if scale.higher_is_better else scale.low
        beyond_best = (n > best) == scale.higher_is_better
        assert scale.score(n) > scale.c if beyond_best else scale.score(n) < scale.c


@given(st.permutations(REFERENCE))
def test_the_order_of_the_reference_set_does_not_matter(reference):
    assert WeightedScore.from_reference(reference) == WeightedScore.from_reference(REFERENCE)


# Errors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: WeightedScore.from_reference(REFERENCE, "speed"), "unknown profile 'speed'"),
        (
            lambda: WeightedScore.from_reference(REFERENCE, {"accurac": 1}),
            "unknown 'accurac': did you mean 'accuracy'",
        ),
        (lambda: WeightedScore.from_reference(REFERENCE, {"accuracy": 0}), "no weight is above 0"),
        (lambda: WeightedScore.from_reference(REFERENCE[:1]), "a reference set of 1 gives no scale"),
        (lambda: WeightedScore.from_reference([{}, {}]), "model_bytes of the candidate is None"),
        (
            lambda: WeightedScore.from_reference(REFERENCE)({**BASELINE, "quality": math.nan}),
            "quality .* is nan",
        ),
        (lambda: WeightedScore.from_reference(REFERENCE)({**BASELINE, "macs": -1}), "macs is -1.0"),
        (lambda: WeightedScore.from_json({"version": 2}), "version 2: known is 1"),
        (lambda: WeightedScore.from_json({"version": 1}), "incomplete"),
    ],
)
def test_errors(call, message):
    with pytest.raises(AtollError, match=message):
        call()
