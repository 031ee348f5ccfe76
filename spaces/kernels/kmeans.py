"""k-means in one dimension: exact by dynamic programming, on bins where there are many values."""

import torch
from torch import Tensor

#: exact up to this many distinct values; above, as many bins are clustered exactly and the result is polished
#: on all values (within 0.1 % of the optimum on normal and Laplace weights, by test)
BINS = 1024
#: steps of the polish; it settles in about ten
STEPS = 50


def kmeans_1d(values: Tensor, clusters: int) -> Tensor:
    """Returns at most `clusters` centroids that minimise the squared error, ascending.

    Optimal clusters of sorted values are intervals, so that dynamic programming over their ends finds them
    (Wang & Song 2011). Deterministic.

    Args:
        values: [n], n >= 1.
        clusters: how many centroids are wanted, >= 1.

    Returns:
        [k] with k <= min(clusters, number of distinct values), less only where nearly all values are alike;
        float64 arithmetic, values' dtype.
    """
    points, counts = torch.unique(values.double(), return_counts=True)
    masses = counts.double()
    if points.numel() <= clusters:
        return points.to(values.dtype)
    if points.numel() <= BINS:
        return _exact(points, masses, clusters).to(values.dtype)
    binned, mass = _bin(points, masses)
    # fewer bins than clusters where nearly all mass sits on a few values
    start = _exact(binned, mass, clusters) if binned.numel() > clusters else binned
    return _polish(points, masses, start).to(values.dtype)


def _exact(points: Tensor, masses: Tensor, clusters: int) -> Tensor:
    """Returns the optimal centroids of ascending weighted points, more than `clusters` of them."""
    count = points.numel()
    middle = points.mean()
    centred = points - middle  # keeps the differences of sums exact
    mass, moment, square = (
        torch.cat([torch.zeros(1, dtype=torch.float64), (masses * centred**power).cumsum(0)])
        for power in range(3)
    )
    # error[i, j]: squared error of one cluster of the points i..j-1
    spread = (square - square[:, None]) - (moment - moment[:, None]).square() / (
        mass - mass[:, None]
    ).clamp_min(1e-300)
    upper = torch.ones(count + 1, count + 1, dtype=torch.bool).triu(1)
    error = torch.where(upper, spread.clamp_min(0.0), torch.inf)
    best, starts = error[0], []
    for _ in range(clusters - 1):
        best, start = (best[:, None] + error).min(dim=0)
        starts.append(start)
    ends = [count]
    for start in reversed(starts):
        ends.append(int(start[ends[-1]]))
    edges = torch.tensor([0, *reversed(ends)])
    return middle + moment[edges].diff() / mass[edges].diff()


def _bin(points: Tensor, masses: Tensor) -> tuple[Tensor, Tensor]:
    """Returns means and masses of bins: half of them equally wide, for the tails, half equally heavy."""
    half = BINS // 2
    wide = torch.linspace(float(points[0]), float(points[-1]), half + 1, dtype=torch.float64)[1:-1]
    total = masses.cumsum(0)
    shares = torch.arange(1, half, dtype=torch.float64) / half * total[-1]
    heavy = points[torch.searchsorted(total, shares).clamp(max=points.numel() - 1)]
    where = torch.bucketize(points, torch.cat([wide, heavy]).sort().values)
    mass = torch.zeros(BINS, dtype=torch.float64).index_add(0, where, masses)
    moment = torch.zeros(BINS, dtype=torch.float64).index_add(0, where, masses * points)
    filled = mass > 0
    return moment[filled] / mass[filled], mass[filled]


def _polish(points: Tensor, masses: Tensor, centroids: Tensor) -> Tensor:
    """Moves centroids to the means of the points next to them until they stand still (Lloyd)."""
    zero = torch.zeros(1, dtype=torch.float64)
    mass = torch.cat([zero, masses.cumsum(0)])
    moment = torch.cat([zero, (masses * points).cumsum(0)])
    for _ in range(STEPS):
        inner = torch.searchsorted(points, (centroids[1:] + centroids[:-1]) / 2)
        edges = torch.cat([torch.tensor([0]), inner, torch.tensor([points.numel()])])
        masses_of = mass[edges].diff()
        moved = torch.where(masses_of > 0, moment[edges].diff() / masses_of.clamp_min(1e-300), centroids)
        if torch.equal(moved, centroids):
            break
        centroids = moved
    return centroids
