"""The rows that the store gives are what their types say: the columns of the views, in order and by type."""

import sys
import types
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args, get_type_hints

import duckdb
import pyarrow as pa
import pytest
from atoll.evaluators.ranking.leaderboard import leaderboard, nearest_miss
from atoll.search.store import schema
from atoll.search.store.store import Store, plain_rows
from atoll.search.store.stored_rows import (
    JSON_COLUMNS,
    LeaderboardRow,
    RecipeRow,
    StepRow,
    StudyRow,
    TrialRow,
    stored_value,
)
from atoll.spaces.errors import AtollError
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


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Returns a store of two trials."""
    found = Store(tmp_path / "a.duckdb")
    columns = {
        "study": ["s", "s"],
        "recipe_digest": ["a", "b"],
        "seed": [0, 0],
        "epochs_per_step": [1.0, 1.0],
        "trial": ["t1", "t2"],
        "recipe": ["binarize", "distill"],
        "status": ["finished", "failed"],
        "quality": [0.5, None],
        "started_at": [datetime(2026, 11, 5, tzinfo=UTC), None],
        "metrics": ['{"quality": 0.5}', None],
    }
    found.insert("trial_rows", pa.table(columns))
    return found


def test_rows_are_a_table_of_arrow_and_of_pandas_too(store: Store) -> None:
    pytest.importorskip("pandas")
    rows = store.trials()
    assert rows[0]["metrics"] == {"quality": 0.5}
    assert rows.arrow().column("quality").to_pylist() == [0.5, None]
    frame = rows.df()
    assert list(frame.columns) == rows.arrow().column_names == list(rows[0])
    assert frame["trial"].tolist() == ["t1", "t2"]
    assert frame["quality"].isna().tolist() == [False, True]
    assert frame["started_at"][0].isoformat() == "2026-11-05T00:00:00+00:00"
    assert frame["metrics"][0] == '{"quality": 0.5}'


def test_polars_is_given_the_table(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a double: polars is no dependency."""

    class DataFrame:
        def __init__(self, table: pa.Table) -> None:
            self.table = table

    monkeypatch.setitem(
        sys.modules, "polars", types.SimpleNamespace(DataFrame=DataFrame, from_arrow=DataFrame)
    )
    rows = store.trials()
    assert rows.pl().table is rows.arrow()


@pytest.mark.parametrize(("package", "call"), [("pandas", "df"), ("polars", "pl")])
def test_a_package_that_is_not_there_is_one_sentence(
    store: Store, monkeypatch: pytest.MonkeyPatch, package: str, call: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(AtollError, match=f"{package} is not installed: .pip install {package}., or take"):
        getattr(store.trials(), call)()


def test_values_and_their_types_are_those_that_arrow_gives_cell_by_cell() -> None:
    moment = datetime(2026, 11, 27, tzinfo=UTC)
    columns: dict[str, pa.Array] = {
        "whole": pa.array([1, 2, 3], pa.int32()),
        "real": pa.array([0.5, float("inf"), -0.0]),
        "gap": pa.array([1, None, 3]),
        "none": pa.nulls(3, pa.float64()),
        "flag": pa.array([True, False, True]),
        "text": pa.array(["a", None, "c"]),
        "texts": pa.array(["a", "", "bc"]),
        "empty": pa.array(["", "", ""]),
        "long characters": pa.array(["ä", "b", "\U0001f600c"]),
        "moment": pa.array([moment, None, moment]),
        "map": pa.array([{"a": "1"}, {}, None], pa.map_(pa.string(), pa.string())),
    }
    table = pa.concat_tables([pa.table(columns), pa.table(columns).slice(1, 1)])
    rows, expected = plain_rows(table), table.to_pylist(maps_as_pydicts="strict")
    assert rows == expected
    assert [[type(value) for value in row.values()] for row in rows] == [
        [type(value) for value in row.values()] for row in expected
    ]
    assert plain_rows(table.slice(0, 0)) == []


def test_a_json_column_may_have_spaces_around_its_value_and_nothing_else() -> None:
    place = Path("s.duckdb")
    assert stored_value("metrics", ' {"macs": 1}\n', place) == {"macs": 1}
    for text in ('{"macs": 1} 2', '{"macs": 1},', "\u00a01", ""):
        with pytest.raises(AtollError, match="column metrics holds no JSON"):
            stored_value("metrics", text, place)
