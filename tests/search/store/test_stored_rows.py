"""The rows that the store gives are what their types say: the columns of the views, in order and by type."""

from datetime import datetime
from typing import get_args, get_type_hints

import duckdb
import pytest
from atoll.evaluators.ranking.leaderboard import leaderboard, nearest_miss
from atoll.search.store import schema
from atoll.search.store.stored_rows import (
    JSON_COLUMNS,
    LeaderboardRow,
    RecipeRow,
    StepRow,
    StudyRow,
    TrialRow,
)
from atoll.testing.figures import made_up_metrics

# DuckDB's types -> what Python has of them
TYPES = {
    "VARCHAR": str,
    "BIGINT": int,
    "INTEGER": int,
    "DOUBLE": float,
    "BOOLEAN": bool,
    "TIMESTAMP WITH TIME ZONE": datetime,
    "MAP(VARCHAR, VARCHAR)": dict[str, str],
}


@pytest.mark.parametrize(
    ("view", "row"), [("studies", StudyRow), ("trials", TrialRow), ("steps", StepRow)], ids=str
)
def test_a_row_has_the_columns_of_its_view(view: str, row: type) -> None:
    with duckdb.connect() as connection:
        schema.create(connection, "memory")
        found = connection.execute(f"DESCRIBE SELECT * FROM memory.main.{view}").fetchall()
    columns = {name: kind for name, kind, *_ in found}
    hints = get_type_hints(row)
    assert list(hints) == list(columns)
    for name, hint in hints.items():
        if name not in JSON_COLUMNS:
            assert TYPES[columns[name]] in (hint, *get_args(hint)), name


def test_a_leaderboard_adds_what_its_rows_say() -> None:
    empty = dict.fromkeys(get_type_hints(TrialRow))
    baseline = made_up_metrics().to_json()
    trial = {**empty, **baseline, "recipe": "binarize", "status": "finished", "model_bytes": 10}
    for row in leaderboard([trial], {**empty, **baseline}, constraints=()):
        assert row.keys() == get_type_hints(LeaderboardRow).keys()
    missed = nearest_miss([trial | {"quality": 0.0}], baseline)
    assert missed is not None and missed.keys() == get_type_hints(RecipeRow).keys()
