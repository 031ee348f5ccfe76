"""A predicted figure: never a bare number."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

#: share of new networks that the interval is meant to hold
NOMINAL_COVERAGE = 0.9
#: status of a figure that a compiler gave and nobody measured
ESTIMATED = "compiler estimate"


@dataclass(frozen=True)
class Prediction:
    """A value with its nominal 90 % interval.

    Args:
        value, low, high: in the unit that the quantity's name carries; low <= value <= high.
        status: `interpolated`, `extrapolated` where a kernel or a size lies outside the measurements, or
            `unknown operation: …` where something runs that nothing prices: the figures are the rest's.
            `compiler estimate` where a compiler gave it, whose figure has no interval: nobody measured it.
        setup: measurement set-up that it refers to; empty where none matters.
    """

    value: float
    low: float
    high: float
    status: str
    setup: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns value, low, high, status and set-up."""
        return asdict(self)

    def spanning(self, others: "Sequence[Prediction]") -> "Prediction":
        """Returns this value with an interval that holds those of other set-ups too."""
        everything = (self, *others)
        low, high = min(one.low for one in everything), max(one.high for one in everything)
        return replace(self, low=low, high=high)

    def plus(self, other: "Prediction") -> "Prediction":
        """Returns the sum of two parts of one network, under this one's set-up.

        Nobody has measured what handing over from one to the other takes: it is extrapolated at best.
        """
        unknown = next((one.status for one in (self, other) if one.status.startswith("unknown")), "")
        ends = (self.value + other.value, self.low + other.low, self.high + other.high)
        return Prediction(*ends, unknown or "extrapolated", self.setup)

    def widened(self, factor: float) -> "Prediction":
        """Returns the same with an interval that reaches further, up and down, by a factor."""
        return replace(self, low=self.low / factor, high=self.high * factor)

    def elsewhere(self) -> "Prediction":
        """Returns the same for a device that it was not measured on."""
        status = "extrapolated" if self.status == "interpolated" else self.status
        return replace(self, status=status)
