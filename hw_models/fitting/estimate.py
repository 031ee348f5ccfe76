"""Fitted coefficients with their uncertainty: log-space least squares with weak priors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import TYPE_CHECKING, Any, Self

from ..formulas.cost_model import CostModel
from ..formulas.setup import Setup
from ..tables.layer_table import LayerTable
from .measurements import Measurement

if TYPE_CHECKING:
    import numpy as np

#: step of the logarithms in central differences: the third order is then below 1e-8
_STEP = 1e-4
#: correlations below this are differences' noise; without them the stored file is the same everywhere
_LEAST_CORRELATION = 1e-6


@dataclass(frozen=True)
class Point:
    """One measured figure that can be priced.

    Args:
        measurement: where it comes from.
        measured: in the quantity's unit.
        table, work: of the network.
    """

    measurement: Measurement
    measured: float
    table: LayerTable
    work: Any


@dataclass(frozen=True)
class Estimate:
    """The coefficients that fit a set of measurements best.

    Args:
        coefficients: by the term's name, all positive.
        covariance: of their logarithms, in the order of the coefficients: the curvature of what is minimised.
    """

    coefficients: Mapping[str, float]
    covariance: tuple[tuple[float, ...], ...]

    @classmethod
    def of(
        cls,
        model: CostModel,
        setups: tuple[Setup, ...],
        points: Sequence[Point],
        near: Mapping[str, float] | None = None,
    ) -> Self:
        """Fits: least squares of log(predicted / measured) / noise and of log(coefficient / prior) / spread.

        A robust model's misfits enter as their soft L1 norm, 2 (sqrt(1 + z^2) - 1).

        Args:
            model: the formula.
            setups: whose coefficients it has.
            points: the measurements.
            near: coefficients of nearly the same fit, from where the search is shorter; the priors if None.
        """
        import numpy as np
        from scipy.optimize import least_squares

        terms = model.terms(setups)
        names = [term.name for term in terms]
        priors = np.log([term.prior for term in terms])
        spreads = np.array([term.spread for term in terms])
        noises = np.array([model.noise(point.measured, point.table.surrogate) for point in points])

        def misfits(logs: "np.ndarray") -> "np.ndarray":
            coefficients = dict(zip(names, np.exp(logs), strict=True))
            errors = np.array([log_error(model, point, coefficients) for point in points]) / noises
            if model.robust:
                errors = np.sign(errors) * np.sqrt(2 * (np.sqrt(1 + errors**2) - 1))
            return np.array([*errors, *((logs - priors) / spreads)])

        start = priors if near is None else np.log([near[name] for name in names])
        best = least_squares(misfits, start, xtol=1e-8, ftol=1e-8, gtol=1e-8).x
        steps = np.eye(len(best)) * _STEP
        slopes = np.array([(misfits(best + s) - misfits(best - s)) / (2 * _STEP) for s in steps])
        covariance = np.linalg.inv(slopes @ slopes.T)
        scale = np.sqrt(np.diag(covariance))
        covariance[np.abs(covariance) < _LEAST_CORRELATION * np.outer(scale, scale)] = 0.0
        return cls(
            {name: exp(value) for name, value in zip(names, best, strict=True)},
            tuple(tuple(float(value) for value in row) for row in covariance),
        )

    def spread(self, model: CostModel, work: Any, setup: str, surrogate: bool = False) -> float:
        """Returns the expected |log(predicted / true)| for a network: noise and uncertain coefficients."""
        names = list(self.coefficients)
        slopes = []
        for name in names:
            up, down = (
                {**self.coefficients, name: self.coefficients[name] * exp(step)} for step in (_STEP, -_STEP)
            )
            ratio = model.price(work, up, setup) / model.price(work, down, setup)
            slopes.append(log(ratio) / (2 * _STEP))
        variance = sum(
            slopes[i] * slopes[j] * value
            for i, row in enumerate(self.covariance)
            for j, value in enumerate(row)
        )
        noise = model.noise(model.price(work, self.coefficients, setup), surrogate)
        return sqrt(noise**2 + max(0.0, variance))

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON, sorted by name as the file is; `from_json` reads it.

        Six digits of a coefficient, four of a covariance: far below the error of either, and the same file on
        every machine.
        """
        names = list(self.coefficients)
        order = sorted(range(len(names)), key=names.__getitem__)
        return {
            "coefficients": {names[i]: float(f"{self.coefficients[names[i]]:.6g}") for i in order},
            "covariance": [[float(f"{self.covariance[i][j]:.4g}") for j in order] for i in order],
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Reads what `to_json` gave."""
        return cls(stored["coefficients"], tuple(tuple(row) for row in stored["covariance"]))


def log_error(model: CostModel, point: Point, coefficients: Mapping[str, float]) -> float:
    """Returns log(predicted / measured) of one point."""
    return log(model.price(point.work, coefficients, point.measurement.setup) / point.measured)
