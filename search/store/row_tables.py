"""Rows in and out of the store's tables, many at a time: events folded, rows of Arrow put in."""

import json
import logging
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import duckdb
import pyarrow as pa

from ...spaces.errors import AtollError
from .answer import first_paragraph
from .events import Event, TrialEvent, TrialKey
from .journal_backend import JournalBackend
from .rows import KEY_FIELDS, Row, Rows
from .schema import TABLES, columns_of

_LOG = logging.getLogger(__name__)

_TEXT = "VARCHAR"  # JSON is a text on its way
_PYTHON_TYPES = {
    _TEXT: str,
    "BIGINT": int,
    "INTEGER": int,
    "DOUBLE": float,
    "BOOLEAN": bool,
    "TIMESTAMP WITH TIME ZONE": datetime,
}
_BITS = {"BIGINT": 64, "INTEGER": 32}
_BATCH_EVENTS = 20_000  # bounds the memory of a fold: about 100 MB
_BULK = tuple(name for name in TABLES if name != "journal_state")  # that one is the fold's own


def fold(connection: duckdb.DuckDBPyConnection, journal: JournalBackend) -> None:
    """Makes rows of what the journal has beyond the tables, each batch with its offset in one transaction.

    Args:
        connection: open for writing, in the database of the tables.
        journal: theirs, or another one, which then is folded from its beginning.
    """
    while True:
        offset = folded_offset(connection, journal)
        events, end = journal.read(offset, limit=_BATCH_EVENTS)
        if end == offset:
            return
        connection.begin()
        rows = load(connection, events)
        for event in events:
            rows.apply(event)
        write(connection, rows)
        connection.execute("DELETE FROM journal_state")
        connection.execute("INSERT INTO journal_state VALUES (?, ?)", [journal.fingerprint(), end])
        connection.commit()


def folded_offset(connection: duckdb.DuckDBPyConnection, journal: JournalBackend) -> int:
    """Returns up to where this journal is folded: 0 if the tables were folded from another one."""
    for fingerprint, offset in connection.execute("FROM journal_state").fetchall():
        is_same = offset <= journal.size_bytes() and fingerprint == journal.fingerprint()
        if is_same and journal.is_line_start(offset):
            return int(offset)
    return 0


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
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], values: Collection[tuple]
) -> list[Row]:
    """Returns the rows of a table whose columns have one of the values."""
    # A new store has no rows, and to look for some takes a tenth of the fold of 5,000 trials.
    if not values or not connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchall():
        return []
    wanted = [dict(zip(columns, value, strict=True)) for value in values]
    incoming, lists = _incoming(connection, table, columns, wanted)
    found = connection.sql(
        f"SELECT t.* FROM {table} t SEMI JOIN ({incoming}) USING ({', '.join(columns)})", params=lists
    )
    return found.to_arrow_table().to_pylist()  # DuckDB's own rows need pytz for a moment


def write(connection: duckdb.DuckDBPyConnection, rows: Rows) -> None:
    """Writes the rows over those of the same key; the steps of a trial are replaced as a whole."""
    _upsert(connection, "study_rows", rows.studies.values())
    _upsert(connection, "trial_rows", rows.trials.values())
    _delete_steps(connection, rows.steps)
    _upsert(connection, "step_rows", (step for steps in rows.steps.values() for step in steps))
    _upsert(connection, "test_look_rows", rows.looks.values())


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table | pa.RecordBatchReader) -> None:
    """Writes rows of Arrow into a table in one transaction, over those of the same key.

    Args:
        connection: open for writing, in the store.
        table: of schema.sql.
        rows: columns by the table's names; those that it has besides become null.

    Raises:
        AtollError: no such table or column, or a value that it cannot hold; nothing is written then.
    """
    if table not in _BULK:
        raise AtollError(f"got the table {table!r:.80}, rows go into one of: {', '.join(_BULK)}")
    unknown = set(rows.schema.names) - columns_of(connection, table, "").keys()
    if unknown:
        raise AtollError(f"the table {table} has no column {min(unknown)!r:.80}")
    connection.register("incoming", rows)
    try:
        connection.execute(f"INSERT OR REPLACE INTO {table} BY NAME FROM incoming")
    except (duckdb.ConstraintException, duckdb.ConversionException, duckdb.InvalidInputException) as error:
        raise AtollError(f"rows for the table {table}: {first_paragraph(error)}") from error
    finally:
        connection.unregister("incoming")


def _upsert(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Row]) -> None:
    listed = list(rows)
    if not listed:
        return
    incoming, lists = _incoming(connection, table, columns_of(connection, table, ""), listed)
    connection.execute(f"INSERT OR REPLACE INTO {table} BY NAME {incoming}", lists)


def _delete_steps(connection: duckdb.DuckDBPyConnection, keys: Iterable[TrialKey]) -> None:
    wanted = [dict(zip(KEY_FIELDS, key, strict=True)) for key in keys]
    if not wanted:
        return
    incoming, lists = _incoming(connection, "step_rows", KEY_FIELDS, wanted)
    using = " AND ".join(f"step_rows.{name} = incoming.{name}" for name in KEY_FIELDS)
    connection.execute(f"DELETE FROM step_rows USING ({incoming}) AS incoming WHERE {using}", lists)


def _incoming(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Iterable[str], rows: Sequence[Row]
) -> tuple[str, list[list[Any]]]:
    """Returns a SELECT of the rows in the types of the table's columns, and the values of its `?`.

    A list a column: DuckDB takes lists about as fast as Arrow's tables, and making these of Python's values
    would import pandas, which takes as long as 2,000 trials.
    """
    types = columns_of(connection, table, "")
    told = set().union(*rows)  # of the others no row has a value
    words, lists = [], []
    for name in columns:
        kind = types[name][0] if types[name][0] in _PYTHON_TYPES else _TEXT
        values = _held(_values(rows, name), kind) if name in told else None
        if values is not None:
            words.append(f"unnest(?::{kind}[]) AS {name}")
            lists.append(values)
        else:
            words.append(f"NULL::{kind} AS {name}")
    return f"SELECT {', '.join(words)}", lists


def _values(rows: Sequence[Row], name: str) -> list[Any]:
    """Returns the rows' values of a name, None where one has none."""
    try:
        return list(map(itemgetter(name), rows))  # without a call of Python's a row
    except KeyError:
        return [row.get(name) for row in rows]


def _held(values: list[Any], kind: str) -> list[Any] | None:
    """Returns the values as a column holds them, None for what it cannot hold; None where nothing is left."""
    found = set(map(type, values)) - {type(None)}
    if found <= {_PYTHON_TYPES[kind]} and (kind not in _BITS or _fit(values, _BITS[kind])):
        return values if found else None
    coerced = [_coerced(value, kind) for value in values]
    return coerced if any(value is not None for value in coerced) else None


def _fit(values: Sequence[int | None], bits: int) -> bool:
    known = [value for value in values if value is not None]
    bound = 2 ** (bits - 1)
    return not known or (-bound <= min(known) and max(known) < bound)


def _coerced(value: Any, kind: str) -> Any:
    if value is None:
        return None
    try:
        if kind == _TEXT:
            return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        if kind in _BITS:
            if _fit([whole := round(value)], _BITS[kind]):
                return whole
        elif kind == "DOUBLE":
            return float(value)
        elif type(value) is _PYTHON_TYPES[kind]:
            return value
    except (TypeError, ValueError, OverflowError):
        pass
    _LOG.warning("the store cannot hold %r as %s", value, kind)
    return None
