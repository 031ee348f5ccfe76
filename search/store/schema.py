"""The version of the store's tables, what they must look like, and how an older store becomes a newer one."""

import functools
import logging
import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path

import duckdb

from ...spaces.errors import AtollError
from ..sql import relations
from .opening import MEMORY, STORAGE_VERSION, STORE

SCHEMA_VERSION = 9
#: what rows are in; their columns are those of schema.sql
TABLES = ("journal_state", "study_rows", "trial_rows", "step_rows", "test_look_rows")
#: a table of such a name is somebody else's and gets another
VIEWS = tuple(relations.views())
VERSION_TABLE = "schema_version"
_LOG = logging.getLogger(__name__)

Columns = dict[str, tuple[str, bool]]  # name -> type and whether it may be null


@dataclass(frozen=True)
class Contents:
    """What lies in an attached store.

    Args:
        tables: columns of every table, views not among them.
        version: of the tables, None for a file without tables.
        storage_version: of the file, as numbers.
    """

    tables: dict[str, Columns]
    version: int | None
    storage_version: tuple[int, ...]

    @property
    def has_our_tables(self) -> bool:
        """Whether this Atoll can read it as it is."""
        return self.version == SCHEMA_VERSION

    @property
    def is_current(self) -> bool:
        """Whether this Atoll writes it as it is."""
        return self.has_our_tables and self.storage_version <= _numbers(STORAGE_VERSION)


#: where no file could be opened
NOTHING = Contents({}, None, ())


def contents(connection: duckdb.DuckDBPyConnection, place: Path) -> Contents:
    """Returns what lies in the attached store.

    Args:
        connection: open.
        place: the file, for error messages.

    Raises:
        AtollError: it is from a newer Atoll, no store of Atoll at all, or its tables have other columns than
            its version says.
    """
    names = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = 'main'", [STORE]
    )
    tables = {name: columns_of(connection, name) for (name,) in names.fetchall()}
    version = _version(connection, tables, place)
    if version == SCHEMA_VERSION:
        _check(tables, place)
    [(tags,)] = connection.execute(
        "SELECT tags FROM duckdb_databases() WHERE database_name = ?", [STORE]
    ).fetchall()
    return Contents(tables, version, _numbers(tags.get("storage_version", STORAGE_VERSION)))


def columns_of(connection: duckdb.DuckDBPyConnection, table: str, database: str = STORE) -> Columns:
    """Returns the columns of a table, in their order.

    Args:
        connection: open.
        table: its name.
        database: where it lies: the attached store, unless told; the current one if empty.
    """
    place = f"{database}.main." if database else ""
    # duckdb_columns() looks at every column of DuckDB's own views too: 24 ms on a fresh connection, this 0.4.
    found = connection.execute(
        'SELECT name, type, NOT "notnull" FROM pragma_table_info(?)', [f"{place}{_quoted(table)}"]
    )
    return {name: (kind, nullable) for name, kind, nullable in found.fetchall()}


def create(connection: duckdb.DuckDBPyConnection, database: str) -> None:
    """Makes tables, views and macros, each with its comments, in an empty database.

    Args:
        connection: open.
        database: name of the attached database.
    """
    connection.begin()  # one transaction: each would be written to the disk by itself
    _create_tables(connection, database)
    connection.execute(";".join([*relations.views().values(), *relations.macros().values()]))
    _comment(connection, database, (VERSION_TABLE, *TABLES, *VIEWS), relations.macros())
    connection.commit()


def copy(connection: duckdb.DuckDBPyConnection, found: Contents, target: str) -> None:
    """Copies the attached store into an empty database, by the names of tables and columns.

    Tables that somebody added are copied too, under another name where we have a view of theirs; views and
    macros are made anew, theirs and triggers left behind. Columns that an older store lacks are null; its
    times, which were UTC without saying so, become moments.

    Args:
        connection: open.
        found: what lies in the store.
        target: name of the attached database.
    """
    create(connection, target)
    _copy_rows(connection, found)


def copy_to_memory(connection: duckdb.DuckDBPyConnection, found: Contents) -> None:
    """Copies the attached store into the database in memory, as `copy` does, but for views and macros.

    Args:
        connection: open.
        found: what lies in the store.
    """
    _create_tables(connection, MEMORY)
    _copy_rows(connection, found)


def make_views(
    connection: duckdb.DuckDBPyConnection, found: Contents, statement: str, in_memory: bool
) -> None:
    """Makes our views and macros in memory, as far as a statement names them.

    Args:
        connection: open, without views so far.
        found: what lies in the store.
        statement: to be run next; where DuckDB does not say what it names, all views are made, as for one
            that asks for the catalogue.
        in_memory: whether they look at the tables of `copy_to_memory`, and not at those of the store.
    """
    connection.execute(f"USE {MEMORY}")
    theirs, place = {}, ""
    if not in_memory:
        place = f"{STORE}.main."
        theirs = {
            table.lower(): f"CREATE VIEW {_quoted(table)} AS FROM {place}{_quoted(table)}"
            for table in found.tables
        }
    ours, macros = relations.views(place), relations.macros(place)
    known = theirs.keys() | ours.keys()
    called = [name for name in macros if re.search(rf"\b{name}\b", statement, re.IGNORECASE)]
    wanted: Set[str]
    if called:  # of which DuckDB knows nothing yet, so that it would name nothing
        wanted = {*called, *(name for name in known if name in statement.lower())}
    else:
        wanted = _named(connection, statement)
        if not wanted or not wanted <= known:
            wanted, called = known, list(macros)
    made = relations.needed(wanted)
    makers = [theirs[name] for name in sorted((wanted & theirs.keys()) - ours.keys())]
    makers += [*(ours[name] for name in made), *(macros[name] for name in called)]
    connection.execute(";".join(makers))
    if "comment" in statement.lower():
        _comment(connection, MEMORY, made, called)


def _named(connection: duckdb.DuckDBPyConnection, statement: str) -> Set[str]:
    """Returns the tables that a statement names; none where DuckDB does not understand it."""
    try:
        # DuckDB names nothing where a value is still to come.
        return {name.lower() for name in connection.get_table_names(statement.replace("?", "NULL"))}
    except duckdb.Error:  # whoever runs it says what is wrong with it
        return set()


def _create_tables(connection: duckdb.DuckDBPyConnection, database: str) -> None:
    connection.execute(f"USE {database}")
    connection.execute(relations.tables())
    connection.execute(f"INSERT INTO {VERSION_TABLE} VALUES (?)", [SCHEMA_VERSION])


def _comment(
    connection: duckdb.DuckDBPyConnection, database: str, names: Iterable[str], macros: Iterable[str]
) -> None:
    # all of them at once: to ask of one view after the other binds each anew, which takes six times as long
    found = connection.execute(
        "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()"
        " WHERE database_name = ? AND schema_name = 'main' AND list_contains(?, table_name)"
        " GROUP BY table_name",
        [database, list(names)],
    )
    connection.execute(relations.comments(dict(found.fetchall()), macros))


def _copy_rows(connection: duckdb.DuckDBPyConnection, found: Contents) -> None:
    """Copies rows of the attached store, and tables that are not ours, into the current database."""
    for table, columns in found.tables.items():
        name = f"{STORE}.main.{_quoted(table)}"
        if table in TABLES:
            shared = ", ".join(column for column in expected_columns()[table] if column in columns)
            if shared:
                connection.execute(f"INSERT INTO {table} BY NAME SELECT {shared} FROM {name}")
        elif table.lower() != VERSION_TABLE:
            free = table if table.lower() not in VIEWS else f"{table}_of_user"
            if free != table:
                _LOG.warning(
                    "the table %s of the store is now %s: Atoll has a view of that name", table, free
                )
            connection.execute(f"CREATE TABLE {_quoted(free)} AS FROM {name}")


@functools.cache
def expected_columns() -> dict[str, Columns]:
    """Returns the columns of every table of schema.sql."""
    with duckdb.connect(":memory:") as connection:
        connection.execute(relations.tables())
        return {table: columns_of(connection, table, MEMORY) for table in (VERSION_TABLE, *TABLES)}


def _version(connection: duckdb.DuckDBPyConnection, tables: dict[str, Columns], place: Path) -> int | None:
    if not tables:
        return None
    if VERSION_TABLE not in tables:
        raise AtollError(
            f"{place} is a DuckDB file, but no store of Atoll (it has no table {VERSION_TABLE}): name "
            f"another file with --store"
        )
    found = connection.execute(f"SELECT max(TRY_CAST(version AS BIGINT)) FROM {STORE}.main.{VERSION_TABLE}")
    [(version,)] = found.fetchall()
    if version is not None and version > SCHEMA_VERSION:
        raise AtollError(
            f"the store {place} has schema version {version}, this Atoll supports up to {SCHEMA_VERSION}: "
            f"update Atoll, or name another store with --store"
        )
    return version


def _check(tables: dict[str, Columns], place: Path) -> None:
    for table, expected in expected_columns().items():
        for column, wanted in expected.items():
            got = tables.get(table, {}).get(column)
            if got != wanted:
                raise AtollError(
                    f"{place} is no store of Atoll: column {column} of table {table} has to be "
                    f"{_words(wanted)}, got {'none' if got is None else _words(got)}: name another file with "
                    f"--store"
                )


def _numbers(version: str) -> tuple[int, ...]:
    """Returns (1, 2, 0) for `v1.2.0+`, as DuckDB writes a version of its files, or the oldest of a range."""
    return tuple(int(part) for part in version.split(" ")[0].strip("v+").split("."))


def _words(column: tuple[str, bool]) -> str:
    kind, nullable = column
    return kind if nullable else f"{kind} NOT NULL"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
