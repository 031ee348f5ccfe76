"""The papers' weighted score-based ranking (THESIS §3.5, PUB-I §5.3): scale, score, weigh, rank.

Everything here is relative to the set of models compared; nothing is kept between calls. The number that an
optimiser is told is `search/proposer/objective.py`, which freezes the scales.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from .figures import FIGURE

Role = Literal["compression", "time", "cost", "accuracy", "memory"]
ROLES: tuple[Role, ...] = get_args(Role)

Scoring = Literal["linear", "rank", "dense"]
SCORINGS: tuple[str, ...] = get_args(Scoring)

R_MIN = 1.0  # eq. 11; r_max is c, the number of models compared
TIE_DECIMALS = 2  # found by reproducing THESIS tables 7-10 and PUB-I tables 3-5 to the last digit
# A half in the third decimal is rounded up as on paper, though its binary figure may lie a hair below.
HALF_UP_NUDGE = 1e-9
_LARGEST = 1e300  # differences of larger figures overflow
_SCORE_DECIMALS = 9  # averages that differ by less than float noise share a rank


@dataclass(frozen=True)
class RankedColumn:
    """A metric that the ranking knows by its column name.

    Args:
        name: column name; it carries the unit.
        role: which weight of a profile it takes.
        higher_is_better: direction.
    """

    name: str
    role: Role
    higher_is_better: bool


def _ours(name: str, role: Role) -> RankedColumn:
    return RankedColumn(name, role, FIGURE[name].higher_is_better)


# The papers' five metrics (PUB-I §5.2, THESIS §3.5) under their names in the published tables, each before
# ours.
COLUMNS: tuple[RankedColumn, ...] = (
    _ours("compression_ratio", "compression"),
    RankedColumn("model_size_kb", "compression", False),
    _ours("model_bytes", "compression"),
    RankedColumn("inference_time_ms", "time", False),
    _ours("latency_ms", "time"),
    RankedColumn("computational_cost_mflops", "cost", False),
    _ours("macs", "cost"),
    RankedColumn("accuracy_pct", "accuracy", True),
    _ours("quality", "accuracy"),
    RankedColumn("peak_memory_kb", "memory", False),
    _ours("peak_memory_bytes", "memory"),
)

# Which of our metrics stands for each role; the compression term is model size, as in PUB-I: on 70 real
# candidates the linear compression ratio made a model the best of every profile that was 820x smaller and had
# lost 13 points, linear size one that was 336x smaller and had lost 1.3.
OUR_METRICS: dict[Role, str] = {
    "compression": "model_bytes",
    "time": "latency_ms",
    "cost": "macs",
    "accuracy": "quality",
    "memory": "peak_memory_bytes",
}

# THESIS table 4, columns CR, IT, FLOPs, Acc, PMF.
PROFILES: dict[str, dict[Role, float]] = {
    name: dict(zip(ROLES, weights, strict=True))
    for name, weights in (
        ("performance", (2.0, 3.0, 3.0, 5.0, 2.0)),
        ("efficiency", (4.0, 4.0, 3.0, 2.0, 2.0)),
        ("balanced", (3.0, 3.0, 3.0, 3.0, 3.0)),
        ("memory", (2.0, 2.0, 1.0, 3.0, 5.0)),
        ("cost", (4.0, 3.0, 4.0, 2.0, 2.0)),
    )
}

# PUB-I §5.3, weights on a scale of 1 to 10: MS 8, Acc 10, IT 6, FLOPs 6, PMF 7.
PUB1_WEIGHTS: dict[Role, float] = {
    "compression": 8.0,
    "time": 6.0,
    "cost": 6.0,
    "accuracy": 10.0,
    "memory": 7.0,
}


@dataclass(frozen=True)
class Ranking:
    """Outcome for the models in the order in which they were given.

    Args:
        scores: weighted score averages (eq. 16), unrounded, in [1, c].
        ranks: 1 is best; equal averages share a rank and the next one skips (eq. 17).
        metric_scores: per metric its scores in [1, c].
    """

    scores: tuple[float, ...]
    ranks: tuple[int, ...]
    metric_scores: dict[str, tuple[float, ...]]

    def order(self) -> list[int]:
        """Returns the models' positions from best to worst; ties keep the order in which they were given."""
        return sorted(range(len(self.ranks)), key=lambda position: self.ranks[position])


def scale(values: ArrayLike, c: int) -> NDArray[np.float64]:
    """Scales one metric to [1, c] (eq. 11).

    Args:
        values: raw figures, shape (models,), finite, not all equal.
        c: number of models compared, >= 1.

    Returns:
        scaled figures, shape (models,): 1 at the smallest raw figure, c at the largest.

    >>> scale([10.0, 15.0, 20.0], c=3).tolist()
    [1.0, 2.0, 3.0]
    """
    n = np.asarray(values, dtype=np.float64)
    return (n - n.min()) / (n.max() - n.min()) * (c - R_MIN) + R_MIN


def metric_scores(
    values: ArrayLike, higher_is_better: bool, scoring: str = "linear", rounded: bool = False
) -> NDArray[np.float64]:
    """Scores the models by one metric.

    Args:
        values: raw figures, shape (models,), finite.
        higher_is_better: direction of the metric.
        scoring: "linear" is eq. 12. "rank" is what THESIS tables 7-10 hold: c for the best, scaled figures
            that agree at two decimals tie, the next one after a tie skips. "dense" is PUB-I tables 3-5: the
            same without skipping.
        rounded: with "linear", round the scaled figure to two decimals, as PUB-I did for accuracy.

    Returns:
        scores in [1, c], shape (models,). A metric on which all agree has no spread: everyone gets c.

    Raises:
        AtollError: unknown scoring.
    """
    n = np.asarray(values, dtype=np.float64)
    check_scoring(scoring)
    c = len(n)
    if n.size == 0 or n.max() == n.min():
        return np.full(c, float(c))
    scaled = scale(n, c)
    hundredths = np.floor(scaled * 10**TIE_DECIMALS + 0.5 + HALF_UP_NUDGE)
    if scoring == "linear":
        figure = hundredths / 10**TIE_DECIMALS if rounded else scaled
        return figure if higher_is_better else c - (figure - R_MIN)
    goodness = hundredths if higher_is_better else -hundredths
    distinct, place, count = np.unique(goodness, return_inverse=True, return_counts=True)
    if scoring == "dense":
        better = len(distinct) - 1 - place
    else:
        better = c - np.cumsum(count)[place]
    return (c - better).astype(np.float64)


def rank_models(
    values: Mapping[str, Sequence[float]],
    weights: Mapping[str, float],
    higher_is_better: Mapping[str, bool],
    scoring: str = "linear",
    scoring_of: Mapping[str, str] | None = None,
) -> Ranking:
    """Ranks models by their weighted score average (eqs. 11-17).

    Args:
        values: per metric the raw figures of all models, all of one length, finite.
        weights: per metric its weight, >= 0, not all 0; metrics without a weight are left out.
        higher_is_better: per metric its direction.
        scoring: scoring rule of all metrics, see `metric_scores`.
        scoring_of: another rule for single metrics. "linear" beside a rank rule takes the scaled value
            rounded to two decimals (PUB-I); under `scoring="linear"` nothing is rounded.

    Returns:
        the ranking, in the order of the models.

    Raises:
        AtollError: unknown scoring; a weight below 0 or none above 0; a weight or rule for an unknown metric;
            figures that are not finite or of different length.

    Three models by accuracy, which counts twice, and size:

    >>> found = rank_models(
    ...     {"quality": [0.9, 0.8, 0.7], "model_bytes": [400.0, 200.0, 0.0]},
    ...     {"quality": 2.0, "model_bytes": 1.0},
    ...     {"quality": True, "model_bytes": False},
    ... )
    >>> found.ranks, [round(score, 3) for score in found.scores]
    ((1, 2, 3), [2.333, 2.0, 1.667])
    """
    check_scoring(scoring)
    check_weights(weights)
    rules = dict(scoring_of or {})
    for name in (*weights, *rules):
        if name not in values:
            raise AtollError(f"unknown metric {name!r}: {known_names(name, values)}")
    table = {name: _finite(name, values[name]) for name, weight in weights.items() if weight > 0}
    if len({len(column) for column in table.values()}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in table.items())
        raise AtollError(f"the metrics have different numbers of models: {lengths}")
    scored = {
        name: metric_scores(
            column, higher_is_better[name], rules.get(name, scoring), rounded=scoring != "linear"
        )
        for name, column in table.items()
    }
    # eq. 15, one metric after the other, as SQL sums it too: a matrix product has other last bits elsewhere
    composite = np.zeros(len(next(iter(scored.values()))))
    for name, column in scored.items():
        composite += weights[name] * column
    average = composite / sum(weights[name] for name in scored)  # eq. 16
    return Ranking(
        scores=tuple(average.tolist()),
        ranks=tuple(_competition_ranks(average).tolist()),
        metric_scores={name: tuple(column.tolist()) for name, column in scored.items()},
    )


def profile_weights(profile: str | Mapping[str, float]) -> dict[Role, float]:
    """Returns the weight for each role.

    Args:
        profile: name of a profile of THESIS table 4, or own weights by role; a role not named weighs 0.

    Raises:
        AtollError: unknown profile or role.
    """
    if isinstance(profile, str):
        if profile not in PROFILES:
            raise AtollError(f"unknown profile {profile!r}: {known_names(profile, PROFILES)}")
        return dict(PROFILES[profile])
    for role in profile:
        if role not in ROLES:
            raise AtollError(f"weight for unknown {role!r}: {known_names(str(role), ROLES)}")
    return {role: float(profile.get(role, 0.0)) for role in ROLES}


def check_scoring(scoring: str) -> None:
    """Raises AtollError unless the scoring rule is known."""
    if scoring not in SCORINGS:
        raise AtollError(f"unknown scoring {scoring!r}: {known_names(scoring, SCORINGS)}")


def check_weights(weights: Mapping[Any, float]) -> None:
    """Raises AtollError unless all weights are finite and >= 0 and one is above 0."""
    for name, weight in weights.items():
        if not np.isfinite(weight) or weight < 0:
            raise AtollError(f"weight of {name} is {weight}: weights must be numbers >= 0")
    if not any(weight > 0 for weight in weights.values()):
        raise AtollError("no weight is above 0: at least one metric must count")


def _finite(name: str, column: Sequence[float]) -> NDArray[np.float64]:
    figures = np.asarray(column, dtype=np.float64)
    bad = np.flatnonzero(~(np.abs(figures) < _LARGEST))
    if bad.size:
        got = figures[bad[0]]
        raise AtollError(f"{name} of model {bad[0] + 1} is {got}: it must be a number within ±{_LARGEST:g}")
    return figures


def _competition_ranks(average: NDArray[np.float64]) -> NDArray[np.int64]:
    """Returns 1 + the number of models with a higher average, for each model (eq. 17)."""
    _, place, count = np.unique(-np.round(average, _SCORE_DECIMALS), return_inverse=True, return_counts=True)
    return (np.cumsum(count) - count)[place] + 1
