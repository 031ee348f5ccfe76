"""Where files lie that can be made again: rendered data sets, steps of recipes."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Returns the folder for files that can be made again; it may not exist yet.

    Returns:
        `$ATOLL_CACHE` where that is set and not empty, else `~/.cache/atoll`.
    """
    chosen = os.environ.get("ATOLL_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "atoll"
