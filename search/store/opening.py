"""The one place that opens stores: a file may be somebody else's, so what lies in it is only ever data.

A store is attached to a database in memory, which is where our statements and the user's run. So neither
views nor macros of the file have a say in what a name means, and before the first statement runs, files,
network, extensions and settings are out of reach for good.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb

STORE, DRAFT = "store", "draft"  # the names of the attached files
MEMORY = "memory"  # DuckDB's name for the database in memory
#: what every DuckDB since 1.2 (February 2025) opens; the default of DuckDB 2 is refused by all before it
STORAGE_VERSION = "v1.2.0"

_CONFIG = {
    "python_enable_replacements": "false",  # no name in a statement may mean a Python variable
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "temp_directory": "",  # nothing spills to the disk either
}


@dataclass(frozen=True)
class QueryLimits:
    """What a user's statement may take.

    Args:
        memory_mb: megabytes that DuckDB may hold; a tenth of it for the answer, which takes about ten times
            its size as rows of Python.
        seconds: from start to the last row.
    """

    # A thousand times the largest study so far, on a machine where a search needs the rest.
    memory_mb: float = 1000.0
    # A ranking over 5,000 trials takes 0.2 s at most (tests/bench/store.py): a minute is a slip of the pen.
    seconds: float = 60.0


def open_store(
    path: Path | None, read_only: bool, draft: Path | None = None, limits: QueryLimits | None = None
) -> duckdb.DuckDBPyConnection:
    """Opens a store, attached as `store` to a database in memory, with everything else out of reach.

    Args:
        path: the file; made if it is not there and is to be written. None attaches none.
        read_only: whether it is only read.
        draft: a further, new file, attached as `draft`.
        limits: bounds the memory; DuckDB's own bound if None.

    Raises:
        duckdb.Error: the file is held by others, damaged or no DuckDB file.
    """
    connection = duckdb.connect(":memory:", config=dict(_CONFIG))
    try:
        if limits is not None:
            connection.execute(f"SET memory_limit = '{limits.memory_mb:f}MB'")
        connection.execute("SET TimeZone = 'UTC'")  # dates of moments are those of UTC, wherever one asks
        if path is not None:
            _attach(connection, path, STORE, read_only)
        if draft is not None:
            _attach(connection, draft, DRAFT, read_only=False)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except BaseException:
        connection.close()
        raise
    return connection


def _attach(connection: duckdb.DuckDBPyConnection, path: Path, name: str, read_only: bool) -> None:
    quoted = str(path.absolute()).replace("'", "''")  # absolute: no prefix that means another kind of file
    options = ["TYPE duckdb"]
    if read_only:
        options.append("READ_ONLY")
    elif not path.exists():
        options.append(f"STORAGE_VERSION '{STORAGE_VERSION}'")
    connection.execute(f"ATTACH '{quoted}' AS {name} ({', '.join(options)})")
