"""The store: studies, trials and steps in one DuckDB file, folded from the journal beside it."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ...spaces.errors import AtollError
from . import row_tables, schema
from .answer import answer
from .driver_lock import DriverLock, living_driver
from .events import INTERRUPTED
from .journal import Journal
from .journal_backend import JournalBackend
from .opening import STORE, QueryLimits
from .store_file import RETRY_S, StoreFile
from .stored_rows import JSON_COLUMNS, StepRow, StudyRow, TrialRow, stored_value

_LOG = logging.getLogger(__name__)

# How long a reader waits for a fold (own choice): 8,000 trials and more are folded in a second
# (`make bench`), so what holds the file for longer is no fold.
READ_WAIT_S = 5.0
#: of the view `steps`: what is not the baseline at which each trial begins
_ITS_OWN = "(position > 0 OR recipe = 'baseline')"
_BATCH_EVENTS = 20_000  # bounds the memory of a fold: about 100 MB


class Store:
    """Where trials live and are queried; holds no connection between calls and can be pickled.

    DuckDB locks a file both ways: while one process writes, none may read, and the reverse. So every call
    opens, does its work and closes; readers wait for a fold, a fold never waits unless told to.

    Args:
        path: the DuckDB file; the journal and the driver's lock lie beside it under the same stem.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        stem = self.path.stem if self.path.suffix == ".duckdb" else self.path.name
        self.journal_path = self.path.with_name(f"{stem}.journal.jsonl")
        self.lock_path = self.path.with_name(f"{stem}.lock")
        self._file = StoreFile(self.path, self.journal_path)

    @property
    def journal(self) -> JournalBackend:
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

    def insert(self, table: str, rows: pa.Table | pa.RecordBatchReader, wait_s: float = READ_WAIT_S) -> None:
        """Puts many rows into a table at once, over those of the same key: those of which no journal tells.

        Args:
            table: `trial_rows` or another one of the tables.
            rows: by the names of its columns.
            wait_s: how long to wait for a process that holds the file.

        Raises:
            AtollError: as `fold`; the file was busy all the time; the rows do not fit into the table.
        """
        with self._writer(wait_s) as connection:
            if connection is None:
                raise AtollError(self._busy(wait_s))
            row_tables.insert(connection, table, rows)

    def _fold(self, wait_s: float, orphaned: bool) -> bool:
        if not self.path.exists() and self.journal.size_bytes() == 0:
            return True
        with self._writer(wait_s) as connection:
            if connection is None:
                return False
            while self._fold_batch(connection):
                pass
            # Left by an older Atoll whose line with the recipe cannot be read: it is run again.
            connection.execute("DELETE FROM trial_rows WHERE recipe IS NULL")
            if orphaned:
                connection.execute(
                    "UPDATE trial_rows SET status = 'failed', reason = ? WHERE status = 'running'",
                    [INTERRUPTED],
                )
        return True

    @contextmanager
    def _writer(self, wait_s: float) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """Opens the file, made or renewed first, to write into its tables; None if it was busy all along."""
        if not self.path.exists():
            self._file.create()
        connection = self._file.open(read_only=False, wait_s=wait_s)
        if connection is None:
            yield None
            return
        with self._file.explained(), closing(connection):
            if self._file.contents(connection).is_current:
                connection.execute(f"USE {STORE}")
                yield connection
                return
        if not self._file.renew(wait_s):
            yield None
            return
        with self._writer(wait_s) as connection:
            yield connection

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
        with self._reader(sql) as connection:
            try:
                return connection.sql(sql, params=list(parameters)).to_arrow_table()
            except duckdb.ProgrammingError:
                raise  # our own mistake
            except duckdb.Error as error:
                raise AtollError(self._file.explain(error)) from error

    def user_query(self, sql: str, limits: QueryLimits = QueryLimits()) -> pa.Table:  # noqa: B008
        """Answers a user's SELECT, which can reach neither files nor the network nor settings.

        Args:
            sql: one statement that only reads.
            limits: what it may take.

        Returns:
            its rows; columns of types that Arrow has not as DuckDB writes them.

        Raises:
            AtollError: as `query`; the statement does more than read, or takes more than the limits; DuckDB
                refuses it.
        """
        with self._reader(sql, limits) as connection:
            return answer(connection, sql, limits)

    def studies(self) -> list[StudyRow]:
        """Returns the rows of the view `studies`, the newest last."""
        return self._rows("SELECT * FROM studies ORDER BY created_at NULLS FIRST, study")

    def study(self, name: str) -> StudyRow | None:
        """Returns the study's row of the view `studies`, None if there is none of that name."""
        rows = self._rows("SELECT * FROM studies WHERE study = ?", [name])
        return rows[0] if rows else None

    def trials(self, study: str | None = None) -> list[TrialRow]:
        """Returns the rows of the view `trials` of a study, of all where None, in the order of names."""
        return self._rows(
            "SELECT * FROM trials WHERE ? IS NULL OR study = ? ORDER BY study, length(trial), trial",
            [study, study],
        )

    def steps(self, study: str, trial: str) -> list[StepRow]:
        """Returns the rows of the view `steps` that a trial has of its own, in the order of the recipe."""
        return self._rows(
            f"SELECT * FROM steps WHERE study = ? AND trial = ? AND {_ITS_OWN} ORDER BY position",
            [study, trial],
        )

    def steps_of_study(self, study: str) -> list[StepRow]:
        """Returns what `steps` gives of all its trials, without notes, each in recipe order."""
        return self._rows(
            f"SELECT * EXCLUDE (notes) FROM steps WHERE study = ? AND {_ITS_OWN} ORDER BY trial, position",
            [study],
        )

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        table = self.query(sql, parameters)
        try:
            rows = table.to_pylist(maps_as_pydicts="strict")
        except (OverflowError, ValueError) as error:  # a moment that Python has not
            raise AtollError(self._file.explain(error)) from error
        for name in [name for name in JSON_COLUMNS if name in table.column_names]:
            for row in rows:
                if row[name] is not None:
                    row[name] = stored_value(name, row[name], self.path)
        return rows

    @contextmanager
    def _reader(
        self, statement: str, limits: QueryLimits | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Opens the file to read by a statement, first folding a journal that no driver looks after."""
        driver = living_driver(self.lock_path)
        may_fold = driver is None or driver.is_this_process()
        if may_fold and not self.path.exists():
            self.fold(READ_WAIT_S)
        connection, found = self._connect_to_read(limits)
        try:
            if may_fold and self._is_stale(connection, found, orphaned=driver is None):
                connection.close()
                self._fold_for_reader()
                connection, found = self._connect_to_read(limits)
            with self._file.explained():
                schema.make_views(connection, found, statement)
            yield connection
        finally:
            connection.close()

    def _connect_to_read(
        self, limits: QueryLimits | None
    ) -> tuple[duckdb.DuckDBPyConnection, schema.Contents]:
        deadline = time.monotonic() + READ_WAIT_S
        while not self.path.exists():  # a driver that has just started folds within a second
            if time.monotonic() > deadline or living_driver(self.lock_path) is None:
                raise AtollError(
                    f"no store at {self.path}: run `atoll search` first, or name a store with --store or "
                    f"ATOLL_STORE"
                )
            time.sleep(RETRY_S)
        connection = self._file.open(read_only=True, wait_s=READ_WAIT_S, limits=limits)
        if connection is None:
            raise AtollError(self._busy(READ_WAIT_S))
        try:
            return connection, self._file.contents(connection)
        except AtollError:
            connection.close()
            raise

    def _busy(self, waited_s: float) -> str:
        return (
            f"the store {self.path} was held by another process for more than {waited_s:g} s: "
            f"close what has it open for writing and try again"
        )

    def _is_stale(
        self, connection: duckdb.DuckDBPyConnection, found: schema.Contents, orphaned: bool
    ) -> bool:
        """Returns whether a fold would change anything.

        Raises:
            AtollError: the file is damaged.
        """
        if not found.is_current:
            return True
        with self._file.explained():
            connection.execute(f"USE {STORE}")
            if self.journal.has_more(self._folded_offset(connection)):
                return True
            running = "SELECT 1 FROM trial_rows WHERE status = 'running' LIMIT 1"
            return orphaned and bool(connection.execute(running).fetchall())

    def _fold_for_reader(self) -> None:
        if not os.access(self.path, os.W_OK) or not os.access(self.path.parent, os.W_OK):
            _LOG.warning("%s may not be written: what its journal says beyond it is not shown", self.path)
        elif not self.fold(READ_WAIT_S):
            _LOG.warning("%s is busy: the newest events of its journal are not shown", self.path)
