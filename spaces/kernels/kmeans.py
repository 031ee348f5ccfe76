"""k-means in one dimension: sorted weights, weighted Lloyd steps from quantile starts."""

import torch
from torch import Tensor

# Above this many distinct values the weights are first binned: the optimum moves by less than a bin
BINS = 8192
STEPS = 100


def kmeans_1d(values: Tensor, clusters: int) -> Tensor:
    """Returns at most `clusters` centroids that (locally) minimise the squared error, ascending.

    Deterministic: starts from the quantiles and from an even spread, and keeps the better result.

    Args:
        values: [n], n >= 1.
        clusters: how many centroids are wanted, >= 1.

    Returns:
        [k] with k = min(clusters, number of distinct values), float64 arithmetic, values' dtype.
    """
    points, weights = torch.unique(values.double(), return_counts=True)
    weights = weights.double()
    if points.numel() <= clusters:
        return points.to(values.dtype)
    if points.numel() > BINS:
        points, weights = _bin(points, weights)
    total = weights.cumsum(0)
    quantiles = (torch.arange(clusters, dtype=torch.float64) + 0.5) / clusters * total[-1]
    at_quantiles = points[torch.searchsorted(total, quantiles).clamp(max=points.numel() - 1)]
    spread = torch.linspace(float(points[0]), float(points[-1]), clusters, dtype=torch.float64)
    results = [_lloyd(points, weights, start) for start in (at_quantiles, spread)]
    error, centroids = min(results, key=lambda result: result[0])
    return centroids.to(values.dtype)


def _bin(points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    edges = torch.linspace(float(points[0]), float(points[-1]), BINS + 1, dtype=torch.float64)[1:-1]
    where = torch.bucketize(points, edges)
    mass = torch.zeros(BINS, dtype=torch.float64).index_add(0, where, weights)
    moment = torch.zeros(BINS, dtype=torch.float64).index_add(0, where, weights * points)
    filled = mass > 0
    return moment[filled] / mass[filled], mass[filled]


def _lloyd(points: Tensor, weights: Tensor, centroids: Tensor) -> tuple[float, Tensor]:
    centroids = centroids.sort().values
    for _ in range(STEPS):
        where = torch.bucketize(points, (centroids[1:] + centroids[:-1]) / 2)
        mass = torch.zeros_like(centroids).index_add(0, where, weights)
        moment = torch.zeros_like(centroids).index_add(0, where, weights * points)
        moved = torch.where(mass > 0, moment / mass.clamp_min(1e-300), centroids).sort().values
        if torch.equal(moved, centroids):
            break
        centroids = moved
    where = torch.bucketize(points, (centroids[1:] + centroids[:-1]) / 2)
    error = float((weights * (points - centroids[where]).square()).sum())
    return error, centroids
