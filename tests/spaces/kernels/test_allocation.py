"""Widths under a budget of bits: against every assignment there is."""

from itertools import product

import pytest
from atoll.spaces.kernels.allocation import allocate_bits
from hypothesis import given
from hypothesis import strategies as st

TENSOR = st.tuples(
    st.integers(1, 40),
    st.dictionaries(st.sampled_from([2, 3, 4, 8]), st.integers(0, 12).map(float), min_size=1),
)


@given(st.lists(TENSOR, max_size=5), st.integers(0, 900))
def test_no_other_assignment_within_the_budget_errs_less(
    tensors: list[tuple[int, dict[int, float]]], budget: int
) -> None:
    sizes, errors = [size for size, _ in tensors], [options for _, options in tensors]

    def spent(widths: tuple[int, ...]) -> int:
        return sum(size * width for size, width in zip(sizes, widths, strict=True))

    def total(widths: tuple[int, ...]) -> float:
        return sum(options[width] for options, width in zip(errors, widths, strict=True))

    allowed = [widths for widths in product(*errors) if spent(widths) <= budget]
    chosen = allocate_bits(sizes, errors, budget)
    if not allowed:
        assert chosen is None
        return
    assert chosen is not None
    assert spent(chosen) <= budget
    least = min(total(widths) for widths in allowed)
    assert total(chosen) == least
    assert spent(chosen) == min(spent(widths) for widths in allowed if total(widths) == least)


@pytest.mark.parametrize(("budget", "widths"), [(20, (2, 2)), (30, (4, 2)), (40, (4, 4)), (50, (8, 2))])
def test_by_hand(budget: int, widths: tuple[int, int]) -> None:
    """Five weights that suffer much from few bits, five that suffer less."""
    errors = [{8: 0.0, 4: 2.0, 2: 9.0}, {8: 0.0, 4: 0.5, 2: 1.0}]
    assert allocate_bits([5, 5], errors, budget) == widths
