"""Schedules against their formulae."""

import pytest
from atoll.spaces.kernels.schedules import SCHEDULES, STAGES, cumulative_shares
from hypothesis import given
from hypothesis import strategies as st


def test_agp_follows_its_formula() -> None:
    """Zhu & Gupta 2017, eq. 1: s_t = s_f + (s_0 - s_f)(1 - (t - t_0) / (n dt))^3 with s_0 = 0, s_f = 0.8."""
    expected = [0.8 + (0 - 0.8) * (1 - t / 5) ** 3 for t in (1, 2, 3, 4, 5)]
    assert [0.8 * share for share in cumulative_shares("agp", 5)] == pytest.approx(expected)
    assert cumulative_shares("agp", 2) == (0.875, 1.0)  # by hand


def test_iterative_goes_in_equal_increments() -> None:
    assert cumulative_shares("iterative", 4) == (0.25, 0.5, 0.75, 1.0)


def test_one_shot_is_one_stage() -> None:
    assert cumulative_shares("one_shot") == (1.0,)


@given(st.sampled_from(SCHEDULES[1:]), st.integers(1, 20))
def test_shares_rise_to_exactly_one(schedule: str, stages: int) -> None:
    shares = cumulative_shares(schedule, stages)
    assert len(shares) == stages
    assert shares[-1] == 1.0
    assert all(a < b for a, b in zip((0.0, *shares), shares, strict=False))
    assert len(cumulative_shares(schedule)) == STAGES
