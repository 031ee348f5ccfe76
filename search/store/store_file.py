"""The DuckDB file of a store: opened when it is free, made whole or not at all, and why it cannot be used."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import duckdb

from ...spaces.errors import AtollError
from ...spaces.outside.foreign_file import check_regular
from . import schema
from .answer import first_paragraph
from .journal import Journal
from .opening import DRAFT, STORE, QueryLimits, open_store

#: between two tries: about the time in which a small fold opens, writes and closes
RETRY_S = 0.02
#: how DuckDB names who has the lock
_HOLDER = re.compile(r"lock is held in (.+) \(PID (\d+)\)")

# Of the file and of DuckDB's log beside it: device, inode, bytes and nanoseconds of the last change.
_Identity = tuple[tuple[int, int, int, int] | None, ...]


class StoreFile:
    """A store's file; holds no connection between calls.

    Args:
        path: of the file.
        journal_path: of the journal from which it can be made anew.
    """

    #: the file of an empty store, once this process made one: comments take longer to make than to copy
    _empty: ClassVar[bytes | None] = None

    def __init__(self, path: Path, journal_path: Path) -> None:
        self.path = path
        self.journal_path = journal_path
        self._checked: tuple[_Identity, schema.Contents] | None = None
        #: who had the file when it was last to be opened, None if nobody
        self.holder: str | None = None

    def open(
        self, read_only: bool, wait_s: float, draft: Path | None = None, limits: QueryLimits | None = None
    ) -> duckdb.DuckDBPyConnection | None:
        """Opens the file.

        Args:
            read_only, draft, limits: see `open_store`.
            wait_s: how long to wait for whoever holds it.

        Returns:
            None if others held it all the time.

        Raises:
            AtollError: it cannot be used.
        """
        deadline = time.monotonic() + wait_s
        self._check_regular()
        while True:
            try:
                connection = open_store(self.path, read_only, draft, limits)
                self.holder = None
                return connection
            except duckdb.Error as error:
                if not _is_busy(error):
                    raise AtollError(self.explain(error)) from error
                self.holder = _holder(error)
            if time.monotonic() >= deadline:
                return None
            time.sleep(RETRY_S)

    def _check_regular(self) -> None:
        """Refuses a pipe, a socket or a device, for which DuckDB would wait."""
        with suppress(OSError):  # a folder, or none: DuckDB says so
            check_regular(self.path, self.path.stat())

    def contents(self, connection: duckdb.DuckDBPyConnection) -> schema.Contents:
        """Returns what lies in the file, checked once as long as it is the same and nobody wrote to it.

        Args:
            connection: open, so that no other DuckDB writes meanwhile.

        Raises:
            AtollError: see `schema.contents`; or it is damaged.
        """
        identity = self._identity()
        if self._checked is None or self._checked[0] != identity:
            with self.explained():
                self._checked = identity, schema.contents(connection, self.path)
        return self._checked[1]

    def create(self) -> None:
        """Makes an empty store that appears under its name only when it is whole."""
        with self._draft() as draft:
            if StoreFile._empty is not None:
                draft.write_bytes(StoreFile._empty)
                return
            with closing(open_store(draft, read_only=False)) as connection:
                schema.create(connection, STORE)
            StoreFile._empty = draft.read_bytes()

    def renew(self, wait_s: float) -> bool:
        """Copies an older store into a new file, which takes its place only when it is whole.

        What another process folds into the old one meanwhile is folded again from the journal.

        Returns:
            False if the file was busy all the time.
        """
        with self._draft() as draft:
            connection = self.open(read_only=False, wait_s=wait_s, draft=draft)
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
            raise AtollError(self.explain(error)) from error
        finally:
            draft.unlink(missing_ok=True)
            draft.with_name(f"{draft.name}.wal").unlink(missing_ok=True)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns DuckDB's errors into the sentence for a store that cannot be used."""
        try:
            yield
        except duckdb.Error as error:
            raise AtollError(self.explain(error)) from error

    def explain(self, error: Exception) -> str:
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
        if Journal(self.journal_path).size_bytes() > 0:
            return (
                f"the store {self.path} cannot be used ({reason}): move it away and run the command again, "
                f"its journal {self.journal_path} makes it anew"
            )
        return f"the store {self.path} cannot be used ({reason}): name a DuckDB file of Atoll with --store"

    def _identity(self) -> _Identity:
        return tuple(map(_stamp, (self.path, self.path.with_name(f"{self.path.name}.wal"))))


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _is_busy(error: duckdb.Error) -> bool:
    """Returns whether another process, or another connection of this one, holds the file."""
    text = str(error)
    return any(
        words in text for words in ("Could not set lock", "different configuration", "already attached")
    )


def _holder(error: duckdb.Error) -> str:
    found = _HOLDER.search(str(error))
    if found is not None:
        return f"process {found[2]} ({Path(found[1]).name})"
    return "another process" if "Could not set lock" in str(error) else "this process"
