"""The journal: what happened in a study, one checksummed JSON line an event, durable before it counts."""

import errno
import fcntl
import json
import logging
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..spaces.errors import AtollError
from ..spaces.nearest import known_names

_LOG = logging.getLogger(__name__)

# The event types and the fields without which an event of that type says nothing.
REQUIRED_FIELDS: dict[str, tuple[str, ...]] = {
    "study": ("study",),
    "proposed": ("study", "trial", "recipe", "recipe_digest", "seed", "epochs_per_step"),
    "started": ("study", "trial"),
    "ended": ("study", "trial", "status"),
    "measured": ("study", "trial"),
    "test_look": ("study", "trial"),
}
END_STATUSES = ("finished", "failed", "rejected")

# A line is {"crc32":"xxxxxxxx","event":{...}}: plain JSON lines for other tools; the checksum
# covers the bytes of the event exactly as they stand in the file.
_HEAD, _MIDDLE, _TAIL = b'{"crc32":"', b'","event":', b"}\n"
_BODY_START = len(_HEAD) + 8 + len(_MIDDLE)
_CHUNK_BYTES = 1 << 20


class Journal:
    """Append-only file of events, shared safely by several processes.

    An event is one line. What was torn off by a crash (a last line without its end) is ignored when
    reading and cut away by the next append. A damaged line between whole ones is skipped with a warning
    that names file and byte: the events around it are worth more than a refusal, and a trial whose end is
    lost this way counts as interrupted and is run again.

    Args:
        path: the file; it and its folder are created by the first append.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def append(self, event: dict[str, Any]) -> None:
        """Writes one event and returns when it is on the disk.

        NaN and infinities become null, since JSON has none.

        Args:
            event: JSON object whose "type" is one of `REQUIRED_FIELDS`.

        Raises:
            ValueError: unknown type, or a required field is missing.
            AtollError: the disk is full or the file cannot be written; the file is left as it was.
        """
        _check(event)
        line = _encode(event)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            is_new = not self.path.exists()
            with self._exclusive() as descriptor:
                _append_whole(descriptor, line)
            if is_new:
                _sync_folder(self.path.parent)
        except OSError as error:
            raise AtollError(_explain(error, self.path)) from error

    def read(self, offset: int = 0, limit: int | None = None) -> tuple[list[dict[str, Any]], int]:
        """Returns the complete events from a byte offset on, and the offset after the last of them.

        Args:
            offset: byte offset of the start of a line, as returned by an earlier call.
            limit: at most so many lines; all when None.

        Raises:
            AtollError: the file cannot be read.
        """
        events: list[dict[str, Any]] = []
        try:
            with open(self.path, "rb") as file:
                file.seek(offset)
                for count, line in enumerate(file):
                    if not line.endswith(b"\n") or count == limit:
                        break
                    event = _decode(line)
                    if event is None:
                        _LOG.warning("%s: skipped a damaged line at byte %d", self.path, offset)
                    else:
                        events.append(event)
                    offset += len(line)
        except FileNotFoundError:
            return [], 0
        except OSError as error:
            raise AtollError(_explain(error, self.path)) from error
        return events, offset

    def size_bytes(self) -> int:
        """Returns the size of the file, 0 where there is none."""
        try:
            return self.path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def fingerprint(self) -> str:
        """Returns the checksum of the first line: tells this journal from another under the same name."""
        events, _ = self.read(limit=1)
        return f"{zlib.crc32(_body(events[0])):08x}" if events else ""

    @contextmanager
    def _exclusive(self) -> Iterator[int]:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # released by close
            yield descriptor
        finally:
            os.close(descriptor)


def _check(event: dict[str, Any]) -> None:
    kind = event.get("type")
    if kind not in REQUIRED_FIELDS:
        raise ValueError(f"unknown event type {kind!r}: {known_names(str(kind), REQUIRED_FIELDS)}")
    missing = [name for name in REQUIRED_FIELDS[kind] if event.get(name) is None]
    if missing:
        raise ValueError(f"an event of type {kind!r} needs {', '.join(missing)}")
    if kind == "ended" and event["status"] not in END_STATUSES:
        raise ValueError(f"a trial ends as {', '.join(END_STATUSES)}, not as {event['status']!r}")


def _append_whole(descriptor: int, line: bytes) -> None:
    """Appends the line or nothing: what was written of it is cut away again when the disk is full."""
    end = _end_of_last_line(descriptor)
    os.ftruncate(descriptor, end)  # a line torn by a crash was never acknowledged
    os.lseek(descriptor, end, os.SEEK_SET)
    try:
        view = memoryview(line)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, end)
        raise


def _end_of_last_line(descriptor: int) -> int:
    """Returns the offset behind the last newline, reading backwards from the end."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        # The last byte alone is the usual case: the file ends with a newline.
        start = end - 1 if end == os.fstat(descriptor).st_size else max(0, end - _CHUNK_BYTES)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _body(event: dict[str, Any]) -> bytes:
    return json.dumps(_plain(event), separators=(",", ":"), sort_keys=True, allow_nan=False).encode()


def _encode(event: dict[str, Any]) -> bytes:
    body = _body(event)
    return _HEAD + f"{zlib.crc32(body):08x}".encode() + _MIDDLE + body + _TAIL


def _decode(line: bytes) -> dict[str, Any] | None:
    """Returns the event of a whole line, None if the line is damaged."""
    body = line[_BODY_START : -len(_TAIL)]
    if line != _HEAD + f"{zlib.crc32(body):08x}".encode() + _MIDDLE + body + _TAIL:
        return None
    event = json.loads(body)
    return event if isinstance(event, dict) else None


def _plain(value: Any) -> Any:
    """Returns the value in JSON's own types, with null for every number that JSON cannot say."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()  # numpy and torch scalars
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, os.PathLike) else value


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
    return f"cannot use the journal {path}: {error.strerror or error}; a file in a writable folder is needed"
