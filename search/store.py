"""The store: studies, trials and steps in one DuckDB file, folded from the journal beside it."""

import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ..spaces.errors import AtollError
from . import row_tables, schema
from .driver_lock import DriverLock, living_driver
from .journal import Journal
from .rows import Row

_LOG = logging.getLogger(__name__)

INTERRUPTED = "interrupted"  # the reason of a trial whose driver died
READ_WAIT_S = 5.0  # how long a reader waits for a fold (design.md, "Store")
_RETRY_S = 0.02  # about the time in which a small fold opens, writes and closes
_BATCH_EVENTS = 20_000  # bounds the memory of a fold: about 100 MB

_JSON_COLUMNS = (
    "definition",
    "limits",
    "baseline",
    "reference",
    "proposal_parameters",
    "violation",
    "metrics",
    "measured",
    "notes",
)


class Store:
    """Where trials live and are queried; holds no connection between calls and can be pickled.

    DuckDB locks a file both ways: while one process writes, none may read, and the reverse. So every call
    opens, does its work and closes; readers wait for a fold, a fold never waits unless told to.

    Args:
        path: the DuckDB file; the journal and the driver's lock lie beside it under the same stem.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        stem = self.path.stem if self.path.suffix == ".duckdb" else self.path.name
        self.journal_path = self.path.with_name(f"{stem}.journal.jsonl")
        self.lock_path = self.path.with_name(f"{stem}.lock")

    @property
    def journal(self) -> Journal:
        """The journal beside the store."""
        return Journal(self.journal_path)

    def lock(self) -> DriverLock:
        """Returns the context manager that makes this process the driver."""
        return DriverLock(self.lock_path)

    # Writing: the journal's events become rows.

    def fold(self, wait_s: float = 0.0) -> bool:
        """Folds the journal's new events into the tables; where no driver lives, running trials are ended.

        Args:
            wait_s: how long to wait for a process that holds the file.

        Returns:
            False if the file was busy all the time; the journal keeps everything for the next call.

        Raises:
            AtollError: the store cannot be used, see `query`; or the disk is full.
        """
        return self._fold(wait_s, orphaned=living_driver(self.lock_path) is None)

    def recover(self, wait_s: float = READ_WAIT_S) -> bool:
        """Folds and ends what was running: for a driver that has just taken the lock.

        Afterwards a trial with the reason `interrupted` is to be run again.
        """
        return self._fold(wait_s, orphaned=True)

    def _fold(self, wait_s: float, orphaned: bool) -> bool:
        if not self.path.exists() and self.journal.size_bytes() == 0:
            return True
        if not self.path.exists():
            self._create()
        connection = self._connect(read_only=False, wait_s=wait_s)
        if connection is None:
            return False
        try:
            with closing(connection):
                schema.migrate(connection, self.path)
                while self._fold_batch(connection):
                    pass
                # Left by an older Atoll whose line with the recipe cannot be read: it is run again.
                connection.execute("DELETE FROM trial_rows WHERE recipe IS NULL")
                if orphaned:
                    connection.execute(
                        "UPDATE trial_rows SET status = 'failed', reason = ? WHERE status = 'running'",
                        [INTERRUPTED],
                    )
        except duckdb.Error as error:
            raise AtollError(self._explain(error)) from error
        return True

    def _fold_batch(self, connection: duckdb.DuckDBPyConnection) -> bool:
        """Folds one batch in one transaction with its offset; returns whether there was one."""
        journal = self.journal
        offset = self._folded_offset(connection)
        events, end = journal.read(offset, limit=_BATCH_EVENTS)
        if end == offset:
            return False
        connection.begin()
        rows = row_tables.load(connection, events)
        for event in events:
            rows.apply(event)
        row_tables.write(connection, rows)
        connection.execute("DELETE FROM journal_state")
        connection.execute("INSERT INTO journal_state VALUES (?, ?)", [journal.fingerprint(), end])
        connection.commit()
        return True

    def _folded_offset(self, connection: duckdb.DuckDBPyConnection) -> int:
        """Returns up to where this journal is folded: 0 if the tables were folded from another one."""
        journal = self.journal
        for fingerprint, offset in connection.execute("FROM journal_state").fetchall():
            is_same = offset <= journal.size_bytes() and fingerprint == journal.fingerprint()
            if is_same and journal.is_line_start(offset):
                return offset
        return 0

    def _create(self) -> None:
        """Makes an empty store that appears under its name only when it is whole."""
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with closing(duckdb.connect(str(draft))) as connection:
                schema.migrate(connection, self.path)
            # Should another process be faster, its rows are replaced, and folded again from the journal.
            os.rename(draft, self.path)
        except (duckdb.Error, OSError) as error:
            raise AtollError(self._explain(error)) from error
        finally:
            draft.unlink(missing_ok=True)

    # Reading.

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Answers one of our own SELECTs.

        Args:
            sql: one statement.
            parameters: values of its `?`.

        Raises:
            AtollError: there is no store, it is not readable, damaged, from a newer version, or busy for
                longer than `READ_WAIT_S`.
        """
        with self._reader() as connection:
            try:
                return connection.sql(sql, params=list(parameters)).to_arrow_table()
            except duckdb.ProgrammingError:
                raise  # our own mistake
            except duckdb.Error as error:
                raise AtollError(self._explain(error)) from error

    def user_query(self, sql: str) -> pa.Table:
        """Answers a user's SELECT, which can reach neither files nor the network nor settings.

        Args:
            sql: one statement that only reads.

        Raises:
            AtollError: as `query`; the statement does more than read; DuckDB refuses it.
        """
        with self._reader() as connection:
            connection.execute("SET temp_directory = ''")  # nothing spills to the disk either
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            try:
                return connection.sql(_one_read_only_statement(connection, sql)).to_arrow_table()
            except duckdb.PermissionException as error:
                raise AtollError(f"SQL: {_first_paragraph(error)}: the store alone can be read") from error
            except duckdb.Error as error:
                raise AtollError(f"SQL: {_first_paragraph(error)}") from error

    def studies(self) -> list[Row]:
        """Returns the rows of the view `studies`, the newest last."""
        return self._rows("SELECT * FROM studies ORDER BY created_at NULLS FIRST, study")

    def study(self, name: str) -> Row | None:
        """Returns the study's row of the view `studies`, None if there is none of that name."""
        rows = self._rows("SELECT * FROM studies WHERE study = ?", [name])
        return rows[0] if rows else None

    def trials(self, study: str | None = None) -> list[Row]:
        """Returns the rows of the view `trials` of a study, of all where None, in the order of names."""
        return self._rows(
            "SELECT * FROM trials WHERE ? IS NULL OR study = ? ORDER BY study, length(trial), trial",
            [study, study],
        )

    def steps(self, study: str, trial: str) -> list[Row]:
        """Returns the rows of the view `steps` of a trial, in the order of the recipe."""
        return self._rows(
            "SELECT * FROM steps WHERE study = ? AND trial = ? ORDER BY position", [study, trial]
        )

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        rows = self.query(sql, parameters).to_pylist()
        for row in rows:
            for name in _JSON_COLUMNS:
                if isinstance(row.get(name), str):
                    row[name] = json.loads(row[name])
        return rows

    @contextmanager
    def _reader(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Opens the file to read, first folding a journal that no driver looks after."""
        driver = living_driver(self.lock_path)
        may_fold = driver is None or driver.is_this_process()
        if may_fold and not self.path.exists():
            self.fold(READ_WAIT_S)
        connection = self._connect_to_read()
        try:
            if may_fold and self._is_stale(connection, orphaned=driver is None):
                connection.close()
                self._fold_for_reader()
                connection = self._connect_to_read()
            yield connection
        finally:
            connection.close()

    def _connect_to_read(self) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + READ_WAIT_S
        while not self.path.exists():  # a driver that has just started folds within a second
            if time.monotonic() > deadline or living_driver(self.lock_path) is None:
                raise AtollError(
                    f"no store at {self.path}: run `atoll search` first, or name a store with --store or "
                    f"ATOLL_STORE"
                )
            time.sleep(_RETRY_S)
        connection = self._connect(read_only=True, wait_s=READ_WAIT_S)
        if connection is None:
            raise AtollError(
                f"the store {self.path} was held by another process for more than {READ_WAIT_S:g} s: "
                f"close what has it open for writing and try again"
            )
        try:
            schema.stored_version(connection, self.path)
        except duckdb.Error as error:
            connection.close()
            raise AtollError(self._explain(error)) from error
        except AtollError:
            connection.close()
            raise
        return connection

    def _is_stale(self, connection: duckdb.DuckDBPyConnection, orphaned: bool) -> bool:
        """Returns whether a fold would change anything.

        Raises:
            AtollError: the file is damaged.
        """
        try:
            return self._would_change(connection, orphaned)
        except duckdb.Error as error:
            raise AtollError(self._explain(error)) from error

    def _would_change(self, connection: duckdb.DuckDBPyConnection, orphaned: bool) -> bool:
        if schema.stored_version(connection, self.path) != schema.SCHEMA_VERSION:
            return True
        offset = self._folded_offset(connection)
        if self.journal.has_more(offset):
            return True
        return orphaned and bool(
            connection.execute("SELECT 1 FROM trial_rows WHERE status = 'running' LIMIT 1").fetchall()
        )

    def _fold_for_reader(self) -> None:
        if not os.access(self.path, os.W_OK) or not os.access(self.path.parent, os.W_OK):
            _LOG.warning("%s may not be written: what its journal says beyond it is not shown", self.path)
        elif not self.fold(READ_WAIT_S):
            _LOG.warning("%s is busy: the newest events of its journal are not shown", self.path)

    # Opening.

    def _connect(self, read_only: bool, wait_s: float) -> duckdb.DuckDBPyConnection | None:
        """Opens the file, None if others hold it for longer than `wait_s`."""
        deadline = time.monotonic() + wait_s
        while True:
            try:
                return duckdb.connect(
                    str(self.path),
                    read_only=read_only,
                    # No name in a statement may mean a Python variable.
                    config={"python_enable_replacements": "false"},
                )
            except duckdb.Error as error:
                if not _is_busy(error):
                    raise AtollError(self._explain(error)) from error
            if time.monotonic() >= deadline:
                return None
            time.sleep(_RETRY_S)

    def _explain(self, error: Exception) -> str:
        """Returns the sentence for a store that cannot be used."""
        reason = _first_paragraph(error)
        if self.path.is_dir():
            return f"{self.path} is a folder: --store names a DuckDB file"
        lowered = reason.lower()
        if "no space left" in lowered or "disk is full" in lowered:
            return (
                f"no space left on the disk for the store {self.path}: the journal {self.journal_path} keeps "
                f"what was not folded; free some space and run the command again"
            )
        if any(words in lowered for words in ("permission", "read-only file system", "not a directory")):
            return f"the store {self.path} cannot be opened ({reason}): a file in a writable folder is needed"
        if self.journal.size_bytes() > 0:
            return (
                f"the store {self.path} cannot be used ({reason}): move it away and run the command again, "
                f"its journal {self.journal_path} makes it anew"
            )
        return f"the store {self.path} cannot be used ({reason}): name a DuckDB file of Atoll with --store"


def _is_busy(error: duckdb.Error) -> bool:
    """Returns whether another process, or another connection of this one, holds the file."""
    text = str(error)
    return "Could not set lock" in text or "different configuration" in text


def _first_paragraph(error: Exception) -> str:
    """Returns DuckDB's message on one line, without the statement that it repeats below it."""
    return " ".join(str(error).split("\n\n")[0].split()).rstrip(".")


def _one_read_only_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    statements = connection.extract_statements(sql)
    allowed = (
        "one statement that only reads is allowed: SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW or EXPLAIN"
    )
    if len(statements) != 1:
        raise AtollError(f"SQL: got {len(statements)} statements, {allowed}")
    kind = statements[0].type
    if kind not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        raise AtollError(f"SQL: got a statement of the kind {kind.name}, {allowed}")
    return statements[0]
