"""A folder that is there as a whole or not at all: built beside its place, and renamed at the end."""

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from ...spaces.errors import AtollError
from ...spaces.outside.foreign_file import inside, read_json

#: ends of the names of what lies beside the place: what is being built, and what is being replaced
_BUILT, _REPLACED = ".partial", ".replaced"
#: of renameat2(2): paths are absolute, and both names stay, exchanged
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
#: what a kernel or a file system answers that cannot do that
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def check_replaceable(place: Path, index: str, own: tuple[str, ...]) -> None:
    """Looks whether a folder may be written here: nothing is there, or an empty folder, or one of ours.

    Args:
        place: of the folder.
        index: name of its JSON file that names the others under `files`.
        own: further files that belong to it.

    Raises:
        AtollError: something else is there, which would be lost.
    """
    try:
        there = sorted(path.name for path in place.iterdir())
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise AtollError(f"cannot write the export to {place}: File exists, and is no folder") from error
    except OSError as error:
        raise AtollError(f"cannot write the export to {place}: {error.strerror}") from error
    if Path.cwd().is_relative_to(place.resolve()):
        raise _cannot_be_moved(place, "in use as the current one")
    if os.path.ismount(place):
        raise _cannot_be_moved(place, "a mount point")
    strangers = [name for name in there if name not in {index, *own, *_named(place, index)}]
    if strangers:
        raise AtollError(
            f"cannot write the export to {place}: it holds {strangers[0]!r}, which is of no export, and a "
            "folder is replaced as a whole; allowed are a new or empty one, and one that `atoll export` wrote"
        )


def _cannot_be_moved(place: Path, why: str) -> AtollError:
    return AtollError(
        f"cannot write the export to {place}: a folder is replaced as a whole, and this one is {why}; "
        f"allowed is one inside it, such as {place / 'model'}"
    )


def _named(place: Path, index: str) -> list[str]:
    try:
        return list(read_json(inside(place, index))["files"])
    except (OSError, ValueError, KeyError, TypeError, AtollError):
        return []


@contextlib.contextmanager
def whole_folder(place: Path) -> Iterator[Path]:
    """Gives an empty folder beside a place, which takes it when the block ends, and is gone if that fails.

    What crashed there before is tidied up: a folder that was on its way out comes back where nothing took its
    place. In between a reader sees the old folder or the new one; for a moment neither, where the file system
    cannot exchange two names in one step (ext4, XFS, Btrfs and tmpfs can; NFS cannot).

    Args:
        place: of the folder; what is there is replaced.

    Raises:
        AtollError: it cannot be written.
    """
    try:
        target = place.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        _tidy(target)
        folder = _beside(target, _BUILT)
        folder.mkdir()
        with _held(folder):
            try:
                yield folder
                _take_place(folder, target)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        if error.errno == errno.EBUSY:  # a folder mounted from the same disk looks like any other
            raise _cannot_be_moved(place, "a mount point") from error
        raise AtollError(f"cannot write the export to {place}: {error.strerror or error}") from error


def _beside(target: Path, end: str) -> Path:
    return target.parent / f".{target.name}.{uuid.uuid4().hex}{end}"


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Locks a folder for as long as this process lives, so that nobody takes it for a leftover."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: nothing is tidied up there either
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _is_left(folder: Path) -> bool:
    """Whether no living process holds a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _tidy(target: Path) -> None:
    """Removes what crashed exports left beside a place; brings back what one of them had moved away."""
    ours = f".{target.name}."
    for name in sorted(os.listdir(target.parent)):
        path, middle = target.parent / name, name.removeprefix(ours)
        if name == middle or len(middle.partition(".")[0]) != len(uuid.uuid4().hex) or not _is_left(path):
            continue
        if name.endswith(_REPLACED) and not target.exists():
            path.rename(target)
        elif name.endswith((_BUILT, _REPLACED)):
            shutil.rmtree(path, ignore_errors=True)


def _take_place(folder: Path, target: Path) -> None:
    """Moves a folder to its place, whose old one goes; it is on the disk before."""
    for path in (*folder.iterdir(), folder):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    try:
        folder.rename(target)  # nothing there, or an empty folder
        return
    except OSError:
        if not target.is_dir():
            raise
    if _swapped(folder, target):
        return  # the old one bears the name of what was built, which is removed in the end
    old = _beside(target, _REPLACED)
    with _held(target):
        target.rename(old)
        try:
            folder.rename(target)
        except OSError:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _swapped(one: Path, other: Path) -> bool:
    """Exchanges two folders in one step; returns False where that cannot be done.

    Raises:
        OSError: it can, and one of the two may not be moved.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:  # a C library older than glibc 2.28
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(one))
