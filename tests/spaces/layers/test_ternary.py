"""Ternary weights against plain loops and the published formulae."""

import pytest
import torch
from atoll.spaces.layers.ternary import TWN_THRESHOLD, Ternary
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor


def example() -> tuple[Tensor, Tensor]:
    """Returns weights [6, 5, 10] and a gradient from above."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 5, 10, generator=generator), torch.randn(6, 5, 10, generator=generator)


def by_loops(weight: Tensor, threshold: float) -> Tensor:
    """Li et al. 2016, eqs. 3, 5 and 6, for one row of weights, a weight at a time."""
    values = weight.double().tolist()
    limit = threshold * sum(abs(v) for v in values) / len(values)
    kept = [abs(v) for v in values if abs(v) > limit]
    step = sum(kept) / len(kept)
    return torch.tensor([step if v > limit else -step if v < -limit else 0.0 for v in values])


@pytest.mark.parametrize("threshold", [0.3, TWN_THRESHOLD, 0.95])
@pytest.mark.parametrize("per_channel", [True, False])
def test_three_values_are_those_of_a_plain_loop(per_channel: bool, threshold: float) -> None:
    weight, _ = example()
    got = Ternary.fit(weight, per_channel, threshold)(weight).detach()
    rows = weight.flatten(1) if per_channel else weight.reshape(1, -1)
    expected = torch.stack([by_loops(row, threshold) for row in rows])
    assert torch.allclose(got.reshape(expected.shape), expected, rtol=1e-5)
    assert 0 < int((got == 0).sum()) < got.numel()


def test_the_step_is_the_least_squares_fit_to_the_weights_that_are_kept() -> None:
    """The closed form of least squares: <w, t> / <t, t>."""
    weight, _ = example()
    ternary = Ternary.fit(weight)
    signs = ternary.signs(weight)
    best = (weight * signs).flatten(1).sum(1) / signs.square().flatten(1).sum(1)
    assert torch.allclose(ternary.step.flatten(), best, rtol=1e-5)


def test_no_other_limit_among_many_is_much_better() -> None:
    """TWN's 0.7 mean |w| comes within some percent of the best limit on normal weights, found by trying."""
    weight = torch.randn(1, 4000, generator=torch.Generator().manual_seed(1))

    def error(threshold: float) -> float:
        return float((weight - Ternary.fit(weight, threshold=threshold)(weight)).square().sum().detach())

    least = min(error(0.05 * k) for k in range(1, 20))
    assert error(TWN_THRESHOLD) <= 1.02 * least < 0.9 * error(0.05)


def test_gradients_are_those_of_the_papers() -> None:
    """To a weight as it is (TWN); to a step the sum over its channel's signs (TTQ eq. 7), times its start."""
    weight, above = example()
    ternary = Ternary.fit(weight)
    weight.requires_grad_()
    ternary(weight).backward(above)
    assert weight.grad is not None
    assert ternary.relative.grad is not None
    assert torch.equal(weight.grad, above)
    signs = ternary.signs(weight.detach())
    expected = ternary.start * (above * signs).sum((1, 2), keepdim=True)
    assert torch.allclose(ternary.relative.grad, expected, rtol=1e-4, atol=1e-6)


@given(st.integers(0, 1000), st.floats(0.01, 0.99), st.booleans())
def test_ternary_weights_stay_as_they_are(seed: int, threshold: float, per_channel: bool) -> None:
    weight = torch.randn(4, 9, generator=torch.Generator().manual_seed(seed))
    once = Ternary.fit(weight, per_channel, threshold)(weight).detach()
    again = Ternary.fit(once, per_channel, threshold)(once).detach()
    assert torch.equal(once == 0, again == 0)
    assert torch.allclose(once, again, rtol=1e-5)
    assert bool((once != 0).flatten(1 if per_channel else 0).any(-1).all())  # never dead


def test_zeros_of_a_mask_move_no_limit() -> None:
    weight, _ = example()
    masked = torch.cat([weight, torch.zeros(6, 50, 10)], dim=1)
    alone, with_zeros = Ternary.fit(weight), Ternary.fit(masked)
    assert torch.allclose(alone.limit, with_zeros.limit)
    assert torch.allclose(alone.step, with_zeros.step)


def test_a_channel_of_zeros_stays_zero() -> None:
    weight = torch.tensor([[0.0, 0.0], [1.0, -2.0]])
    ternary = Ternary.fit(weight)
    assert ternary(weight).detach()[0].tolist() == [0.0, 0.0]
    assert ternary(weight).isfinite().all()
