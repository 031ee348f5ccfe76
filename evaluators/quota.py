"""Keeps what can be made again to a quota: what was not used for longest goes first, each as a whole."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

#: begins the names of folders that nobody reads: those in the making, and those on their way out
DRAFT = ".draft-"
#: a draft so old was left by a process that died; making the largest entry takes seconds
DRAFT_AGE_S = 24 * 3600


def keep_to(quota_bytes: int, entries: Iterable[Path], let_go: Callable[[Path], bool]) -> int:
    """Removes the least recently used entries until the quota is met.

    Args:
        quota_bytes: what all may take together.
        entries: folders or files.
        let_go: removes one and says whether it did; some stay.

    Returns:
        how many were removed.
    """
    sizes = {entry: bytes_of(entry) for entry in entries}
    total, removed = sum(sizes.values()), 0
    for entry in sorted(sizes, key=used_at):
        if total <= quota_bytes:
            break
        if let_go(entry):
            total -= sizes[entry]
            removed += 1
    return removed


def remove_whole(entry: Path) -> bool:
    """Takes an entry away at once, so that nobody finds half of it; says whether it is gone by that."""
    with suppress(OSError):  # another process was faster, or the folder is not ours to write
        gone = Path(tempfile.mkdtemp(prefix=DRAFT, dir=entry.parent))
        try:
            os.rename(entry, gone / entry.name)
            return True
        finally:
            shutil.rmtree(gone, ignore_errors=True)
    return False


def bytes_of(entry: Path) -> int:
    """Returns what the files of an entry take; 0 where it has just gone."""
    try:
        files = [entry] if entry.is_file() else [path for path in entry.rglob("*") if path.is_file()]
        return sum(path.stat().st_size for path in files)
    except OSError:
        return 0


def used_at(entry: Path) -> float:
    """Returns when an entry was used last, in seconds since 1970; 0 where it has just gone."""
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0
