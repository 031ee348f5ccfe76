"""Folders for files that nobody reads again: removed at the end, or by whoever comes next after a kill."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import AtollError

_PREFIX = "atoll-tmp-"
#: mkdtemp adds eight characters and the folder's own slash comes before it
_NAME_CHARACTERS = 1 + len(_PREFIX) + 8
#: where a short path is had on Linux, if the chosen folder for temporary files lies too deep
_SHORT_PLACES = ("/tmp", "/dev/shm", "/var/tmp")
#: a process that was told to end is gone after some tenths of a second; a command ends within five
_REMOVALS, _REMOVAL_PAUSE_S = 10, 0.05
_in_use: set[Path] = set()


@contextmanager
def scratch_folder(longest: int | None = None) -> Iterator[Path]:
    """Gives a new folder and removes it at the end, with those of killed runs beside it.

    A lock on the folder itself says that its maker lives: it goes with the process, however that ends.

    Args:
        longest: characters that its path may have; any number when None.

    Raises:
        AtollError: there is no writable place for it.
    """
    folder, descriptor = _make(scratch_place(longest))
    _in_use.add(folder)
    try:
        _sweep(folder.parent)
        yield folder
    finally:
        _remove(folder)
        _in_use.discard(folder)
        os.close(descriptor)


def remove_scratch() -> None:
    """Removes what this process has, for one that ends without putting anything away."""
    for folder in tuple(_in_use):
        _remove(folder)


def _remove(folder: Path) -> None:
    """Removes a folder in which a dying process may still write; what stays, the next run takes."""
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_REMOVAL_PAUSE_S)


def scratch_place(longest: int | None = None) -> Path:
    """Returns where scratch folders are made: among the temporary files, or where paths are short.

    Args:
        longest: as for `scratch_folder`.

    Raises:
        AtollError: there is no writable place for it.
    """
    try:
        chosen = [Path(tempfile.gettempdir()).absolute()]
    except OSError:
        chosen = []
    places = [*chosen, *map(Path, _SHORT_PLACES)] if longest is not None else chosen
    for place in places:
        is_short = longest is None or len(str(place)) + _NAME_CHARACTERS <= longest
        if is_short and os.access(place, os.W_OK | os.X_OK):
            return place
    limit = "" if longest is None else f" of at most {longest - _NAME_CHARACTERS} characters"
    raise AtollError(
        f"no folder for temporary files (TMPDIR is {os.environ.get('TMPDIR', 'not set')}): set TMPDIR to a "
        f"writable folder{limit}"
    )


def _make(place: Path) -> tuple[Path, int]:
    """Returns a new folder and the descriptor that holds its lock."""
    while True:
        try:
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
        except OSError as error:
            raise AtollError(
                f"cannot make a temporary folder in {place} ({error.strerror}): set TMPDIR to a writable "
                f"folder with free space"
            ) from error
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)  # swept between its making and its locking


def _sweep(place: Path) -> None:
    """Removes folders whose maker is gone."""
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another user's, or swept by another process
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(descriptor).st_uid == os.getuid():
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
