"""Fits a device's cost models to measurements: log-space least squares with weak priors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np

from ..spaces.errors import AtollError
from .cost_model import CostModel
from .coverage import Coverage
from .fitted import Fitted, LeftOut
from .layer_table import LayerTable
from .measured_table import measured_table
from .measurements import Measurement

#: expected |log(predicted / measured)| of one row: repeats of one network agree within 0.01 (published rows
#: p1_baseline, p1_pruned and p1_distilled), so this is what such a formula leaves unexplained
RESIDUAL_SCALE = 0.03


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
class Unused:
    """One row that a fit does not use, and why; it has a point where it can be priced all the same."""

    measurement: Measurement
    reason: str
    point: Point | None


@dataclass(frozen=True)
class Sample:
    """Every row of a file for one quantity: used or not, none dropped."""

    model: CostModel
    setups: tuple[str, ...]
    points: tuple[Point, ...]
    unused: tuple[Unused, ...]


def priced_tables(rows: Iterable[Measurement], folder: Path) -> dict[str, LayerTable | str]:
    """Returns the layer table of every row by id, or the reason why there is none."""
    found: dict[str, LayerTable | str] = {}
    for row in rows:
        try:
            found[row.id] = measured_table(row, folder)
        except AtollError as error:
            found[row.id] = str(error)
    return found


def sample(
    model: CostModel,
    rows: Sequence[Measurement],
    tables: Mapping[str, LayerTable | str],
    default_setup: str,
    excluded: Sequence[str] = (),
) -> Sample:
    """Sorts the rows of a file into those that a fit uses and those that it does not.

    Args:
        model: the quantity.
        rows: the file's.
        tables: of `priced_tables`.
        default_setup: the set-up that predictions refer to where none is named; others get a coefficient.
        excluded: ids that are left out by the user's wish.

    Raises:
        AtollError: where no row is left.
    """
    points, unused = [], []
    for row in rows:
        value, table = row.measured[model.column], tables[row.id]
        point = None
        if value is not None and isinstance(table, LayerTable):
            point = Point(row, value * model.column_unit, table, model.work(table))
        reason = _reason(row, model, table, excluded)
        if reason is None and point is not None:
            points.append(point)
        else:
            unused.append(Unused(row, reason or "", point))
    if not points:
        raise AtollError(f"{model.column}: no row is left to fit; at least one must be credible and priced")
    known = sorted({point.measurement.setup for point in points})
    setups = tuple(sorted(known, key=lambda setup: (setup != default_setup, setup)))
    return Sample(model, setups, tuple(points), tuple(unused))


def _reason(
    row: Measurement, model: CostModel, table: LayerTable | str, excluded: Sequence[str]
) -> str | None:
    if row.measured[model.column] is None:
        return "not measured"
    if row.id in excluded:
        return "excluded by --exclude"
    if model.column in row.doubts:
        return row.doubts[model.column]
    return table if isinstance(table, str) else None


def fit_coefficients(model: CostModel, setups: tuple[str, ...], points: Sequence[Point]) -> dict[str, float]:
    """Returns the coefficients that fit the points best, all positive.

    Least squares of log(predicted / measured) / `RESIDUAL_SCALE` and of log(coefficient / prior) / spread.
    """
    from scipy.optimize import least_squares

    terms = model.terms(setups)
    priors = np.log([term.prior for term in terms])
    spreads = np.array([term.spread for term in terms])

    def misfits(logs: np.ndarray) -> np.ndarray:
        coefficients = {term.name: exp(value) for term, value in zip(terms, logs, strict=True)}
        residuals = [log_error(model, point, coefficients) / RESIDUAL_SCALE for point in points]
        return np.array([*residuals, *((logs - priors) / spreads)])

    best = least_squares(misfits, priors, xtol=1e-10, ftol=1e-10, gtol=1e-10).x
    return {term.name: exp(value) for term, value in zip(terms, best, strict=True)}


def log_error(model: CostModel, point: Point, coefficients: Mapping[str, float]) -> float:
    """Returns log(predicted / measured) of one point."""
    return log(model.price(point.work, coefficients, point.measurement.setup) / point.measured)


def fit(sample: Sample) -> Fitted:
    """Fits one quantity and, for its interval, once more without each group of repeats."""
    model, setups = sample.model, sample.setups
    left_out = []
    for group in groups(sample.points):
        rest = [point for point in sample.points if point not in group]
        coefficients = fit_coefficients(model, setups, rest)
        residual = max(abs(log_error(model, point, coefficients)) for point in group)
        left_out.append(
            LeftOut(
                group=tuple(point.measurement.id for point in group),
                coefficients=coefficients,
                residual=residual,
                setup=group[0].measurement.setup,
                surrogate=group[0].table.surrogate,
            )
        )
    coverage = Coverage.of(point.table for point in sample.points)
    return Fitted(model, setups, fit_coefficients(model, setups, sample.points), tuple(left_out), coverage)


def groups(points: Sequence[Point]) -> list[list[Point]]:
    """Returns the points in groups of repeats: one set-up, the same work."""
    found: list[list[Point]] = []
    for point in points:
        for group in found:
            if (group[0].measurement.setup, group[0].work) == (point.measurement.setup, point.work):
                group.append(point)
                break
        else:
            found.append([point])
    return found
