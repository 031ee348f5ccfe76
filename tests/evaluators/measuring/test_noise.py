"""How far a quality may be off by the luck of its split, against closed forms."""

import pytest
from atoll.evaluators.measuring.noise import quality_error


def test_a_share_has_the_error_of_a_binomial() -> None:
    assert quality_error({"quality": 0.9}, 100) == pytest.approx(0.03)
    assert quality_error({"quality": 0.5, "quality_unit": "%"}, 400) == pytest.approx(0.025)


def test_all_right_counts_as_one_wrong_of_one_more() -> None:
    """sqrt(1/(n+1) * n/(n+1) / n) = 1 / (n + 1)"""
    assert quality_error({"quality": 1.0}, 199) == pytest.approx(1 / 200)
    assert quality_error({"quality": 0.0}, 199) == pytest.approx(1 / 200)


def test_of_an_error_in_millimetres_nothing_is_known() -> None:
    assert quality_error({"quality": 0.25, "quality_unit": "mm"}, 100) == 0.0
