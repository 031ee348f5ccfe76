"""k-means in one dimension against brute force over all ways to cut sorted values."""

from itertools import combinations

import numpy as np
import pytest
import torch
from atoll.spaces.kernels.kmeans import BINS, kmeans_1d
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor


def squared_error(values: Tensor, centroids: Tensor) -> float:
    nearest = torch.bucketize(values.double(), (centroids[1:] + centroids[:-1]).double() / 2)
    return float((values.double() - centroids.double()[nearest]).square().sum())


def least_error_by_brute_force(values: list[float], clusters: int) -> float:
    """Tries every way to cut the sorted values into `clusters` runs."""
    ordered = np.sort(np.array(values))
    return min(
        sum(float(np.square(run - run.mean()).sum()) for run in np.split(ordered, list(cuts)))
        for cuts in combinations(range(1, len(ordered)), clusters - 1)
    )


@given(
    st.lists(st.integers(-50, 50).map(float), min_size=4, max_size=9, unique=True),
    st.integers(1, 4),
)
def test_small_sets_are_clustered_optimally(values: list[float], clusters: int) -> None:
    centroids = kmeans_1d(torch.tensor(values), clusters)
    least = least_error_by_brute_force(values, clusters)
    assert squared_error(torch.tensor(values), centroids) <= least + 1e-5 * (1 + least)


def least_error_by_recursion(points: NDArray[np.float64], clusters: int) -> float:
    """The textbook recursion, one point at a time and without its shortcuts."""
    count = len(points)
    sums, squares = np.cumsum(np.r_[0, points]), np.cumsum(np.r_[0, points**2])
    best = np.full(count + 1, np.inf)
    best[0] = 0.0
    for _ in range(clusters):
        longer = np.full(count + 1, np.inf)
        for end in range(1, count + 1):
            starts = np.arange(end)
            sizes = end - starts
            errors = squares[end] - squares[starts] - (sums[end] - sums[starts]) ** 2 / sizes
            longer[end] = np.min(best[starts] + errors)
        best = longer
    return float(best[count])


@pytest.mark.parametrize("clusters", [8, 16])
@pytest.mark.parametrize("spread", ["normal", "laplace", "outlier"])
def test_many_values_come_within_a_thousandth_of_the_optimum(spread: str, clusters: int) -> None:
    generator = np.random.default_rng(3)
    points = generator.laplace(size=1600) if spread == "laplace" else generator.normal(size=1600)
    if spread == "outlier":
        points[0] = 40.0
    assert len(points) > BINS
    centroids = kmeans_1d(torch.from_numpy(points), clusters)
    least = least_error_by_recursion(np.sort(points), clusters)
    assert squared_error(torch.from_numpy(points), centroids) <= 1.001 * least


def test_weights_count_as_often_as_they_come() -> None:
    values = torch.tensor([0.0] * 30 + [1.0, 1.1, 3.0])
    assert torch.allclose(kmeans_1d(values, 2), torch.tensor([2.1 / 32, 3.0]))


def test_no_more_centroids_than_distinct_values() -> None:
    assert kmeans_1d(torch.tensor([2.0, -1.0, 2.0]), 8).tolist() == [-1.0, 2.0]
    assert kmeans_1d(torch.tensor([5.0]), 1).tolist() == [5.0]


def test_nearly_all_mass_on_one_value() -> None:
    values = torch.cat([torch.zeros(100_000), torch.linspace(1e-6, 1.0, 2000)])
    centroids = kmeans_1d(values, 256)
    assert torch.isfinite(centroids).all()
    assert (centroids.diff() > 0).all()


def test_order_of_the_values_does_not_matter() -> None:
    values = torch.randn(3000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(kmeans_1d(values, 16), kmeans_1d(values.flip(0), 16))


def test_centroids_ascend_in_the_type_of_the_values() -> None:
    centroids = kmeans_1d(torch.randn(2000, generator=torch.Generator().manual_seed(1)), 32)
    assert centroids.dtype == torch.float32
    assert centroids.shape == (32,)
    assert (centroids.diff() > 0).all()
