"""Calibration: percentiles against torch's, searches against every candidate tried by hand."""

import pytest
import torch
from atoll.spaces.kernels.affine import (
    affine_scale,
    asymmetric_scale,
    quantize_affine,
    quantize_symmetric,
    symmetric_levels,
    symmetric_scale,
)
from atoll.spaces.kernels.calibration import PERCENTILE, percentile, value_range
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

ROWS = torch.randn(4, 999, generator=torch.Generator().manual_seed(0)) ** 3


def squared_error(found: Tensor, rows: Tensor = ROWS) -> Tensor:
    return (found - rows).square().sum(dim=1)


@given(st.integers(1, 50), st.floats(0, 100), st.integers(0, 1000))
def test_a_percentile_is_torchs_quantile(count: int, percent: float, seed: int) -> None:
    rows = torch.randn(3, count, generator=torch.Generator().manual_seed(seed))
    expected = torch.quantile(rows, percent / 100, dim=1, keepdim=True)
    assert torch.allclose(percentile(rows, percent), expected, atol=1e-5)


def test_the_percentile_range_leaves_a_thousandth_out_on_either_side() -> None:
    low, high = value_range(ROWS, "percentile", lambda low, high: ROWS)
    ends = torch.tensor([1 - PERCENTILE / 100, PERCENTILE / 100])
    expected = torch.quantile(ROWS, ends, dim=1)[..., None]
    assert torch.allclose(low, expected[0], rtol=1e-4)
    assert torch.allclose(high, expected[1], rtol=1e-4)


@pytest.mark.parametrize("method", ["min_max", "percentile", "mse"])
def test_a_range_holds_zero(method: str) -> None:
    for sign in (1.0, -1.0):
        low, high = value_range(sign * (ROWS.abs() + 1), method, lambda low, high: ROWS)
        assert (low <= 0).all()
        assert (high >= 0).all()


def test_the_percentile_of_a_symmetric_grid_is_that_of_the_sizes() -> None:
    scale = symmetric_scale(ROWS, 4, per_channel=True, calibration="percentile")
    expected = torch.quantile(ROWS.abs(), PERCENTILE / 100, dim=1, keepdim=True)
    assert torch.allclose(scale * symmetric_levels(4), expected, rtol=1e-4)


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
@pytest.mark.parametrize("per_channel", [True, False])
def test_the_least_error_is_the_best_of_all_fractions(bits: int, per_channel: bool) -> None:
    """Symmetric and affine, against every one of the 32 fractions in a loop; min-max is one of them."""

    def rounded(scheme: str, calibration: str) -> Tensor:
        if scheme == "symmetric":
            return quantize_symmetric(ROWS, symmetric_scale(ROWS, bits, per_channel, calibration), bits)
        return quantize_affine(ROWS, *affine_scale(ROWS, bits, per_channel, calibration), bits)

    rows = ROWS if per_channel else ROWS.reshape(1, -1)
    largest = rows.abs().amax(dim=1, keepdim=True)
    low, high = rows.amin(dim=1, keepdim=True), rows.amax(dim=1, keepdim=True)
    for scheme in ("symmetric", "affine"):
        tried = []
        for fraction in torch.linspace(0.1, 1.0, 32):
            if scheme == "symmetric":
                found = quantize_symmetric(rows, largest / symmetric_levels(bits) * fraction, bits)
            else:
                found = quantize_affine(rows, *asymmetric_scale(low * fraction, high * fraction, bits), bits)
            tried.append(squared_error(found, rows))
        best = torch.stack(tried).amin(dim=0)
        mse = squared_error(rounded(scheme, "mse").reshape(rows.shape), rows)
        assert torch.allclose(mse, best, rtol=1e-5)
        assert (mse <= squared_error(rounded(scheme, "min_max").reshape(rows.shape), rows) * 1.00001).all()


@pytest.mark.parametrize(("bits", "method"), [(8, "min_max"), (4, "mse"), (3, "mse"), (2, "mse")])
def test_the_automatic_choice(bits: int, method: str) -> None:
    chosen = symmetric_scale(ROWS, bits, per_channel=True)
    assert torch.equal(chosen, symmetric_scale(ROWS, bits, per_channel=True, calibration=method))
    for automatic, named in zip(
        affine_scale(ROWS, bits, True), affine_scale(ROWS, bits, True, method), strict=True
    ):
        assert torch.equal(automatic, named)
