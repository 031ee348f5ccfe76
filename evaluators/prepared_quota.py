"""The quota of prepared tasks, their decoded data and trained heads, and who holds them.

Whoever opens or makes an entry shares an advisory lock on its description (the JSON file at its top; a head
is its own) until its process ends, when the system frees it, whatever happened. An entry goes only by the
whole of its lock: nothing goes that a running process, or the study that is beginning now, needs. A lock on
a file, and not on the folder, also holds between the machines of a shared home (NFS has none on folders).
"""

import fcntl
import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from ..spaces.errors import AtollError
from .cache_dir import cache_dir
from .quota import DRAFT_AGE_S, bytes_of, keep_to, remove_whole, used_at

#: what each folder below the cache folder holds
FOLDERS = {"data": "decoded data", "tasks": "prepared tasks", "heads": "trained heads"}
#: names another quota, in GiB
VARIABLE = "ATOLL_DATA_GIB"
#: Own choice: twenty data sets of 10,000 pictures at 224x224, 1.4 GiB each when decoded, and as much as a
#: disk for the work of one person has to spare beside the step cache.
QUOTA_GIB = 32.0
GIB = 2**30
#: files that a process keeps open for what it holds: a search needs two, a notebook some more, and the system
#: gives 1,024 at least
_HELD_AT_MOST = 64

#: by device and inode, so that a draft is held under its later name too; the oldest come first
_held: dict[tuple[int, int], BinaryIO] = {}


def hold(entry: Path) -> None:
    """Keeps an entry, which is used now, until this process ends; one that is not there is not held.

    Where it is just being removed this waits, and the entry is gone then: who opens it afterwards finds all
    of it or nothing.

    Args:
        entry: folder or file, also one in the making.
    """
    with suppress(OSError):  # it is not there, or on a disk without locks, where nothing is ever removed
        file = (_description(entry) or entry).open("rb")
        status = os.fstat(file.fileno())
        if (status.st_dev, status.st_ino) in _held:
            file.close()
        else:
            fcntl.flock(file, fcntl.LOCK_SH)
            _held[status.st_dev, status.st_ino] = file
            if len(_held) > _HELD_AT_MOST:
                _held.pop(next(iter(_held))).close()
        os.utime(entry)


def quota_bytes() -> int:
    """Returns what prepared tasks, decoded data and heads may take together.

    Raises:
        AtollError: `ATOLL_DATA_GIB` is no number.
    """
    said = os.environ.get(VARIABLE) or str(QUOTA_GIB)
    try:
        gib = float(said)
    except ValueError:
        gib = math.nan
    if not 0 <= gib * GIB < math.inf:  # 1e308 GiB are no number of bytes
        raise AtollError(f"{VARIABLE} is {said[:40]!r}, allowed are the GiB of decoded data, 0 or more")
    return int(gib * GIB)


def taken_bytes() -> dict[str, int]:
    """Returns what each of the folders takes, by what it holds; drafts included."""
    return {what: bytes_of(cache_dir() / folder) for folder, what in FOLDERS.items()}


def evict() -> int:
    """Removes the least recently used entries that nobody holds until the quota is met; returns how many.

    Drafts that processes left when they died go too.

    Raises:
        AtollError: `ATOLL_DATA_GIB` is no number.
    """
    quota, entries = quota_bytes(), []
    for path in (path for folder in FOLDERS for path in (cache_dir() / folder).glob("*")):
        if path.name.startswith(".") or path.suffix == ".partial":
            _sweep(path)
        elif path.suffix != ".lock":
            entries.append(path)
    return keep_to(quota, entries, _let_go)


def _sweep(draft: Path) -> None:
    """Removes a draft into which nothing was written for long: decoding may well take longer than that."""
    with suppress(OSError):  # it got its name just now
        if time.time() - max(map(used_at, (draft, *draft.rglob("*")))) > DRAFT_AGE_S:
            remove_whole(draft)


def _let_go(entry: Path) -> bool:
    """Removes an entry unless somebody holds it; says whether it did."""
    try:
        lock = _description(entry)
        if lock is None:  # damaged: nobody can have opened it
            return remove_whole(entry)
        with lock.open("r+b") as file:  # writable, since NFS locks no other file exclusively
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_same = os.path.samestat(os.fstat(file.fileno()), lock.stat())  # not made anew meanwhile
            return is_same and remove_whole(entry)
    except OSError:  # it is held, gone, or not ours to write
        return False


def _description(entry: Path) -> Path | None:
    """Returns the file whose lock is the entry's: itself, or the JSON file at its top; None without one."""
    return entry if entry.is_file() else min(entry.glob("*.json"), default=None)
