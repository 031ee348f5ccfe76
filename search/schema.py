"""The version of the store's tables, and how an older store becomes a newer one."""

from pathlib import Path

import duckdb

from ..spaces.errors import AtollError

SCHEMA_VERSION = 3
# (version, SQL that leads to it from the version before), oldest first. schema.sql runs after the last:
# it makes what is not there and renews the views.
MIGRATIONS: tuple[tuple[int, str], ...] = (
    (
        2,  # what the device `host` predicts for a finalist's file, beside what was measured
        """
        ALTER TABLE trial_rows ADD COLUMN IF NOT EXISTS latency_host_ms DOUBLE;
        ALTER TABLE trial_rows ADD COLUMN IF NOT EXISTS latency_host_ms_low DOUBLE;
        ALTER TABLE trial_rows ADD COLUMN IF NOT EXISTS latency_host_ms_high DOUBLE;
        ALTER TABLE trial_rows ADD COLUMN IF NOT EXISTS latency_host_status VARCHAR;
        ALTER TABLE trial_rows ADD COLUMN IF NOT EXISTS peak_memory_host_bytes BIGINT;
        ALTER TABLE trial_rows ADD COLUMN IF NOT EXISTS peak_memory_host_bytes_low BIGINT;
        ALTER TABLE trial_rows ADD COLUMN IF NOT EXISTS peak_memory_host_bytes_high BIGINT;
        ALTER TABLE trial_rows ADD COLUMN IF NOT EXISTS peak_memory_host_status VARCHAR;
        ALTER TABLE trial_rows ADD COLUMN IF NOT EXISTS peak_memory_host_bytes_measured BIGINT;
        """,
    ),
    (
        3,  # the Edge TPU's pre-check
        "ALTER TABLE trial_rows ADD COLUMN IF NOT EXISTS edge_tpu_mappable DOUBLE;",
    ),
)


def migrate(connection: duckdb.DuckDBPyConnection, place: Path) -> None:
    """Brings the tables to this Atoll's version, in one transaction.

    Args:
        connection: open for writing.
        place: the file, for error messages.

    Raises:
        AtollError: see `stored_version`.
    """
    version = stored_version(connection, place)
    if version == SCHEMA_VERSION:
        return
    connection.begin()
    for target, sql in MIGRATIONS:
        if version is not None and version < target:
            connection.execute(sql)
    connection.execute(Path(__file__).with_name("schema.sql").read_text(encoding="utf-8"))
    connection.execute("DELETE FROM schema_version")
    connection.execute("INSERT INTO schema_version VALUES (?)", [SCHEMA_VERSION])
    connection.commit()


def stored_version(connection: duckdb.DuckDBPyConnection, place: Path) -> int | None:
    """Returns the version of the tables, None for a file without tables.

    Args:
        connection: open.
        place: the file, for error messages.

    Raises:
        AtollError: the file is from a newer Atoll, or no store of Atoll at all.
    """
    tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if not tables:
        return None
    if "schema_version" not in tables:
        raise AtollError(
            f"{place} is a DuckDB file, but no store of Atoll (it has no table schema_version): name another "
            f"file with --store"
        )
    [(version,)] = connection.execute("SELECT max(version) FROM schema_version").fetchall()
    if version is not None and version > SCHEMA_VERSION:
        raise AtollError(
            f"the store {place} has schema version {version}, this Atoll supports up to {SCHEMA_VERSION}: "
            f"update Atoll, or name another store with --store"
        )
    return version
