"""The one number that the optimiser is told: the weighted score on frozen scales.

The papers' score is relative to the set compared, so each new model would move the scores of the earlier
ones. Here the scales are frozen by a reference set. With `linear` scales eqs. 11-16 hold to the digit inside
its extremes; outside, each metric goes on logarithmically with the slope at the edge:

    score(n) = score(e) + s · (e + ε) · ln((n + ε) / (e + ε))

with e the edge, s the signed slope there, ε the metric's resolution. So the number is finite, continuous and
strictly monotone in every metric, and 400x beats 200x but cannot buy a lost network. A quality may lie below
zero (r2 of a network worse than a constant): there ln(1 + n / ε) goes on as its own mirror image.

With `log` scales a halving of a cost is worth the same at any size and in every cost, so many points that the
widest spread of a cost over the reference set spans [1, c]; quality stays linear, and its spread counts as no
narrower than twice the standard error of the validation split, since less is luck.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from ...evaluators.ranking.against_baseline import Figures, cost_of
from ...evaluators.ranking.figures import FIGURE
from ...evaluators.ranking.quality_terms import QualityTerms
from ...evaluators.ranking.ranking import OUR_METRICS, R_MIN, check_weights, profile_weights
from ...spaces.errors import AtollError

VERSION = 1
LINEAR, LOG = "linear", "log"
SCALES = (LOG, LINEAR)
# A metric on which the whole reference set agrees has no slope of its own. For costs, a tenth of the common
# figure is then worth as much as the whole spread would be: THESIS table 6 has 6.96 to 66.44 MFLOP.
DEFAULT_COST_FACTOR = 10.0
# For quality, the spread of THESIS table 6, 67.10 to 76.95 %, in resolutions of a share (0.001).
DEFAULT_QUALITY_SPREAD = 100.0


@dataclass(frozen=True)
class Scale:
    """One metric's frozen scale.

    Args:
        low, high: extremes over the reference set, raw, low <= high; equal where it has no spread.
        higher_is_better: direction.
        resolution: ε, > 0, in the metric's unit.
        c: length of the reference set; scores inside the extremes lie in [1, c].
    """

    low: float
    high: float
    higher_is_better: bool
    resolution: float
    c: int

    @property
    def slope(self) -> float:
        """Score per unit of the metric, positive where higher is better."""
        if self.high > self.low:
            spread = self.high - self.low
        elif self.higher_is_better:
            spread = DEFAULT_QUALITY_SPREAD * self.resolution
        else:
            spread = (abs(self.high) + self.resolution) * math.log(DEFAULT_COST_FACTOR)
        return (self.c - R_MIN) / spread * (1 if self.higher_is_better else -1)

    def score(self, n: float) -> float:
        """Returns the score of a raw figure: eqs. 11-12 inside the extremes, logarithmic outside."""
        edge = min(max(n, self.low), self.high)
        if n == edge:
            return self._inside(n)
        if min(n, edge) >= 0:
            distance = math.log((n + self.resolution) / (edge + self.resolution))
        else:
            distance = self._mirrored(n) - self._mirrored(edge)
        return self._inside(edge) + self.slope * (abs(edge) + self.resolution) * distance

    def _mirrored(self, n: float) -> float:
        return math.copysign(math.log1p(abs(n) / self.resolution), n)

    def _inside(self, n: float) -> float:
        if self.high == self.low:
            return float(self.c)  # no spread: everyone ties for best
        scaled = (n - self.low) / (self.high - self.low) * (self.c - R_MIN) + R_MIN  # eq. 11
        return scaled if self.higher_is_better else self.c - (scaled - R_MIN)  # eq. 12


@dataclass(frozen=True)
class LogScale:
    """One cost's frozen scale on which every halving is worth the same.

    Args:
        high: the largest over the reference set, raw, >= 0; it scores 1.
        resolution: ε, > 0, in the metric's unit; less counts as that.
        per_halving: score of a halving, > 0.
    """

    high: float
    resolution: float
    per_halving: float

    def score(self, n: float) -> float:
        """Returns the score of a raw figure; what is less than ε scores as ε does."""
        return R_MIN + self.per_halving * math.log2(max(self.high, self.resolution) / max(n, self.resolution))


@dataclass(frozen=True)
class WeightedScore:
    """Maps the raw metrics of a candidate to one number; higher is better.

    Args:
        profile: name of the weight profile, or "own".
        weights: weight per metric.
        scales: frozen scale per metric, a `LogScale` for costs where the study wants it.
        lowest_reference: the smallest objective in the reference set; what a rejected recipe is told with.
    """

    profile: str
    weights: dict[str, float]
    scales: dict[str, Scale | LogScale]
    lowest_reference: float

    @classmethod
    def from_reference(
        cls,
        reference: Sequence[Figures],
        profile: str | Mapping[str, float] = "balanced",
        scale: str = LINEAR,
        quality_error: float = 0.0,
    ) -> Self:
        """Freezes the scales by the raw metrics of a reference set.

        Args:
            reference: metrics of each member, at least two; c is their number. A member that failed takes
                the baseline's figures before it comes here.
            profile: a weight profile of THESIS table 4, or own weights by role.
            scale: of costs, `linear` or `log`.
            quality_error: standard error of the baseline's quality, >= 0, in its unit; for `log` alone.

        Raises:
            AtollError: unknown profile or role, fewer than two members, a figure that is missing, not finite,
                or negative but for quality.
        """
        c = len(reference)
        if c < 2:
            raise AtollError(f"a reference set of {c} gives no scale: it must have two members or more")
        by_role = profile_weights(profile)
        check_weights(by_role)
        weights = {metric: by_role[role] for role, metric in OUR_METRICS.items() if by_role[role] > 0}
        terms = QualityTerms.of(reference[0])
        figures = {metric: [_raw(member, metric) for member in reference] for metric in weights}
        scales: dict[str, Scale | LogScale] = {
            metric: _frozen(metric, found, terms) for metric, found in figures.items()
        }
        if scale == LOG:
            scales = _logarithmic(figures, scales, 2 * quality_error)
        name = profile if isinstance(profile, str) else "own"
        unranked = cls(name, weights, scales, lowest_reference=-math.inf)
        return cls(name, weights, scales, lowest_reference=min(map(unranked, reference)))

    def __call__(self, metrics: Figures) -> float:
        """Returns the weighted score average (eqs. 15-16) of a candidate.

        Raises:
            AtollError: a figure that is missing, not finite, or negative but for quality; the message names
                the metric.
        """
        scores = self.scores(metrics)
        return sum(self.weights[name] * scores[name] for name in scores) / sum(self.weights.values())

    def scores(self, metrics: Figures) -> dict[str, float]:
        """Returns the score per metric, unweighted."""
        return {name: scale.score(_raw(metrics, name)) for name, scale in self.scales.items()}

    def to_json(self) -> dict[str, Any]:
        """Returns everything that the number depends on."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Builds the objective from what `to_json` gave.

        Raises:
            AtollError: another version, or parts are missing.
        """
        if value.get("version") != VERSION:
            raise AtollError(f"the objective has version {value.get('version')!r}: known is {VERSION}")
        try:
            return cls(
                profile=value["profile"],
                weights=dict(value["weights"]),
                scales={
                    name: LogScale(**scale) if "per_halving" in scale else Scale(**scale)
                    for name, scale in value["scales"].items()
                },
                lowest_reference=value["lowest_reference"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise AtollError(f"the stored objective is incomplete: {error}") from error


def _frozen(metric: str, figures: Sequence[float], terms: QualityTerms) -> Scale:
    figure = terms.figure(FIGURE[metric])
    low, high = min(figures), max(figures)
    resolution = figure.resolution
    if figure.of_quality:
        resolution = terms.resolution(high if figure.higher_is_better else low)
    if high - low < resolution:  # less than the metric can tell is no spread
        low = high = high if figure.higher_is_better else low
    return Scale(low, high, figure.higher_is_better, resolution, c=len(figures))


def _logarithmic(
    figures: Mapping[str, Sequence[float]], linear: Mapping[str, Scale | LogScale], least_spread: float
) -> dict[str, Scale | LogScale]:
    """Returns the scales on which halvings count, quality's no narrower than its noise."""
    costs = [metric for metric in figures if not FIGURE[metric].of_quality]
    spreads = {
        metric: math.log2(
            max(*figures[metric], FIGURE[metric].resolution)
            / max(min(figures[metric]), FIGURE[metric].resolution)
        )
        for metric in costs
    }
    widest = max([*spreads.values(), math.log2(DEFAULT_COST_FACTOR)])
    scales: dict[str, Scale | LogScale] = {}
    for metric, scale in linear.items():
        if metric in costs:
            c = len(figures[metric])
            scales[metric] = LogScale(max(figures[metric]), FIGURE[metric].resolution, (c - R_MIN) / widest)
        elif isinstance(scale, Scale) and scale.high - scale.low < least_spread:
            ends = (scale.high - least_spread, scale.high)
            low, high = ends if scale.higher_is_better else (scale.low, scale.low + least_spread)
            scales[metric] = replace(scale, low=low, high=high)
        else:
            scales[metric] = scale
    return scales


def _raw(metrics: Figures, metric: str) -> float:
    figure = cost_of(metrics, metric)
    if figure < 0 and not FIGURE[metric].of_quality:
        raise AtollError(f"{metric} is {figure}: the objective needs figures >= 0")
    return figure
