"""How well a fit predicts: one line a row and quantity, and the summary."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp
from typing import Any

from .calibration import Point, Sample, fit, fit_coefficients, log_error
from .fitted import Fitted

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


def report_rows(sample: Sample, fitted: Fitted, leave_one_out: bool = False) -> list[ReportRow]:
    """Returns every row of a sample, unused ones too, in the order used, then unused.

    Args:
        sample: of one quantity.
        fitted: the fit of its points.
        leave_one_out: predict each used row by a fit without it.
    """
    rows = []
    for point in sample.points:
        rest = [other for other in sample.points if other is not point]
        if leave_one_out and rest:
            # the sample's set-ups stay: one of this row alone falls back on its prior
            rows.append(_row(sample, point, fit(replace(sample, points=tuple(rest)))))
        else:
            rows.append(_row(sample, point, fitted))
    for unused in sample.unused:
        measurement, column = unused.measurement, sample.model.column
        if unused.point is not None and measurement.setup in fitted.setups:
            row = _row(sample, unused.point, fitted)
        else:
            measured = measurement.measured[column]
            row = ReportRow(
                measurement.id, measurement.family, column, measured, None, None, None, "", None, False, ""
            )
        rows.append(replace(row, used=False, reason=unused.reason))
    return rows


def _fit(sample: Sample, points: Sequence[Point]) -> dict[str, float]:
    return fit_coefficients(sample.model, sample.setups, points)


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
    """Returns the error figures over the used rows: mean, mean over families, worst, share within 10 %."""
    errors = {row.id: abs(row.error_pct) for row in rows if row.used and row.error_pct is not None}
    families: dict[str, list[float]] = {}
    for row in rows:
        if row.id in errors:
            families.setdefault(row.family, []).append(errors[row.id])
    means = [sum(values) / len(values) for values in families.values()]
    count = len(errors)
    return {
        "rows": len(rows),
        "used": count,
        "mape_pct": sum(errors.values()) / count,
        "family_mean_pct": sum(means) / len(means),
        "worst_pct": max(errors.values()),
        "within_10_pct": 100 * sum(error <= WITHIN_PCT for error in errors.values()) / count,
    }


def leave_one_out_errors(sample: Sample) -> dict[str, float]:
    """Returns predicted / measured - 1 of every used row, by a fit without it (no intervals: quick)."""
    errors = {}
    for point in sample.points:
        rest = [other for other in sample.points if other is not point]
        errors[point.measurement.id] = exp(log_error(sample.model, point, _fit(sample, rest))) - 1
    return errors
