"""Rows in and out of the store's tables, many at a time through Arrow."""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from .events import Event, TrialEvent, TrialKey
from .rows import KEY_FIELDS, Row, Rows
from .schema import columns_of

_LOG = logging.getLogger(__name__)

_ARROW_TYPES = {
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "UTC"),
}


def load(connection: duckdb.DuckDBPyConnection, events: Sequence[Event]) -> Rows:
    """Returns the stored rows that the events touch."""
    studies = {event.study for event in events}
    of_trials = [event for event in events if isinstance(event, TrialEvent)]
    keys = {event.key for event in of_trials if event.key is not None}
    names = {(event.study, event.trial) for event in of_trials if event.key is None}
    rows = Rows()
    for row in _matching(connection, "study_rows", ("study",), [(name,) for name in studies]):
        rows.studies[row["study"]] = row
    rows.load_trials(_matching(connection, "trial_rows", KEY_FIELDS, keys))
    rows.load_trials(_matching(connection, "trial_rows", ("study", "trial"), names))
    return rows


def _matching(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], values: Iterable[tuple]
) -> list[Row]:
    """Returns the rows of a table whose columns have one of the values."""
    wanted = [dict(zip(columns, value, strict=True)) for value in values]
    if not wanted:
        return []
    with _registered(connection, table, columns, wanted):
        found = connection.sql(f"SELECT t.* FROM {table} t SEMI JOIN incoming USING ({', '.join(columns)})")
        return found.to_arrow_table().to_pylist()  # DuckDB's own rows need pytz for a moment


def write(connection: duckdb.DuckDBPyConnection, rows: Rows) -> None:
    """Writes the rows over those of the same key; the steps of a trial are replaced as a whole."""
    _upsert(connection, "study_rows", rows.studies.values())
    _upsert(connection, "trial_rows", rows.trials.values())
    _delete_steps(connection, rows.steps)
    _upsert(connection, "step_rows", (step for steps in rows.steps.values() for step in steps))
    _upsert(connection, "test_look_rows", rows.looks.values())


def _upsert(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Row]) -> None:
    listed = list(rows)
    if not listed:
        return
    columns = list(_column_types(connection, table))
    with _registered(connection, table, columns, listed):
        connection.execute(f"INSERT OR REPLACE INTO {table} BY NAME SELECT * FROM incoming")


def _delete_steps(connection: duckdb.DuckDBPyConnection, keys: Iterable[TrialKey]) -> None:
    wanted = [dict(zip(KEY_FIELDS, key, strict=True)) for key in keys]
    if not wanted:
        return
    with _registered(connection, "step_rows", KEY_FIELDS, wanted):
        using = " AND ".join(f"step_rows.{name} = incoming.{name}" for name in KEY_FIELDS)
        connection.execute(f"DELETE FROM step_rows USING incoming WHERE {using}")


@contextmanager
def _registered(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Iterable[str],
    rows: Sequence[Row],
) -> Iterator[None]:
    """Lets statements see the rows as `incoming`, with the types of the table's columns."""
    types = _column_types(connection, table)
    schema = pa.schema([(column, types[column]) for column in columns])
    arrays = [_array([row.get(column.name) for row in rows], column.type) for column in schema]
    connection.register("incoming", pa.Table.from_arrays(arrays, schema=schema))
    try:
        yield
    finally:
        connection.unregister("incoming")


def _column_types(connection: duckdb.DuckDBPyConnection, table: str) -> dict[str, pa.DataType]:
    columns = columns_of(connection, table)
    return {name: _ARROW_TYPES.get(kind, pa.string()) for name, (kind, _) in columns.items()}


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    # Arrow would cut 7.6 to 7.
    if not pa.types.is_integer(kind) or all(value is None or type(value) is int for value in values):
        try:
            return pa.array(values, kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            pass  # one of them needs the slow way
    return pa.array([_coerced(value, kind) for value in values], kind)


def _coerced(value: Any, kind: pa.DataType) -> Any:
    """Returns the value as the column holds it; None for what it cannot hold."""
    if value is None:
        return None
    try:
        if pa.types.is_string(kind):
            return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        if pa.types.is_integer(kind):
            return _within(round(value), kind.bit_width)
        if pa.types.is_floating(kind):
            return float(value)
        return pa.scalar(value, kind).as_py()
    except (TypeError, ValueError, OverflowError):
        _LOG.warning("the store cannot hold %r as %s", value, kind)
        return None


def _within(value: int, bits: int) -> int:
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise OverflowError
    return value
