"""The store: studies, trials and steps in one DuckDB file, folded from the journal beside it."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ...spaces.errors import AtollError
from . import row_tables, schema
from .answer import answer
from .driver_lock import DriverLock, living_driver
from .events import INTERRUPTED
from .journal import Journal
from .journal_backend import JournalBackend
from .opening import STORE, QueryLimits, open_store
from .store_file import RETRY_S, StoreFile
from .stored_rows import JSON_COLUMNS, StepRow, StoredRows, StudyRow, TrialRow, stored_value

_LOG = logging.getLogger(__name__)

# How long a reader waits for a fold (own choice): 8,000 trials and more are folded in a second
# (`make bench`), so what holds the file for longer is no fold.
READ_WAIT_S = 5.0
# And where its journal tells the same (own choice): a trial that ended is to be seen within two seconds.
LIVE_WAIT_S = 1.0
#: of the view `steps`: what is not the baseline at which each trial begins
_ITS_OWN = "(position > 0 OR recipe = 'baseline')"


class Store:
    """Where trials live and are queried; holds no connection between calls and can be pickled.

    DuckDB locks a file both ways: while one process writes, none may read, and the reverse. So every call
    opens, does its work and closes; readers wait for a fold, a fold never waits unless told to. What the
    journal has and the file has not yet, whoever holds it, readers fold in memory.

    Args:
        path: the DuckDB file; the journal and the driver's lock lie beside it under the same stem.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        stem = self.path.stem if self.path.suffix == ".duckdb" else self.path.name
        self.journal_path = self.path.with_name(f"{stem}.journal.jsonl")
        self.lock_path = self.path.with_name(f"{stem}.lock")
        self._file = StoreFile(self.path, self.journal_path)
        self._told = False  # that rows come from the journal alone

    @property
    def journal(self) -> JournalBackend:
        """The journal beside the store."""
        return Journal(self.journal_path)

    @property
    def holder(self) -> str | None:
        """Who had the file when this process last wanted to open it, None if nobody."""
        return self._file.holder

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
            self._fold_on(connection, orphaned)
        return True

    def _fold_on(self, connection: duckdb.DuckDBPyConnection, orphaned: bool) -> None:
        row_tables.fold(connection, self.journal)
        # Left by an older Atoll whose line with the recipe cannot be read: it is run again.
        connection.execute("DELETE FROM trial_rows WHERE recipe IS NULL")
        if orphaned:
            connection.execute(
                "UPDATE trial_rows SET status = 'failed', reason = ? WHERE status = 'running'", [INTERRUPTED]
            )

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

    def studies(self) -> StoredRows[StudyRow]:
        """Returns the rows of the view `studies`, the newest last."""
        return self._rows("SELECT * FROM studies ORDER BY created_at NULLS FIRST, study")

    def study(self, name: str) -> StudyRow | None:
        """Returns the study's row of the view `studies`, None if there is none of that name."""
        rows = self._rows("SELECT * FROM studies WHERE study = ?", [name])
        return rows[0] if rows else None

    def trials(self, study: str | None = None) -> StoredRows[TrialRow]:
        """Returns the rows of the view `trials` of a study, of all where None, in the order of names."""
        return self._rows(
            "SELECT * FROM trials WHERE ? IS NULL OR study = ? ORDER BY study, length(trial), trial",
            [study, study],
        )

    def steps(self, study: str, trial: str) -> StoredRows[StepRow]:
        """Returns the rows of the view `steps` that a trial has of its own, in the order of the recipe."""
        return self._rows(
            f"SELECT * FROM steps WHERE study = ? AND trial = ? AND {_ITS_OWN} ORDER BY position",
            [study, trial],
        )

    def steps_of_study(self, study: str) -> StoredRows[StepRow]:
        """Returns what `steps` gives of all its trials, without notes, each in recipe order."""
        return self._rows(
            f"SELECT * EXCLUDE (notes) FROM steps WHERE study = ? AND {_ITS_OWN} ORDER BY trial, position",
            [study],
        )

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> StoredRows[Any]:
        table = self.query(sql, parameters)
        try:
            rows = plain_rows(table)
        except (OverflowError, ValueError) as error:  # a moment that Python has not
            raise AtollError(self._file.explain(error)) from error
        for name in [name for name in JSON_COLUMNS if name in table.column_names]:
            for row in rows:
                if row[name] is not None:
                    row[name] = stored_value(name, row[name], self.path)
        return StoredRows(rows, table)

    @contextmanager
    def _reader(
        self, statement: str, limits: QueryLimits | None = None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Opens the store to read by a statement, up to its journal's last event.

        Where no driver looks after the journal it is folded first. Where that cannot be, or a driver has not
        yet, the tables are copied into memory and the journal's further events folded there.
        """
        driver = living_driver(self.lock_path)
        may_fold = driver is None or driver.is_this_process()
        if may_fold and not self.path.exists():
            self.fold(READ_WAIT_S)
        connection, found = self._connect_to_read(limits)
        try:
            lags = self._lags(connection, found, orphaned=driver is None)
            if may_fold and (lags or not found.is_current) and self._may_be_written():
                connection.close()
                self.fold(LIVE_WAIT_S)
                connection, found = self._connect_to_read(limits)
                lags = self._lags(connection, found, orphaned=driver is None)
            with self._file.explained():
                if lags:
                    schema.copy_to_memory(connection, found)
                    self._fold_on(connection, orphaned=driver is None)
                schema.make_views(connection, found, statement, in_memory=lags)
            yield connection
        finally:
            connection.close()

    def _connect_to_read(
        self, limits: QueryLimits | None
    ) -> tuple[duckdb.DuckDBPyConnection, schema.Contents]:
        """Opens the file; without it, where another process writes and the journal tells what is in it."""
        deadline = time.monotonic() + READ_WAIT_S
        while not self.path.exists():  # a driver that has just started folds within a second
            if time.monotonic() > deadline or living_driver(self.lock_path) is None:
                raise AtollError(
                    f"no store at {self.path}: run `atoll search` first, or name a store with --store or "
                    f"ATOLL_STORE"
                )
            time.sleep(RETRY_S)
        has_journal = self.journal.size_bytes() > 0
        wait_s = LIVE_WAIT_S if has_journal else READ_WAIT_S
        connection = self._file.open(read_only=True, wait_s=wait_s, limits=limits)
        if connection is None and not has_journal:
            raise AtollError(self._busy(wait_s))
        if connection is None:
            if not self._told:
                _LOG.warning("%s is held by %s: shown is what its journal tells", self.path, self.holder)
            self._told = True
            return open_store(None, read_only=True, limits=limits), schema.NOTHING
        try:
            return connection, self._file.contents(connection)
        except AtollError:
            connection.close()
            raise

    def _busy(self, waited_s: float) -> str:
        return (
            f"the store {self.path} was held by {self._file.holder} for more than {waited_s:g} s: "
            f"close what has it open for writing and try again"
        )

    def _lags(self, connection: duckdb.DuckDBPyConnection, found: schema.Contents, orphaned: bool) -> bool:
        """Returns whether the tables are of another version, or a fold would change a row of them.

        Raises:
            AtollError: the file is damaged.
        """
        if not found.has_our_tables:
            return True
        with self._file.explained():
            connection.execute(f"USE {STORE}")
            if self.journal.has_more(row_tables.folded_offset(connection, self.journal)):
                return True
            running = "SELECT 1 FROM trial_rows WHERE status = 'running' LIMIT 1"
            return orphaned and bool(connection.execute(running).fetchall())

    def _may_be_written(self) -> bool:
        return os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)


def plain_rows(table: pa.Table) -> list[Any]:
    """Returns the rows of a table as dictionaries of plain Python values.

    Of a trial's eighty columns most are empty or numbers without a gap: those are not taken cell by cell.

    Raises:
        OverflowError, ValueError: a moment that Python has not.
    """
    names, columns = table.column_names, [_plain_values(column) for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain_values(column: pa.ChunkedArray) -> list[Any]:
    if column.null_count == len(column):
        return [None] * len(column)
    if column.null_count == 0 and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        # the array's own to_numpy imports pandas
        return [value for chunk in column.chunks for value in np.from_dlpack(chunk).tolist()]
    if column.null_count == 0 and pa.types.is_string(column.type):
        return [text for chunk in column.chunks for text in _texts(chunk)]
    return list(column.to_pylist(maps_as_pydicts="strict"))


def _texts(chunk: pa.StringArray) -> list[str]:
    """Returns texts without a gap: cut out of all of them at once where a character is a byte."""
    _, places, data = chunk.buffers()
    if data is None or not len(chunk):
        return list(chunk.to_pylist())
    ends = np.frombuffer(places, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1].tolist()
    joined = data.slice(ends[0], ends[-1] - ends[0]).to_pybytes()
    if not joined.isascii():
        return list(chunk.to_pylist())
    text, first = joined.decode("ascii"), ends[0]
    return [text[start - first : end - first] for start, end in pairwise(ends)]
