"""Calibration: from the values of a tensor to the range that its integers cover."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

#: how a range is found: from the extremes, from a percentile, or by least squared rounding error
Method = Literal["min_max", "percentile", "mse"]
#: share of the values that the range covers, in percent (Wu et al. 2020, Integer quantization for deep
#: learning inference, section 5.2: the lowest of the three that they try)
PERCENTILE = 99.9
#: shares of the full range that the search for the least squared error tries
FRACTIONS = 32
SMALLEST_FRACTION = 0.1


def best_fraction(rows: Tensor, rounded: Callable[[Tensor], Tensor]) -> Tensor:
    """Returns the share of each row's full range that gives the least squared rounding error.

    Args:
        rows: [n, m].
        rounded: gives the rows [n, m] on a grid over that share (a scalar) of their ranges.

    Returns:
        [n, 1], one of 32 numbers from 0.1 to 1; of equal ones the smallest.
    """
    best = rows.new_ones(rows.shape[0], 1)
    least = torch.full_like(best, torch.inf)
    for fraction in torch.linspace(SMALLEST_FRACTION, 1.0, FRACTIONS):
        error = (rows - rounded(fraction)).square().sum(dim=1, keepdim=True)
        best = torch.where(error < least, fraction, best)
        least = torch.minimum(error, least)
    return best


def percentile(rows: Tensor, percent: float) -> Tensor:
    """Returns the value below which that percentage of each row lies, between two values linearly: [n, 1].

    As `torch.quantile`, which refuses more than 16 million values.

    Args:
        rows: [n, m].
        percent: 0 to 100.
    """
    ordered = rows.sort(dim=1).values
    position = percent / 100 * (rows.shape[1] - 1)
    below = min(int(position), rows.shape[1] - 1)
    above = min(below + 1, rows.shape[1] - 1)
    return torch.lerp(ordered[:, below], ordered[:, above], position - below)[:, None]


def value_range(
    rows: Tensor, method: Method, rounded: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Returns the range [n, 1] and [n, 1] that each row's grid shall cover; it always holds zero.

    Args:
        rows: [n, m], m >= 1.
        method: `min_max` for the extremes; `percentile` leaves 0.1 % of the values out on either side; `mse`
            shrinks both ends alike to where the squared rounding error is least.
        rounded: gives the rows on the grid over [low, high].
    """
    if method == "percentile":
        low, high = percentile(rows, 100 - PERCENTILE), percentile(rows, PERCENTILE)
    else:
        low, high = rows.amin(dim=1, keepdim=True), rows.amax(dim=1, keepdim=True)
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    if method == "mse":
        fraction = best_fraction(rows, lambda share: rounded(low * share, high * share))
        low, high = low * fraction, high * fraction
    return low, high
