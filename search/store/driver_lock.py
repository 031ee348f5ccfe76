"""One driver a store: a lock file that a process holds locked for as long as it drives.

The operating system's own lock (flock) says whether a driver lives: it ends with its process, however that
ends, and asks no clock. What stands in the file is for the message to the second one.
"""

import errno
import fcntl
import json
import os
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from ...spaces.errors import AtollError
from ...spaces.outside.foreign_file import check_regular, open_at_once

#: how long a driver tries: whoever asks for the living driver holds the lock for a moment itself
_PATIENCE_S = 1.0
_RETRY_S = 0.01
#: what a file system answers that has no such locks
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


@dataclass(frozen=True)
class Driver:
    """The process that drives a study.

    Args:
        pid: process id; None where the lock is held and the file does not tell by whom.
        node: name of the machine.
    """

    pid: int | None
    node: str

    @classmethod
    def this_process(cls) -> "Driver":
        """Returns the entry of the calling process."""
        return cls(os.getpid(), platform.node())

    def is_this_process(self) -> bool:
        """Returns whether the calling process is the driver."""
        return self == Driver.this_process()


class DriverLock:
    """Context manager that makes this process the driver of a store.

    Args:
        path: the lock file, beside the store.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._descriptor: int | None = None

    def __enter__(self) -> "DriverLock":
        """Takes the lock.

        Raises:
            AtollError: another living process drives this store, the file cannot be written, or its file
                system has no locks.
        """
        deadline = time.monotonic() + _PATIENCE_S
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while not self._try_take():
                if time.monotonic() > deadline:
                    raise AtollError(self._refusal(living_driver(self.path)))
                time.sleep(_RETRY_S)
        except OSError as error:
            raise AtollError(self._explain(error)) from error
        _forget_in_children()
        _HELD.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is None:
            return  # a forked child: the lock is its parent's
        with suppress(OSError):  # what stays of the file holds nobody
            # The file may have been deleted by hand, and another driver's may have taken its place.
            if os.path.samestat(os.fstat(self._descriptor), os.stat(self.path)):
                self.path.unlink()
        self.forget()
        _HELD.discard(self)

    def forget(self) -> None:
        """Closes this process's handle; the lock ends with the last handle of the process that took it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _try_take(self) -> bool:
        """Returns False if the file is locked, or was taken away between opening and locking it."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            check_regular(self.path, os.fstat(descriptor))
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(descriptor), os.stat(self.path)):
                return False
            other = _named_in(descriptor)
            if other is not None and other.node != platform.node():
                raise AtollError(self._refusal(other))
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(asdict(Driver.this_process())).encode(), 0)
            os.fsync(descriptor)
            self._descriptor = descriptor
            return True
        except (BlockingIOError, FileNotFoundError):
            return False
        finally:
            if self._descriptor != descriptor:
                os.close(descriptor)

    def _refusal(self, other: Driver | None) -> str:
        who = "another process" if other is None or other.pid is None else f"process {other.pid}"
        is_here = other is None or other.node == platform.node()
        where = "" if is_here or other is None else f" on {other.node}, which cannot be asked from here"
        advice = "" if is_here else f"; if that process is gone, delete {self.path}"
        return (
            f"{who}{where} already drives a search in this store ({self.path}): "
            f"wait for it, stop it, or name another store with --store{advice}"
        )

    def _explain(self, error: OSError) -> str:
        if error.errno in _NO_LOCKS:
            return (
                f"cannot lock {self.path}: its file system has no locks ({error.strerror}), so that two "
                f"searches could write one store; name a store on another disk with --store"
            )
        return (
            f"cannot write the lock {self.path}: {error.strerror or error}; name a store in a folder that "
            "may be written with --store"
        )


#: the locks of this process
_HELD: set[DriverLock] = set()


@cache
def _forget_in_children() -> None:
    """Keeps a forked child, which may outlive the driver, from holding its lock."""
    os.register_at_fork(after_in_child=_forget_all)


def _forget_all() -> None:
    for lock in _HELD:
        lock.forget()
    _HELD.clear()


def living_driver(path: Path) -> Driver | None:
    """Returns the living driver of a store, None if there is none.

    One that a file names on another machine is taken to be living: not every shared disk shares its locks.

    Args:
        path: the lock file.
    """
    try:
        descriptor = open_at_once(str(path), os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _named_in(descriptor) or Driver(None, platform.node())
    except OSError:
        return None  # no locks on this disk: `DriverLock` lets nobody drive there
    else:
        named = _named_in(descriptor)
        return None if named is None or named.node == platform.node() else named
    finally:
        os.close(descriptor)


def _named_in(descriptor: int) -> Driver | None:
    """Returns whom the file names, None where it names nobody (torn by a process that died, or damaged)."""
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
        pid, node = found["pid"], found["node"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return Driver(pid, node) if type(pid) is int and isinstance(node, str) else None
