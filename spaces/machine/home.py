"""The user's home, which not every process has: containers run under users that nobody entered anywhere."""

from pathlib import Path


def home_folder() -> Path | None:
    """Returns the home folder, None where neither HOME nor the list of users names one."""
    try:
        return Path.home()
    except RuntimeError:
        return None
