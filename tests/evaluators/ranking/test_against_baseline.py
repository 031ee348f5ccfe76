"""Drop and ratio by hand, and that whoever shows or demands them gets the same ones."""

import math

import pytest
from atoll.evaluators.ranking.against_baseline import compression_ratio, quality_drop
from atoll.evaluators.ranking.constraints import Constraint
from atoll.evaluators.ranking.leaderboard import leaderboard
from atoll.spaces.errors import AtollError
from atoll.testing import made_up_metrics

ERROR = {"quality_name": "mean_absolute_error", "quality_unit": "mm", "quality_higher_is_better": False}


@pytest.mark.parametrize(
    ("terms", "before", "after", "drop"),
    [({}, 0.75, 0.5, 0.25), ({}, 0.5, 0.75, -0.25), (ERROR, 2.0, 3.5, 1.5)],
)
def test_a_drop_is_how_much_worse_whichever_way_is_better(
    terms: dict[str, object], before: float, after: float, drop: float
) -> None:
    baseline = made_up_metrics(quality=before, model_bytes=1000, **terms)
    candidate = made_up_metrics(quality=after, model_bytes=80, **terms)
    assert quality_drop(candidate, baseline) == quality_drop(candidate.to_json(), baseline.to_json()) == drop
    row = {"recipe": "quantize", "seed": 0, "epochs_per_step": 1.0, **candidate.to_json()}
    shown = next(
        one for one in leaderboard([row], baseline.to_json(), all=True) if one["recipe"] == "quantize"
    )
    assert (shown["quality_drop"], shown["compression_ratio"]) == (drop, 12.5)
    assert Constraint("quality_drop", "<=", 0).figure(candidate, baseline) == drop
    assert Constraint("compression_ratio", ">=", 1).figure(candidate, baseline) == 12.5


def test_beside_nothing_every_size_is_infinitely_large() -> None:
    assert compression_ratio(1000, 0) == math.inf
    assert compression_ratio(1000, 2000) == 0.5


def test_a_quality_that_is_no_number_is_named_with_whose_it_is() -> None:
    good, bad = {"quality": 0.5}, {"quality": float("nan")}
    with pytest.raises(AtollError, match="quality of the baseline is nan: it must be a finite number"):
        quality_drop(good, bad)
    with pytest.raises(AtollError, match="quality of the candidate is None: it must be a number"):
        quality_drop({}, good)
