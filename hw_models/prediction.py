"""A predicted figure: never a bare number."""

from dataclasses import dataclass
from math import exp
from typing import Any, Literal

Status = Literal["interpolated", "extrapolated"]

#: share of new networks that the interval is meant to hold
NOMINAL_COVERAGE = 0.9
#: how much farther each end of the interval lies where the measurements hold nothing like the network. No
#: data can tell this factor; it is a caution: five times the worst error of a family left out of the fit.
EXTRAPOLATION_FACTOR = 1.5


@dataclass(frozen=True)
class Prediction:
    """A value with its nominal 90 % interval.

    Args:
        value, low, high: in the unit that the quantity's name carries; low <= value <= high.
        status: extrapolated where a kernel or a size lies outside the measurements.
    """

    value: float
    low: float
    high: float
    status: Status

    def to_json(self) -> dict[str, Any]:
        """Returns value, low, high and status."""
        return {"value": self.value, "low": self.low, "high": self.high, "status": self.status}

    @classmethod
    def from_logs(cls, value: float, low: float, high: float, extrapolated: bool) -> "Prediction":
        """Returns the prediction for logarithms of value and ends, widened where it is extrapolated."""
        factor = EXTRAPOLATION_FACTOR if extrapolated else 1.0
        low, high = min(low, value), max(high, value)
        status: Status = "extrapolated" if extrapolated else "interpolated"
        return cls(exp(value), exp(low) / factor, exp(high) * factor, status)
