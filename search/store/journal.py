"""The journal: what happened in a study, one checksummed JSON line an event, durable before it counts."""

import errno
import fcntl
import json
import logging
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from ...spaces.errors import AtollError
from ...spaces.outside.foreign_file import check_regular, open_at_once
from .events import Event, event_from_json, plain

_LOG = logging.getLogger(__name__)

# A line is {"crc32":"xxxxxxxx","event":{...}}: plain JSON lines for other tools; the checksum
# covers the bytes of the event exactly as they stand in the file.
_HEAD, _MIDDLE, _TAIL = b'{"crc32":"', b'","event":', b"}\n"
_BODY_START = len(_HEAD) + 8 + len(_MIDDLE)
_WRITER = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False)  # ASCII alone
_READER = json.JSONDecoder()
_CHUNK_BYTES = 1 << 20
_LINES_AT_ONCE = 500  # own choice: what reading and writing JSON costs a call no longer counts
#: of a line; the longest of ours, an end with its steps, has some ten thousand
MAX_LINE_BYTES = 1 << 24


class Journal:
    """The journal in a file, one event a line, shared safely by several processes.

    An event is one line. What was torn off by a crash (a last line without its end) is ignored when
    reading and cut away by the next append. Lines that cannot be read (damaged, or not as `append` writes
    them) are skipped with one warning that counts them: the events around them are worth more than a
    refusal, and a trial whose end is lost this way counts as interrupted and is run again.

    Args:
        path: the file; it and its folder are created by the first append.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def append(self, event: Event) -> None:
        """Writes one event and returns when it is on the disk; see `append_all`."""
        self.append_all([event])

    def append_all(self, events: Iterable[Event]) -> None:
        """Writes events, all or none, and returns when they are on the disk.

        Args:
            events: NaN and infinities in them become null, since JSON has none.

        Raises:
            ValueError: one could not be read again: a part is of the wrong type, size or range.
            AtollError: the disk is full or the file cannot be written; the file is left as it was.
        """
        lines = b"".join(map(_encode, events))
        if not lines:
            return
        try:
            with self._exclusive() as descriptor:
                is_new = os.fstat(descriptor).st_size == 0
                _append_whole(descriptor, lines)
            if is_new:
                _sync_folder(self.path.parent)
        except OSError as error:
            raise AtollError(_explain(error, self.path)) from error

    def read(self, offset: int = 0, limit: int | None = None) -> tuple[list[Event], int]:
        """Returns the events of the complete lines from a byte offset on, and the offset after the last.

        Args:
            offset: byte offset of the start of a line, as returned by an earlier call.
            limit: at most so many lines; all when None.

        Raises:
            AtollError: the file cannot be read.
        """
        events: list[Event] = []
        skipped: list[int] = []
        lines = self._lines(offset, limit)
        while some := list(islice(lines, _LINES_AT_ONCE)):
            for (end, _), event in zip(some, _decode([line for _, line in some]), strict=True):
                if isinstance(event, AtollError):
                    skipped.append(offset)
                elif event is not None:
                    events.append(event)
                offset = end
        if skipped:
            _LOG.warning(
                "%s: skipped %d line%s that cannot be read, the first at byte %d: a trial whose end is lost "
                "with them is run again",
                self.path,
                len(skipped),
                "s" * (len(skipped) > 1),
                skipped[0],
            )
        return events, offset

    def has_more(self, offset: int) -> bool:
        """Returns whether a complete line follows an offset."""
        return next(self._lines(offset, 1), None) is not None

    def is_line_start(self, offset: int) -> bool:
        """Returns whether a line starts at an offset, or would start there if it were appended."""
        try:
            with self._opened() as file:
                file.seek(max(0, offset - 1))
                return offset == 0 or file.read(1) == b"\n"
        except OSError:
            return offset == 0

    def size_bytes(self) -> int:
        """Returns the size of the file, 0 where there is none."""
        try:
            return self.path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def fingerprint(self) -> str:
        """Returns the checksum of the first line: tells this journal from another under the same name."""
        for _, line in self._lines(0, 1):
            return f"{zlib.crc32(line[_BODY_START : -len(_TAIL)]):08x}"
        return ""

    def _lines(self, offset: int, limit: int | None) -> Iterator[tuple[int, bytes]]:
        """Yields complete lines from an offset on with the offsets of their ends; b"" for one too long."""
        try:
            with self._opened() as file:
                file.seek(offset)
                while limit is None or limit > 0:
                    line = file.readline(MAX_LINE_BYTES)
                    last = line
                    while len(last) == MAX_LINE_BYTES and not last.endswith(b"\n"):
                        line, last = b"", file.readline(MAX_LINE_BYTES)
                    if not last.endswith(b"\n"):
                        return
                    yield file.tell(), line
                    limit = None if limit is None else limit - 1
        except FileNotFoundError:
            return
        except OSError as error:
            raise AtollError(_explain(error, self.path)) from error

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        """Opens the file to read, which somebody else may have put there: a pipe is not waited for.

        Raises:
            AtollError: it is a pipe, a socket or a device.
            OSError: it cannot be opened.
        """
        with open(self.path, "rb", opener=open_at_once) as file:
            check_regular(self.path, os.fstat(file.fileno()))
            yield file

    @contextmanager
    def _exclusive(self) -> Iterator[int]:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # the folder is not there yet
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            check_regular(self.path, os.fstat(descriptor))
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # released by close
            yield descriptor
        finally:
            os.close(descriptor)


def _append_whole(descriptor: int, lines: bytes) -> None:
    """Appends lines or nothing: what was written of them is cut away again when the disk is full."""
    size = os.fstat(descriptor).st_size
    end = _end_of_last_line(descriptor, size)
    if end < size:
        os.ftruncate(descriptor, end)  # a line torn by a crash was never acknowledged
    os.lseek(descriptor, end, os.SEEK_SET)
    try:
        view = memoryview(lines)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, end)
        raise


def _end_of_last_line(descriptor: int, size: int) -> int:
    """Returns the offset behind the last newline of a file of some size, reading backwards from the end."""
    end = size
    while end > 0:
        # The last byte alone is the usual case: the file ends with a newline.
        start = end - 1 if end == size else max(0, end - _CHUNK_BYTES)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _body(value: Any) -> bytes:
    return _WRITER.encode(value).encode()


def _encode(event: Event) -> bytes:
    value = event.to_json()
    body = _body(value)
    line = _HEAD + f"{zlib.crc32(body):08x}".encode() + _MIDDLE + body + _TAIL
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"an event of {len(line)} bytes: at most {MAX_LINE_BYTES} are read again")
    try:
        event_from_json(value)
    except AtollError as error:
        raise ValueError(str(error)) from error
    return line


def _decode(lines: Sequence[bytes]) -> list[Event | AtollError | None]:
    """Returns the events of whole lines.

    Returns:
        for each line its event, None for one of a kind that this Atoll does not know, an error where the
        line is damaged, or not as `_encode` writes it.
    """
    bodies = [line[_BODY_START : -len(_TAIL)] for line in lines]
    try:
        values = [_object(line, body) for line, body in zip(lines, bodies, strict=True)]
        # Names that come twice, NaN, numbers that no float holds: what we write is written again as it was.
        # An object ends at its brace, so that all of them at once tell what each would tell alone, and also
        # what follows one on its line.
        if _body(values) != b"[" + b",".join(bodies) + b"]":
            raise AtollError("the JSON is not as a journal has it")
        # An older Atoll wrote halves of surrogate pairs.
        return [
            event_from_json(plain(value) if b"\\ud" in body else value)
            for value, body in zip(values, bodies, strict=True)
        ]
    except (AtollError, ValueError, RecursionError) as error:
        if len(lines) == 1:
            return [AtollError(f"no event: {error}")]
        half = len(lines) // 2
        return [*_decode(lines[:half]), *_decode(lines[half:])]


def _object(line: bytes, body: bytes) -> dict[str, Any]:
    if line != _HEAD + f"{zlib.crc32(body):08x}".encode() + _MIDDLE + body + _TAIL:
        raise AtollError("the checksum differs")
    value, _ = _READER.raw_decode(body.decode("ascii"))
    if not isinstance(value, dict):
        raise AtollError("no object")
    return value


def _sync_folder(folder: Path) -> None:
    """Makes a new file's name durable, not only its bytes."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(error: OSError, path: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"no space left on the disk for the journal {path}: everything up to the last complete trial is "
            f"kept; free some space and run `atoll resume`"
        )
    return (
        f"cannot use the journal {path}: {error.strerror or error}; name a store in a folder that may be "
        "written with --store"
    )
