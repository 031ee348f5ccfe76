"""The store: studies, trials and steps in one DuckDB file, folded from the journal beside it."""

import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ...spaces.errors import AtollError
from . import row_tables, schema
from .answer import answer, first_paragraph
from .driver_lock import DriverLock, living_driver
from .events import INTERRUPTED
from .journal import Journal
from .journal_backend import JournalBackend
from .opening import DRAFT, MEMORY, STORE, QueryLimits, open_store
from .rows import Row
from .stored_json import JSON_COLUMNS, stored_value

_LOG = logging.getLogger(__name__)

# How long a reader waits for a fold (own choice): 8,000 trials and more are folded in a second
# (`make bench`), so what holds the file for longer is no fold.
READ_WAIT_S = 5.0
_RETRY_S = 0.02  # about the time in which a small fold opens, writes and closes
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
                if not schema.contents(connection, self.path).is_current:
                    connection.close()
                    return self._renew(wait_s) and self._fold(wait_s, orphaned)
                connection.execute(f"USE {STORE}")
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
        with self._draft() as draft, closing(open_store(draft, read_only=False)) as connection:
            schema.create(connection, STORE)

    def _renew(self, wait_s: float) -> bool:
        """Copies an older store into a new file, which takes its place only when it is whole.

        What another process folds into the old one meanwhile is folded again from the journal.

        Returns:
            False if the file was busy all the time.
        """
        with self._draft() as draft:
            connection = self._connect(read_only=False, wait_s=wait_s, draft=draft)
            if connection is None:
                return False
            with closing(connection):
                schema.copy(connection, schema.contents(connection, self.path), DRAFT)
                # What the old file's log still held would be taken for the new file's.
                connection.execute(f"CHECKPOINT {STORE}")
            shutil.copymode(self.path, draft)
        return True

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """Gives a name for a new file, which takes the store's when it was made."""
        place = self.path.resolve()  # a link to a store stays one
        draft = place.with_name(f".{place.name}.{os.getpid()}")
        try:
            draft.unlink(missing_ok=True)  # of a process that had this number and was killed
            yield draft
            if draft.exists():
                os.rename(draft, place)
        except (duckdb.Error, OSError) as error:
            raise AtollError(self._explain(error)) from error
        finally:
            draft.unlink(missing_ok=True)
            draft.with_name(f"{draft.name}.wal").unlink(missing_ok=True)

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
        with self._reader(limits) as connection:
            return answer(connection, sql, limits)

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
            for name in JSON_COLUMNS:
                if isinstance(row.get(name), str):
                    row[name] = stored_value(name, row[name], self.path)
        return rows

    @contextmanager
    def _reader(self, limits: QueryLimits | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """Opens the file to read, first folding a journal that no driver looks after."""
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
            with self._explained():
                if found.has_our_tables:
                    schema.make_views(connection, found)
                else:  # it may not be written, or an older Atoll drives it
                    schema.copy(connection, found, MEMORY)
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
            time.sleep(_RETRY_S)
        connection = self._connect(read_only=True, wait_s=READ_WAIT_S, limits=limits)
        if connection is None:
            raise AtollError(
                f"the store {self.path} was held by another process for more than {READ_WAIT_S:g} s: "
                f"close what has it open for writing and try again"
            )
        try:
            with self._explained():
                return connection, schema.contents(connection, self.path)
        except AtollError:
            connection.close()
            raise

    def _is_stale(
        self, connection: duckdb.DuckDBPyConnection, found: schema.Contents, orphaned: bool
    ) -> bool:
        """Returns whether a fold would change anything.

        Raises:
            AtollError: the file is damaged.
        """
        with self._explained():
            return self._would_change(connection, found, orphaned)

    def _would_change(
        self, connection: duckdb.DuckDBPyConnection, found: schema.Contents, orphaned: bool
    ) -> bool:
        if not found.is_current:
            return True
        connection.execute(f"USE {STORE}")
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

    def _connect(
        self, read_only: bool, wait_s: float, draft: Path | None = None, limits: QueryLimits | None = None
    ) -> duckdb.DuckDBPyConnection | None:
        """Opens the file, None if others hold it for longer than `wait_s`."""
        deadline = time.monotonic() + wait_s
        while True:
            try:
                return open_store(self.path, read_only, draft, limits)
            except duckdb.Error as error:
                if not _is_busy(error):
                    raise AtollError(self._explain(error)) from error
            if time.monotonic() >= deadline:
                return None
            time.sleep(_RETRY_S)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise AtollError(self._explain(error)) from error

    def _explain(self, error: Exception) -> str:
        """Returns the sentence for a store that cannot be used."""
        reason = first_paragraph(error)
        if self.path.is_dir():
            return f"{self.path} is a folder: --store names a DuckDB file"
        lowered = reason.lower()
        if "no space left" in lowered or "disk is full" in lowered:
            return (
                f"no space left on the disk for the store {self.path}: the journal {self.journal_path} keeps "
                f"what was not folded; free some space and run the command again"
            )
        if any(words in lowered for words in ("permission", "read-only file system", "not a directory")):
            return (
                f"the store {self.path} cannot be opened ({reason}): name one in a folder that may be "
                "written with --store"
            )
        if self.journal.size_bytes() > 0:
            return (
                f"the store {self.path} cannot be used ({reason}): move it away and run the command again, "
                f"its journal {self.journal_path} makes it anew"
            )
        return f"the store {self.path} cannot be used ({reason}): name a DuckDB file of Atoll with --store"


def _is_busy(error: duckdb.Error) -> bool:
    """Returns whether another process, or another connection of this one, holds the file."""
    text = str(error)
    return any(
        words in text for words in ("Could not set lock", "different configuration", "already attached")
    )
