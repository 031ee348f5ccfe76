"""The answer to a user's statement: read-only, within its limits, in types that other tools have."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from ...spaces.errors import AtollError
from ..sql.nearest_name import with_nearest
from .opening import QueryLimits

_ROWS_A_BATCH = 10_000  # so often the size of the answer is looked at
_ANSWER_SHARE = 0.1  # of the memory: rows of Python take about ten times what Arrow does
# What Arrow has not, or not exactly, wherever in a type: as DuckDB writes it.
_AS_TEXT = (
    "UHUGEINT",
    "BIGNUM",
    "INTERVAL",
    "BLOB",
    "BIT",
    "VARIANT",
    "GEOMETRY",
    "TIMESTAMP_NS",
    "TIME WITH",
)
_WHOLE = ("UHUGEINT", "BIGNUM")
_ALLOWED = "one statement that only reads is allowed: SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW or EXPLAIN"


def answer(connection: duckdb.DuckDBPyConnection, sql: str, limits: QueryLimits) -> pa.Table:
    """Answers a user's statement.

    Args:
        connection: of `open_store`.
        sql: one statement that only reads.
        limits: what it may take.

    Returns:
        its rows; whole numbers of every size as decimals, and as text what Arrow has no type for.

    Raises:
        AtollError: the statement does more than read, takes more than the limits, or DuckDB refuses it.
    """
    try:
        with _time_limit(connection, limits.seconds):
            found = connection.sql(_one_read_only_statement(connection, sql))
            return _fetched(connection, found, limits)
    except duckdb.InterruptException as error:
        raise AtollError(_too_slow(limits)) from error
    except duckdb.OutOfMemoryException as error:
        raise AtollError(
            f"SQL: the statement needs more than {limits.memory_mb:g} MB: ask for less at a time, or allow "
            f"more with --memory-limit"
        ) from error
    except duckdb.PermissionException as error:
        raise AtollError(f"SQL: {first_paragraph(error)}: the store alone can be read") from error
    except duckdb.Error as error:
        raise AtollError(f"SQL: {with_nearest(connection, sql, first_paragraph(error))}") from error
    except OSError as error:  # Arrow's word for an error of DuckDB between two batches
        if "Interrupted" in str(error):
            raise AtollError(_too_slow(limits)) from error
        raise AtollError(f"SQL: {first_paragraph(error)}") from error


def first_paragraph(error: Exception) -> str:
    """Returns DuckDB's message on one line, without the statement that it repeats below it."""
    return " ".join(str(error).split("\n\n")[0].split()).rstrip(".")


def _fetched(
    connection: duckdb.DuckDBPyConnection, found: duckdb.DuckDBPyRelation, limits: QueryLimits
) -> pa.Table:
    kinds = [str(kind) for kind in found.types]
    names = list(found.columns)
    if any(word in kind for kind in kinds for word in _AS_TEXT):
        found = found.project(", ".join(_exact(name, kind) for name, kind in zip(names, kinds, strict=True)))
    most_bytes, size, batches = limits.memory_mb * 1e6 * _ANSWER_SHARE, 0, []
    reader = found.to_arrow_reader(_ROWS_A_BATCH)
    for batch in reader:
        size += batch.nbytes
        if size > most_bytes:
            raise AtollError(
                f"SQL: the answer has more than {most_bytes / 1e6:g} MB: ask for fewer rows or columns, or "
                f"allow more with --memory-limit"
            )
        batches.append(batch)
    table = pa.Table.from_batches(batches, reader.schema).rename_columns(names)
    for position, kind in enumerate(kinds):
        if kind in _WHOLE:
            table = table.set_column(position, names[position], _as_decimals(table.column(position)))
    return table


def _exact(name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    return f"CAST({quoted} AS VARCHAR)" if any(word in kind for word in _AS_TEXT) else quoted


def _as_decimals(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return texts.cast(pa.decimal256(76, 0))
    except pa.ArrowInvalid:  # more digits than that
        return texts


@contextmanager
def _time_limit(connection: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _too_slow(limits: QueryLimits) -> str:
    return (
        f"SQL: the statement ran for {limits.seconds:g} s without an end: ask for less, or allow more with "
        f"--time-limit"
    )


def _one_read_only_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise AtollError(f"SQL: got {len(statements)} statements, {_ALLOWED}")
    kind = statements[0].type
    if kind not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        raise AtollError(f"SQL: got a statement of the kind {kind.name}, {_ALLOWED}")
    return statements[0]
