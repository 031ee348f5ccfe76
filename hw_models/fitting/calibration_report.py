"""How well a fit predicts: one line a row and quantity, and the summary."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import exp
from statistics import mean
from typing import Any, Literal

from .calibration import Sample, fit
from .estimate import Estimate, Point, log_error
from .fitted import Fitted
from .measurements import Measurement

#: why a row that is left out has no prediction
NOTHING_LEFT = "without it nothing is left to fit"
#: "within" of the summary
WITHIN_PCT = 10.0


@dataclass(frozen=True)
class ReportRow:
    """One measured figure and its prediction.

    Args:
        id, family: of the measurement.
        quantity: name of its column.
        measured, predicted, low, high: in the column's unit, None where unknown.
        status: of the prediction, "" where there is none.
        error_pct: predicted beside measured.
        used: whether the fit uses it.
        reason: why not.
    """

    id: str
    family: str
    quantity: str
    measured: float | None
    predicted: float | None
    low: float | None
    high: float | None
    status: str
    error_pct: float | None
    used: bool
    reason: str


def report_rows(
    sample: Sample,
    fitted: Fitted,
    left_out: Literal["none", "row", "family"] = "none",
    watched: Callable[[Sequence[Point]], Iterable[Point]] = iter,
) -> list[ReportRow]:
    """Returns every row of a sample, unused ones too, in the order used, then unused.

    Args:
        sample: of one quantity and formula.
        fitted: the fit of its points.
        left_out: predict each used row by the fit of all, by one without it, or by one without its family.
        watched: goes through the used rows; a progress bar's, since each may take seconds.
    """
    rows = []
    refits: dict[str, Fitted] = {}  # what is left out -> the fit without it
    for point in watched(sample.points):
        key = point.measurement.family if left_out == "family" else point.measurement.id
        rest = tuple(other for other in sample.points if not _goes_with(other, point, left_out))
        if left_out != "none" and not rest:
            rows.append(replace(_unpriced(point.measurement, sample), used=True, reason=NOTHING_LEFT))
            continue
        if left_out != "none" and key not in refits:
            # the sample's set-ups stay: one of this row alone falls back on its prior
            refits[key] = fit(replace(sample, points=rest), fitted.estimate.coefficients)
        rows.append(_row(sample, point, refits.get(key, fitted)))
    for unused in sample.unused:
        measurement = unused.measurement
        if unused.point is not None and measurement.setup in fitted.setups:
            row = _row(sample, unused.point, fitted)
        else:
            row = _unpriced(measurement, sample)
        rows.append(replace(row, used=False, reason=unused.reason))
    return rows


def _unpriced(measurement: Measurement, sample: Sample) -> ReportRow:
    column = sample.model.column
    measured = measurement.measured[column]
    return ReportRow(
        measurement.id, measurement.family, column, measured, None, None, None, "", None, False, ""
    )


def _goes_with(other: Point, point: Point, left_out: str) -> bool:
    if left_out == "family":
        return other.measurement.family == point.measurement.family
    return other is point


def _row(sample: Sample, point: Point, fitted: Fitted) -> ReportRow:
    unit = sample.model.column_unit
    prediction = fitted.predict(point.table, point.measurement.setup, point.work)
    return ReportRow(
        id=point.measurement.id,
        family=point.measurement.family,
        quantity=sample.model.column,
        measured=point.measured / unit,
        predicted=prediction.value / unit,
        low=prediction.low / unit,
        high=prediction.high / unit,
        status=prediction.status,
        error_pct=100 * (prediction.value / point.measured - 1),
        used=True,
        reason="",
    )


def summary(rows: Sequence[ReportRow]) -> dict[str, Any]:
    """Returns how far off the rows' predictions are and how well their intervals hold.

    Returns:
        Mean, mean over families, worst and share within 10 % of |error|, the share of measured figures
        inside their interval and its mean half-width beside the prediction, in per cent; None without rows.
    """
    priced = [row for row in rows if row.error_pct is not None]
    errors = [abs(row.error_pct or 0.0) for row in priced]
    families: dict[str, list[float]] = {}
    for row, error in zip(priced, errors, strict=True):
        families.setdefault(row.family, []).append(error)
    inside = [(row.low or 0) <= (row.measured or 0) <= (row.high or 0) for row in priced]
    halves = [50 * ((row.high or 0) - (row.low or 0)) / (row.predicted or 1) for row in priced]
    return {
        "rows": len(rows),
        "mape_pct": _mean(errors),
        "family_mean_pct": _mean([mean(values) for values in families.values()]),
        "worst_pct": max(errors, default=None),
        "within_10_pct": _mean([100.0 * (error <= WITHIN_PCT) for error in errors]),
        "interval_coverage_pct": _mean([100.0 * hit for hit in inside]),
        "interval_half_width_pct": _mean(halves),
    }


def _mean(values: Sequence[float]) -> float | None:
    return mean(values) if values else None


def leave_one_out_errors(sample: Sample) -> dict[str, float]:
    """Returns predicted / measured - 1 of every used row, by a fit without it (no intervals: quick)."""
    errors = {}
    for point in sample.points:
        rest = [other for other in sample.points if other is not point]
        estimate = Estimate.of(sample.model, sample.setups, rest)
        errors[point.measurement.id] = exp(log_error(sample.model, point, estimate.coefficients)) - 1
    return errors
