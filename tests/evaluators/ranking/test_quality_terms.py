"""How a quality is read: direction and unit decide drops, rankings, constraints and words."""

import pytest
from atoll.evaluators.ranking.constraints import Constraint
from atoll.evaluators.ranking.figures import FIGURE, FIGURES
from atoll.evaluators.ranking.leaderboard import leaderboard
from atoll.evaluators.ranking.quality_terms import QualityTerms
from atoll.spaces.errors import AtollError
from atoll.testing.figures import made_up_metrics

SHARE = QualityTerms("accuracy")
ERROR = QualityTerms("mean_absolute_error", "mm", higher_is_better=False)
R2 = QualityTerms("r2", "")
OF_ERROR = {"quality_name": "mean_absolute_error", "quality_unit": "mm", "quality_higher_is_better": False}


@pytest.mark.parametrize(
    ("terms", "baseline", "quality", "said"),
    [
        (SHARE, 0.9, 0.8877, "1.23 points worse"),
        (SHARE, 0.9, 0.92, "2.00 points better"),
        (SHARE, 0.9, 0.90004, "0.00 points apart"),
        (SHARE, 0.9, 0.90006, "0.01 points better"),
        (ERROR, 0.25, 0.375, "0.125 mm worse"),
        (ERROR, 0.25, 0.2, "0.05 mm better"),
        (ERROR, 1e-5, 1.2e-5, "2e-06 mm worse"),
        (ERROR, 0.25, 0.25, "0 mm apart"),
        (R2, 0.75, -1.5, "2.25 worse"),
    ],
)
def test_a_difference_in_words(terms: QualityTerms, baseline: float, quality: float, said: str) -> None:
    assert terms.difference(baseline, quality) == said


def test_a_drop_is_how_much_worse_whatever_the_direction() -> None:
    assert SHARE.drop(0.75, 0.5) == ERROR.drop(0.5, 0.75) == 0.25
    assert SHARE.better(0.75, 0.5)
    assert ERROR.better(0.5, 0.75)
    assert not ERROR.better(0.5, 0.5)
    figures = {"given": 0.5, "plain": 0.25, "other": 0.25}
    assert SHARE.best(figures) == "given"
    assert ERROR.best(figures) == "plain"


def test_terms_stand_beside_the_figure_and_a_row_of_old_is_a_share() -> None:
    assert QualityTerms.of(made_up_metrics(**OF_ERROR)) == QualityTerms.of(OF_ERROR) == ERROR
    assert QualityTerms.of({"quality_name": "accuracy", "quality_unit": None}) == SHARE
    assert QualityTerms.of({**OF_ERROR, "quality_unit": ""}).unit == ""


@pytest.mark.parametrize("wrong", [{"quality_unit": 5}, {"quality_higher_is_better": 1}])
def test_metrics_refuse_other_terms(wrong: dict[str, object]) -> None:
    with pytest.raises(AtollError, match=f"{next(iter(wrong))} is"):
        made_up_metrics(**wrong)


@pytest.mark.parametrize(
    ("terms", "value", "said", "heading"),
    [
        (SHARE, 0.96875, "96.88 %", "accuracy, %"),
        (ERROR, 12.3456, "12.35 mm", "mean_absolute_error, mm"),
        # a user's unit is no word of ours: nothing is converted
        (QualityTerms("size", "kB", False), 2000.0, "2,000 kB", "size, kB"),
        (R2, 0.98765, "0.9877", "r2"),
    ],
)
def test_a_figure_in_words(terms: QualityTerms, value: float, said: str, heading: str) -> None:
    assert (terms.said(value), terms.heading, terms.said(None)) == (said, heading, "")


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_terms_change_figures_of_quality_alone(figure) -> None:
    assert SHARE.figure(figure) == figure
    assert (ERROR.figure(figure) == figure) is not figure.of_quality
    if figure.of_quality:
        assert ERROR.figure(figure).exact.unit == "mm"
        assert not ERROR.figure(figure).higher_is_better


def test_the_leaderboard_takes_less_of_an_error_for_better() -> None:
    """Two recipes that cost the same: the one with the smaller error leads, and its drop is negative."""
    costs = dict.fromkeys(("model_bytes", "latency_ms", "macs", "peak_memory_bytes"), 8.0)
    baseline = costs | {"quality": 0.5} | OF_ERROR
    rows = [
        costs | {"recipe": "cluster", "quality": 0.75},
        costs | {"recipe": "quantize", "quality": 0.25},
    ]
    found = leaderboard(rows, baseline, constraints=())
    assert [row["recipe"] for row in found] == ["quantize", "baseline", "cluster"]
    assert [row["quality_drop"] for row in found] == [-0.25, 0.0, 0.25]
    share = leaderboard(rows, costs | {"quality": 0.5}, constraints=())
    assert [row["recipe"] for row in share] == ["cluster", "baseline", "quantize"]


def test_a_constraint_bounds_the_drop_in_the_unit_of_the_quality() -> None:
    baseline = {"quality": 4.0} | OF_ERROR
    bound = Constraint.parse("quality_drop <= 0.5")
    assert bound.violation({"quality": 4.5}, baseline) == 0
    assert bound.violation({"quality": 5.0}, baseline) == 1.0
    assert bound.explain({"quality": 5.0}, baseline) == "quality_drop 1 mm, demanded <= 0.5"


def test_the_smallest_difference_follows_the_baseline_where_quality_is_no_share() -> None:
    """No loss at all of an error of 4e-6 mm: a tenth more of it is a hundred resolutions too much."""
    none = Constraint.parse("quality_drop <= 0")
    tiny = {"quality": 4e-6} | OF_ERROR
    assert none.violation({"quality": 4.4e-6}, tiny) == pytest.approx(100)
    assert none.violation({"quality": 0.8}, {"quality": 0.9}) == pytest.approx(100)
    assert FIGURE["quality"].resolution == SHARE.resolution(0.9) == SHARE.resolution(0.0)


def test_a_difference_of_shares_is_read_in_points_and_any_other_in_its_unit() -> None:
    differences = (
        "quality_drop",
        "quality_drop_error",
        "quality_std",
        "test_drop",
        "test_drop_error",
        "test_gap",
    )
    assert {SHARE.unit_of(FIGURE[name]) for name in differences} == {"points"}
    assert {SHARE.unit_of(FIGURE[name]) for name in ("quality", "test_quality", "quality_of_file")} == {"%"}
    assert {ERROR.unit_of(FIGURE[name]) for name in (*differences, "quality")} == {"mm"}
    assert SHARE.unit_of(FIGURE["model_bytes"]) == "kB"
