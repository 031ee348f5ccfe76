"""The user's home, which not every process has: containers run under users that nobody entered anywhere."""

import os
from pathlib import Path


def home_folder() -> Path | None:
    """Returns the home folder.

    Returns:
        None where neither HOME nor the list of users names one, or this user cannot enter it: a container
        started as another user keeps the HOME of its image's.
    """
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home if os.access(home, os.X_OK) else None
