"""A CSV file of models and their metrics, and which of its columns take which weight of the ranking."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..spaces.errors import AtollError
from ..spaces.nearest import known_names
from .ranking import COLUMNS, ROLES, RankedColumn, Ranking, Role, rank_models

_BY_NAME: dict[str, RankedColumn] = {column.name: column for column in COLUMNS}


@dataclass(frozen=True)
class ModelTable:
    """What a CSV file says, as text.

    Args:
        source: the file, for messages.
        names: the models: the first column, unique.
        cells: per further column its cells, one a model.
        lines: line in the file of each model, counted from 1.
    """

    source: str
    names: tuple[str, ...]
    cells: dict[str, tuple[str, ...]]
    lines: tuple[int, ...]

    @property
    def metrics(self) -> tuple[RankedColumn, ...]:
        """The columns that the ranking knows, in the order of `COLUMNS`."""
        return tuple(column for column in COLUMNS if column.name in self.cells)

    def numbers(self, column: str) -> list[float]:
        """Returns a column's cells as numbers.

        Raises:
            AtollError: a cell is not a number, with its line, model and column.
        """
        return [self._number(column, position) for position in range(len(self.names))]

    def _number(self, column: str, position: int) -> float:
        text = self.cells[column][position]
        place = (
            f"{self.source}, line {self.lines[position]}, model {self.names[position]!r}, column {column!r}"
        )
        try:
            number = float(text)
        except ValueError:
            got = f"{text!r} is not a number" if text.strip() else "the cell is empty"
            raise AtollError(f"{place}: {got}") from None
        if not abs(number) < float("inf"):
            raise AtollError(f"{place}: {text!r} is not a finite number")
        return number


def read_model_table(path: Path) -> ModelTable:
    """Reads a CSV file with a header, one model a row, its name in the first column.

    Raises:
        AtollError: the file is missing, unreadable or empty, a row has too many or too few cells, a model's
            or a column's name is missing or given twice.
    """
    source = str(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not a CSV file in UTF-8 ({error})"
        raise AtollError(f"{source}: {reason}") from error
    rows = [(line, row) for line, row in rows if any(row)]
    if not rows:
        raise AtollError(f"{source} is empty: expected a header line and one model a row")
    (_, header), models = rows[0], rows[1:]
    if not models:
        raise AtollError(f"{source} has a header but no models: expected one model a row below it")
    _refuse_repeats(f"{source}, header: column", header)
    for line, row in models:
        if len(row) != len(header):
            raise AtollError(f"{source}, line {line}: {len(row)} cells, the header has {len(header)}")
        if not row[0]:
            raise AtollError(f"{source}, line {line}: the model has no name in column {header[0]!r}")
    names = [row[0] for _, row in models]
    _refuse_repeats(f"{source}: model", names)
    return ModelTable(
        source=source,
        names=tuple(names),
        cells={name: tuple(row[i] for _, row in models) for i, name in enumerate(header) if i > 0},
        lines=tuple(line for line, _ in models),
    )


def rank_table(
    table: ModelTable, weights: Mapping[str, float], scoring: str, scoring_of: Mapping[str, str] | None = None
) -> Ranking:
    """Ranks the models of a table by the weighted columns, see `rank_models`."""
    for name in scoring_of or {}:
        if name not in weights:
            raise AtollError(f"--score names {name!r}, which has no weight: {known_names(name, weights)}")
    return rank_models(
        values={name: table.numbers(name) for name, weight in weights.items() if weight > 0},
        weights={name: weight for name, weight in weights.items() if weight > 0},
        higher_is_better={name: _BY_NAME[name].higher_is_better for name in weights},
        scoring=scoring,
        scoring_of={name: rule for name, rule in (scoring_of or {}).items() if weights[name] > 0},
    )


def column_weights(table: ModelTable, weights: Mapping[str, float]) -> dict[str, float]:
    """Gives weights that name columns to the table's columns.

    A weight for a compression ratio goes to the size where the table has a size and no ratio, and the
    reverse.

    Raises:
        AtollError: a name that the ranking does not know, or a metric that the table does not have.
    """
    given: dict[str, float] = {}
    for name, weight in weights.items():
        if name not in _BY_NAME:
            raise AtollError(f"unknown metric {name!r}: {known_names(name, _BY_NAME)}")
        target = name if name in table.cells else _stand_in(table, _BY_NAME[name])
        if target is None or (target != name and target in weights):
            have = ", ".join(column.name for column in _known(table))
            raise AtollError(f"{table.source} has no column {name!r}: its metric columns are {have}")
        if target in given:
            raise AtollError(f"two weights fall on {target!r}: name it once")
        given[target] = weight
    return given


def role_weights(table: ModelTable, weights: Mapping[Role, float]) -> tuple[dict[str, float], list[str]]:
    """Gives a profile's weights to the table's columns.

    Returns:
        weight per column, and one sentence for each weight that no column takes or column that takes none.

    Raises:
        AtollError: no metric columns, or two columns for one role that differ in more than size and ratio.
    """
    given: dict[str, float] = {}
    notes: list[str] = []
    known = _known(table)
    for role in ROLES:
        columns = [column.name for column in known if column.role == role]
        if not columns:
            notes.append(f"no column for {role}: its weight {weights[role]:g} is left out")
            continue
        if len(columns) > 1:
            if role != "compression":
                raise AtollError(f"{table.source}: {' and '.join(columns)} are both {role}; use --weights")
            notes.append(f"{columns[0]} takes the weight for compression, {', '.join(columns[1:])} none")
        given[columns[0]] = weights[role]
    return given, notes


def _known(table: ModelTable) -> Sequence[RankedColumn]:
    if not table.metrics:
        raise AtollError(
            f"{table.source} has no metric columns (found {', '.join(table.cells) or 'none'}): "
            f"known are {', '.join(_BY_NAME)}"
        )
    return table.metrics


def _stand_in(table: ModelTable, column: RankedColumn) -> str | None:
    if column.role != "compression":
        return None
    return next((other.name for other in table.metrics if other.role == "compression"), None)


def _refuse_repeats(what: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise AtollError(f"{what} {name!r} is there twice")
        seen.add(name)
