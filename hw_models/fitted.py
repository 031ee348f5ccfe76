"""A fitted cost model: coefficients, their companions without each group for the interval, its coverage."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, log
from typing import Any, Self

from ..spaces.errors import AtollError
from ..spaces.nearest import known_names
from .cost_model import CostModel
from .coverage import Coverage
from .layer_table import LayerTable
from .prediction import NOMINAL_COVERAGE, Prediction


@dataclass(frozen=True)
class LeftOut:
    """The fit without one group of repeats, and how far off it is on that group.

    Args:
        group: ids of the rows.
        coefficients: of the fit without them.
        residual: largest |log(predicted / measured)| over them.
        setup: of the group.
        surrogate: whether the group's network is only a stand-in, so that the residual holds its error too.
    """

    group: tuple[str, ...]
    coefficients: dict[str, float]
    residual: float
    setup: str
    surrogate: bool


@dataclass(frozen=True)
class Fitted:
    """One quantity's model.

    Args:
        model: its formula.
        setups: known set-ups, the first one the default.
        coefficients: by term.
        left_out: one a group, for the interval.
        coverage: what the rows of the fit cover.
    """

    model: CostModel
    setups: tuple[str, ...]
    coefficients: dict[str, float]
    left_out: tuple[LeftOut, ...]
    coverage: Coverage

    def predict(self, table: LayerTable, setup: str | None = None, work: Any = None) -> Prediction:
        """Returns value, interval and status for a network.

        The interval is jackknife+ (Barber et al. 2021, eq. 1.4) on log residuals, over groups of repeats.
        Stand-ins for networks that are not defined count in their own set-up alone: their residuals say more
        about the stand-in than about the formula.

        Args:
            table: the network's.
            setup: one of `setups`, the first where None.
            work: taken instead of the table's own, where more is known (the file's size).

        Raises:
            AtollError: for an unknown set-up.
        """
        setup = self.setups[0] if setup is None else setup
        if setup not in self.setups:
            raise AtollError(f"unknown set-up {setup!r}; {known_names(setup, self.setups)}")
        work = self.model.work(table) if work is None else work
        value = self._log(work, self.coefficients, setup)
        others = [
            (self._log(work, fit.coefficients, setup), fit.residual)
            for fit in self.left_out
            if not fit.surrogate or fit.setup == setup
        ]
        lows = sorted(other - residual for other, residual in others)
        highs = sorted(other + residual for other, residual in others)
        # with fewer than nine groups the ranks fall outside: the extremes are the widest there is
        outside = 1 - NOMINAL_COVERAGE
        low = lows[max(0, floor(outside * (len(lows) + 1)) - 1)] if lows else value
        high = highs[min(len(highs), ceil(NOMINAL_COVERAGE * (len(highs) + 1))) - 1] if highs else value
        return Prediction.from_logs(value, low, high, extrapolated=bool(self.coverage.gaps(table)))

    def _log(self, work: Any, coefficients: Mapping[str, float], setup: str) -> float:
        return log(self.model.price(work, coefficients, setup))

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON, six significant digits; `from_json` reads it."""
        return {
            "setups": list(self.setups),
            "coefficients": _rounded(self.coefficients),
            "coverage": self.coverage.to_json(),
            "left_out": [
                {
                    "group": list(fit.group),
                    "setup": fit.setup,
                    "surrogate": fit.surrogate,
                    "residual": float(f"{fit.residual:.6g}"),
                    "coefficients": _rounded(fit.coefficients),
                }
                for fit in self.left_out
            ],
        }

    @classmethod
    def from_json(cls, model: CostModel, stored: dict[str, Any]) -> Self:
        """Reads what `to_json` gave.

        Raises:
            KeyError: when a part is missing.
        """
        left_out = tuple(
            LeftOut(tuple(fit["group"]), fit["coefficients"], fit["residual"], fit["setup"], fit["surrogate"])
            for fit in stored["left_out"]
        )
        coverage = Coverage.from_json(stored["coverage"])
        return cls(model, tuple(stored["setups"]), stored["coefficients"], left_out, coverage)


def _rounded(coefficients: Mapping[str, float]) -> dict[str, float]:
    # six digits: far below the error of any coefficient, and the same file on every machine
    return {name: float(f"{value:.6g}") for name, value in coefficients.items()}
