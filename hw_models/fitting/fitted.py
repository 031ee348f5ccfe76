"""A fitted cost model: its estimate, companions without each group for the interval, its coverage."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, exp, floor, log
from typing import Any, Self

from ..formulas.cost_model import CostModel, cost_model
from ..formulas.prediction import NOMINAL_COVERAGE, Prediction
from ..tables.layer_table import LayerTable
from .coverage import Coverage
from .estimate import Estimate

#: how far off (in logarithms) the time of a kernel may be that no measurement holds, beside its neighbours
#: of the same kind or dtype: a caution, half as much again as the worst where one was left out of the fit
UNMEASURED_KERNEL_SPREAD = log(1.25)


@dataclass(frozen=True)
class LeftOut:
    """The fit without one group of repeats, and how far off it is on that group.

    Args:
        group: ids of the rows.
        coefficients: of the fit without them.
        ratio: the largest |log(predicted / measured)| over them, in units of what that fit expected.
    """

    group: tuple[str, ...]
    coefficients: Mapping[str, float]
    ratio: float


@dataclass(frozen=True)
class Fitted:
    """One quantity's model.

    Args:
        model: its formula.
        setups: names of the known set-ups.
        estimate: the coefficients.
        left_out: one a group, for the interval.
        coverage: what the rows of the fit cover.
    """

    model: CostModel
    setups: tuple[str, ...]
    estimate: Estimate
    left_out: tuple[LeftOut, ...]
    coverage: Coverage

    def predict(self, table: LayerTable, setup: str, work: Any = None) -> Prediction:
        """Returns value, interval and status for a network.

        The interval is jackknife+ (Barber et al. 2021, eq. 1.4) on log residuals over groups of repeats, each
        in units of what its fit expected there, so that a network far from the measurements gets a wider one.

        Args:
            table: the network's.
            setup: one of `setups`.
            work: taken instead of the table's own, where more is known (the file's size).
        """
        work = self.model.work(table, None) if work is None else work
        value = self._log(work, self.estimate.coefficients, setup)
        spread = self.estimate.spread(self.model, work, setup, table.surrogate)
        lows, highs = [], []
        for fit in self.left_out:
            other = self._log(work, fit.coefficients, setup)
            lows.append(other - fit.ratio * spread)
            highs.append(other + fit.ratio * spread)
        # with fewer than nine groups the ranks fall outside: the extremes are the widest there is
        outside, count = 1 - NOMINAL_COVERAGE, len(self.left_out)
        low = sorted(lows)[max(0, floor(outside * (count + 1)) - 1)] if lows else value
        high = sorted(highs)[min(count, ceil(NOMINAL_COVERAGE * (count + 1))) - 1] if highs else value
        caution = self._caution(table, setup, exp(value))
        return Prediction(
            exp(value),
            exp(min(low, value) - caution),
            exp(max(high, value) + caution),
            self._status(table),
            setup,
        )

    def _status(self, table: LayerTable) -> str:
        unknown = self.model.unknown(table)
        if unknown:
            return f"unknown operation: {', '.join(unknown)}"
        return "extrapolated" if self.coverage.gaps(table) else "interpolated"

    def _caution(self, table: LayerTable, setup: str, value: float) -> float:
        """Widens by the share of the figure that comes from kernels which were never measured."""
        rows = tuple(row for row in table.rows if not self.coverage.holds(row))
        if not rows or not self.model.additive:
            return 0.0
        part = self.model.work(replace(table, rows=rows), None)
        share = self.model.price(part, self.estimate.coefficients, setup) / value
        return UNMEASURED_KERNEL_SPREAD * min(1.0, share)

    def _log(self, work: Any, coefficients: Mapping[str, float], setup: str) -> float:
        return log(self.model.price(work, coefficients, setup))

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON; `from_json` reads it."""
        return {
            "quantity": self.model.quantity,
            "formula": self.model.formula,
            "setups": list(self.setups),
            **self.estimate.to_json(),
            "coverage": self.coverage.to_json(),
            "left_out": [
                {
                    "group": list(fit.group),
                    "ratio": float(f"{fit.ratio:.6g}"),
                    "coefficients": {key: float(f"{value:.6g}") for key, value in fit.coefficients.items()},
                }
                for fit in self.left_out
            ],
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Reads what `to_json` gave.

        Raises:
            KeyError: when a part is missing.
            AtollError: for a formula that is not known.
        """
        return cls(
            cost_model(stored["quantity"], stored["formula"]),
            tuple(stored["setups"]),
            Estimate.from_json(stored),
            tuple(
                LeftOut(tuple(fit["group"]), fit["coefficients"], fit["ratio"]) for fit in stored["left_out"]
            ),
            Coverage.from_json(stored["coverage"]),
        )
