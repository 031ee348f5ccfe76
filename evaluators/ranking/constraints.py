"""What a study demands of a candidate: `quality_drop <= 0.02`, `latency_ms <= 10`, `ratio >= 20`."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from .against_baseline import Figures, compression_ratio, figure_of, quality_drop
from .figures import BOUNDED_BESIDE, FIGURE, METRICS, SAME_AS
from .quality_terms import QualityTerms

Comparison = Literal["<=", ">=", "="]

_ALIASES = {"ratio": "compression_ratio"}
KNOWN: tuple[str, ...] = tuple(figure.name for figure in (*BOUNDED_BESIDE, *METRICS))
_FORM = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=|=)\s*(\S+)\s*")
# 0.90 - 0.88 is a hair more than 0.02 in binary, and qualities are float32 means: their rounding, 1.2e-7, is
# 6e-6 of a bound of 0.02. Less than this, relative, is no violation.
NOISE = 1e-5


@dataclass(frozen=True)
class Constraint:
    """One bound on one metric.

    Args:
        metric: a metric of `Metrics`, or quality_drop (how much worse than the baseline's quality, in its
            unit), compression_ratio (baseline's model_bytes divided by the candidate's; `ratio` for short) or
            flash_bytes (its model_bytes: a microcontroller's model array alone).
        comparison: "<=", ">=" or "=".
        bound: in the metric's unit, finite.

    Raises:
        AtollError: unknown metric or comparison, or a bound that is not a finite number.

    >>> smaller = Constraint.parse("ratio >= 20")
    >>> smaller.violation({"model_bytes": 100}, {"model_bytes": 1000})  # ten times: half of what is demanded
    0.5
    >>> smaller.explain({"model_bytes": 100}, {"model_bytes": 1000})
    'compression_ratio 10, demanded >= 20'
    """

    metric: str
    comparison: Comparison
    bound: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "metric", _ALIASES.get(self.metric, self.metric))
        if self.metric not in KNOWN:
            raise AtollError(
                f"constraint on unknown metric {self.metric!r}: {known_names(self.metric, KNOWN)}"
            )
        if self.comparison not in get_args(Comparison):
            raise AtollError(f"constraint on {self.metric} compares by {self.comparison!r}: use <=, >= or =")
        if not math.isfinite(self.bound):
            raise AtollError(f"constraint on {self.metric} has the bound {self.bound}: it must be finite")
        object.__setattr__(self, "bound", float(self.bound))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads the text form: METRIC, one of <=, >= and =, NUMBER.

        Raises:
            AtollError: the text has another form; or as the class.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise AtollError(
                f"constraint {text!r} is not of the form METRIC <= NUMBER; >= and = are allowed too"
            )
        metric, comparison, number = match.groups()
        try:
            bound = float(number)
        except ValueError:
            raise AtollError(f"constraint {text!r}: {number!r} is not a number") from None
        return cls(metric, cast(Comparison, comparison), bound)

    def __str__(self) -> str:
        whole = self.bound.is_integer() and abs(self.bound) < 1e15
        return f"{self.metric} {self.comparison} {int(self.bound) if whole else repr(self.bound)}"

    @property
    def needs_training(self) -> bool:
        """Whether only a trained candidate can be held against it."""
        return FIGURE[self.metric].needs_training

    def is_priced(self, price: Figures) -> bool:
        """Whether a price has the constrained figure, or what it follows from."""
        try:
            self.figure(price, {"model_bytes": 1.0, "quality": 1.0}, favourable=True)
        except AtollError:
            return False  # a figure that only training gives
        return True

    def figure(self, metrics: Figures, baseline: Figures, favourable: bool = False) -> float:
        """Returns the constrained figure of a candidate.

        Args:
            metrics: the candidate's.
            baseline: the uncompressed network's, to which drops and ratios refer.
            favourable: take the end of a predicted interval that is kindest to the candidate, as for a
                rejection before training.

        Raises:
            AtollError: the metric is missing or not finite.
        """
        if self.metric == "quality_drop":
            return quality_drop(metrics, baseline)
        if self.metric == "compression_ratio":
            low = favourable and self.comparison == ">="
            size = _end(metrics, "model_bytes", "low" if low else None)
            return compression_ratio(figure_of(baseline, "model_bytes", "baseline"), size)
        end = {"<=": "low", ">=": "high"}.get(self.comparison) if favourable else None
        return _end(metrics, SAME_AS.get(self.metric, self.metric), end)

    def violation(self, metrics: Figures, baseline: Figures, favourable: bool = False) -> float:
        """Returns by how much a candidate misses the bound, relative to it; <= 0 is met. See `figure`."""
        excess = self.figure(metrics, baseline, favourable) - self.bound
        missed = {"<=": excess, ">=": -excess, "=": abs(excess)}[self.comparison]
        relative = missed / max(abs(self.bound), self._resolution(baseline))
        return 0.0 if abs(relative) <= NOISE else relative

    def _resolution(self, baseline: Figures) -> float:
        """Returns the smallest difference of the metric that means anything."""
        figure = FIGURE[self.metric]
        if not figure.of_quality:
            return figure.resolution
        return QualityTerms.of(baseline).resolution(figure_of(baseline, "quality", "baseline"))

    def explain(self, metrics: Figures, baseline: Figures, favourable: bool = False) -> str:
        """Returns what a candidate has and what is demanded: `latency_ms 12.3, demanded <= 10`."""
        got = f"{self.metric} {self.figure(metrics, baseline, favourable):.4g}"
        terms = QualityTerms.of(baseline)
        if FIGURE[self.metric].of_quality and not terms.is_share:
            got = f"{got} {terms.unit}".rstrip()
        return f"{got}, demanded {self.comparison} {str(self).split()[-1]}"


# Own choice: more than plain 8 bit costs (PUB-I table 2: 77.23 to 76.95 %), less than a wreck costs. Without
# a constraint the papers' score crowns wrecks: a model of 9 % accuracy wins two profiles if 800x smaller.
DEFAULT_CONSTRAINTS: tuple[Constraint, ...] = (Constraint("quality_drop", "<=", 0.02),)


def parse_constraints(texts: Iterable[str]) -> tuple[Constraint, ...]:
    """Reads several constraints.

    Raises:
        AtollError: as `Constraint.parse`, or two bounds on one metric in one direction.
    """
    constraints: dict[tuple[str, str], Constraint] = {}
    for text in texts:
        constraint = Constraint.parse(text)
        key = (constraint.metric, constraint.comparison)
        if key in constraints:
            raise AtollError(f"two constraints {constraints[key]} and {constraint}: give one of them")
        constraints[key] = constraint
    return tuple(constraints.values())


def _end(metrics: Figures, name: str, end: str | None) -> float:
    """Returns a figure, or the named end of its interval where it has one."""
    if end is not None:
        key = f"{name}_{end}"
        found = metrics.get(key) if isinstance(metrics, Mapping) else getattr(metrics, key, None)
        if found is not None:
            return figure_of(metrics, key)
    return figure_of(metrics, name)
