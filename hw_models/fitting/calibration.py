"""Sorts measurements into what a fit uses and what it does not, and fits a device's cost models to them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...spaces.errors import AtollError
from ..formulas.cost_model import CostModel
from ..formulas.setup import Setup
from ..tables.layer_table import LayerTable
from .coverage import Coverage
from .estimate import Estimate, Point, log_error
from .fitted import Fitted, LeftOut
from .measured_table import measured_table
from .measurements import Measurement


@dataclass(frozen=True)
class Unused:
    """One row that a fit does not use, and why; it has a point where it can be priced all the same."""

    measurement: Measurement
    reason: str
    point: Point | None


@dataclass(frozen=True)
class Sample:
    """Every row of a file for one formula: used or not, none dropped.

    Args:
        model: the formula.
        setups: of the used rows, the one that others are compared with first.
        points, unused: the rows.
    """

    model: CostModel
    setups: tuple[Setup, ...]
    points: tuple[Point, ...]
    unused: tuple[Unused, ...]


def priced_tables(rows: Iterable[Measurement]) -> dict[str, LayerTable | str]:
    """Returns the layer table of every row by id, or the reason why there is none."""
    found: dict[str, LayerTable | str] = {}
    for row in rows:
        try:
            found[row.id] = measured_table(row)
        except AtollError as error:
            found[row.id] = str(error)
    return found


def sample(
    model: CostModel,
    rows: Sequence[Measurement],
    tables: Mapping[str, LayerTable | str],
    setups: Sequence[Setup],
    excluded: Sequence[str] = (),
) -> Sample:
    """Sorts rows into those that a fit uses and those that it does not.

    Args:
        model: the formula.
        rows: of set-ups that it prices.
        tables: of `priced_tables`.
        setups: the first one is compared with: others get coefficients of their own.
        excluded: ids that are left out by the user's wish.

    Raises:
        AtollError: where no row is left.
    """
    points, unused = [], []
    for row in rows:
        value, table = row.measured[model.column], tables[row.id]
        point = None
        if value is not None and isinstance(table, LayerTable):
            work = model.work(table, _own_file_bytes(row, table))
            point = Point(row, value * model.column_unit, table, work)
        reason = _reason(row, model, table, excluded)
        if reason is None and point is not None:
            points.append(point)
        else:
            unused.append(Unused(row, reason or "", point))
    if not points:
        why = "; ".join(f"{one.measurement.id}: {one.reason}" for one in unused[:3])
        raise AtollError(f"{model.column}: no row is left to fit, one at least must be usable ({why})")
    known = {point.measurement.setup for point in points}
    return Sample(model, tuple(s for s in setups if s.name in known), tuple(points), tuple(unused))


def _own_file_bytes(row: Measurement, table: LayerTable) -> int | None:
    """The measured file's size; one smaller than its weights is of a packed file, which no runtime loads."""
    return row.file_bytes if row.file_bytes is not None and row.file_bytes >= table.weight_bytes else None


def _reason(
    row: Measurement, model: CostModel, table: LayerTable | str, excluded: Sequence[str]
) -> str | None:
    if row.measured[model.column] is None:
        return "not measured"
    if row.id in excluded:
        return "excluded by --exclude"
    if model.column in row.doubts:
        return row.doubts[model.column]
    if isinstance(table, str):
        return table
    unknown = model.unknown(table)
    return f"unknown operation: {', '.join(unknown)}" if unknown else None


def fit(sample: Sample, near: Mapping[str, float] | None = None) -> Fitted:
    """Fits one formula and, for its interval, once more without each group of repeats.

    Args:
        sample: the measurements.
        near: coefficients of nearly the same fit; see `Estimate.of`.
    """
    model, setups = sample.model, sample.setups
    best = Estimate.of(model, setups, sample.points, near)
    left_out = []
    for group in groups(sample.points):
        rest = [point for point in sample.points if point not in group]
        estimate = Estimate.of(model, setups, rest, best.coefficients)
        first = group[0]
        spread = estimate.spread(model, first.work, first.measurement.setup, first.table.surrogate)
        residual = max(abs(log_error(model, point, estimate.coefficients)) for point in group)
        ids = tuple(point.measurement.id for point in group)
        left_out.append(LeftOut(ids, estimate.coefficients, residual / spread))
    coverage = Coverage.of(point.table for point in sample.points)
    names = tuple(setup.name for setup in setups)
    return Fitted(model, names, best, tuple(left_out), coverage)


def groups(points: Sequence[Point]) -> list[list[Point]]:
    """Returns the points in groups of repeats: one set-up, one network."""
    found: list[list[Point]] = []
    for point in points:
        for group in found:
            if _repeats(group[0], point):
                group.append(point)
                break
        else:
            found.append([point])
    return found


def _repeats(one: Point, other: Point) -> bool:
    return (one.measurement.setup, one.table.rows) == (other.measurement.setup, other.table.rows)
