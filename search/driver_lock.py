"""One driver a store: a lock file that names the process, so that a dead one never blocks."""

import fcntl
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from ..spaces.errors import AtollError

# psutil derives start times from the boot time, which moves a little when the clock is set.
_START_TIME_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class Driver:
    """The process that drives a study.

    Args:
        pid: process id.
        process_started_at: start time of that process, seconds since the epoch: a process id alone is
            given again to others.
        node: name of the machine.
    """

    pid: int
    process_started_at: float
    node: str

    @classmethod
    def this_process(cls) -> "Driver":
        """Returns the entry of the calling process."""
        return cls(os.getpid(), psutil.Process().create_time(), platform.node())

    def is_this_process(self) -> bool:
        """Returns whether the calling process is the driver."""
        return self.pid == os.getpid() and self.node == platform.node()

    def is_living(self) -> bool:
        """Returns whether the process still runs; a process of another machine is taken to be living."""
        if self.node != platform.node():
            return True
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.process_started_at) < _START_TIME_TOLERANCE_S
            return is_same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.AccessDenied:
            return True
        except psutil.NoSuchProcess:
            return False


class DriverLock:
    """Context manager that makes this process the driver of a store.

    Args:
        path: the lock file, beside the store.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def __enter__(self) -> "DriverLock":
        """Takes the lock.

        Raises:
            AtollError: another living process drives this store, or the file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while not self._try_take():
                pass
        except OSError as error:
            raise AtollError(
                f"cannot write the lock {self.path}: {error.strerror or error}; a writable folder is needed"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        driver = living_driver(self.path)
        if driver is not None and driver.is_this_process():
            self.path.unlink(missing_ok=True)

    def _try_take(self) -> bool:
        """Returns False if the file was taken away between opening and locking it."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # only for this moment: reading and writing are one act
            try:
                if not os.path.samestat(os.fstat(descriptor), os.stat(self.path)):
                    return False
            except FileNotFoundError:
                return False
            other = living_driver(self.path)
            if other is not None:
                raise AtollError(self._refusal(other))
            os.ftruncate(descriptor, 0)
            os.write(descriptor, json.dumps(asdict(Driver.this_process())).encode())
            os.fsync(descriptor)
            return True
        finally:
            os.close(descriptor)

    def _refusal(self, other: Driver) -> str:
        here = "" if other.node == platform.node() else f" on {other.node}, which cannot be asked from here"
        advice = f"; if that process is gone, delete {self.path}" if here else ""
        return (
            f"process {other.pid}{here} already drives a search in this store ({self.path}): "
            f"wait for it, stop it, or name another store with --store{advice}"
        )


def living_driver(path: Path) -> Driver | None:
    """Returns the living driver named in a lock file, None if there is none.

    Args:
        path: the lock file.
    """
    try:
        driver = Driver(**json.loads(Path(path).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None  # no file, or one torn by a process that died while it wrote
    return driver if driver.is_living() else None
