"""Where files lie that can be made again: rendered data sets, steps of recipes."""

import os
import tempfile
from pathlib import Path

from ..spaces.errors import AtollError
from ..spaces.machine.home import home_folder


def cache_dir() -> Path:
    """Returns the folder for files that can be made again; it may not exist yet.

    Returns:
        `$ATOLL_CACHE` where that is set and not empty, else `~/.cache/atoll`; for a user without a home that
        can be written a folder of its own beside the temporary files.

    Raises:
        AtollError: that folder belongs to somebody else, who could put anything into it.
    """
    chosen = os.environ.get("ATOLL_CACHE")
    if chosen:
        return _expanded(chosen)
    home = home_folder()
    usual = None if home is None else home / ".cache" / "atoll"
    return usual if usual is not None and _can_be_made(usual) else _without_home()


def _can_be_made(folder: Path) -> bool:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return os.access(there, os.W_OK | os.X_OK)


def _expanded(chosen: str) -> Path:
    try:
        return Path(chosen).expanduser()
    except RuntimeError as error:
        raise AtollError(f"ATOLL_CACHE is {chosen}, but there is no such home: name a whole path") from error


def _without_home() -> Path:
    folder = Path(tempfile.gettempdir()) / f"atoll-cache-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        is_own = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
    except OSError as error:
        raise AtollError(
            f"no writable home, and {folder} cannot be made ({error.strerror}): set ATOLL_CACHE to a "
            f"writable folder"
        ) from error
    if not is_own:
        raise AtollError(
            f"no writable home, and {folder} is another user's: set ATOLL_CACHE to a writable folder"
        )
    return folder
