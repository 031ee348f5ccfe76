"""A CSV file of models and their metrics, and which of its columns take which weight of the ranking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from ...spaces.outside.csv_table import CsvRow, CsvTable, read_csv
from .ranking import COLUMNS, ROLES, RankedColumn, Ranking, Role, rank_models

_BY_NAME: dict[str, RankedColumn] = {column.name: column for column in COLUMNS}


#: least figure by role: what takes up time or room takes up some; a score may lie anywhere
_ABOVE: dict[Role, float] = {"compression": 0.0, "time": 0.0, "memory": 0.0}
_LEAST: dict[Role, float] = {"cost": 0.0}


@dataclass(frozen=True)
class ModelTable:
    """What a CSV file says of models.

    Args:
        table: the file.
        names: the models: the first column, unique.
    """

    table: CsvTable
    names: tuple[str, ...]

    @property
    def source(self) -> str:
        """The file, for messages."""
        return self.table.source

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns but the models' names."""
        return self.table.columns[1:]

    @property
    def metrics(self) -> tuple[RankedColumn, ...]:
        """The columns that the ranking knows, in the order of `COLUMNS`."""
        return tuple(column for column in COLUMNS if column.name in self.columns)

    def numbers(self, column: str) -> list[float]:
        """Returns a metric's cells as numbers.

        Raises:
            AtollError: a cell is no number that the metric can be, with its line, model and column.
        """
        role = _BY_NAME[column].role
        rows = zip(self.table.rows, self.names, strict=True)
        named = [CsvRow(f"{row.place}, model {name!r}", row.cells) for row, name in rows]
        return [row.number(column, above=_ABOVE.get(role), least=_LEAST.get(role)) for row in named]


def read_model_table(path: Path) -> ModelTable:
    """Reads a CSV file with a header, one model a row, its name in the first column.

    Raises:
        AtollError: as `read_csv`; there are no models, or a model's name is missing or given twice.
    """
    table = read_csv(path)
    if not table.rows:
        raise AtollError(f"{path} has a header but no models: expected one model a row below it")
    first = table.columns[0]
    names: dict[str, None] = {}
    for row in table.rows:
        name = row.cells[first]
        if not name:
            raise AtollError(f"{row.place}: the model has no name in column {first!r}")
        if name in names:
            raise AtollError(f"{row.place}: model {name!r} is there twice")
        names[name] = None
    return ModelTable(table, tuple(names))


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
        target = name if name in table.columns else _stand_in(table, _BY_NAME[name])
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
            f"{table.source} has no metric columns (found {', '.join(table.columns) or 'none'}): "
            f"known are {', '.join(_BY_NAME)}"
        )
    return table.metrics


def _stand_in(table: ModelTable, column: RankedColumn) -> str | None:
    if column.role != "compression":
        return None
    return next((other.name for other in table.metrics if other.role == "compression"), None)
