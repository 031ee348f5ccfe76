"""A text that a terminal cannot hold goes through a pager."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ...spaces.outside.shown import shown_lines
from .said import tell

#: as Git sets it: what fits is printed and done, and stays on the screen
_LESS = "FX"


def show_paged(text: str) -> None:
    """Prints a text, on a terminal of fewer lines through `$PAGER`, `less` where that is not set.

    Args:
        text: lines; names in them may come from outside.
    """
    command = _pager()
    if command is None or not _is_terminal() or len(text.splitlines()) < shutil.get_terminal_size().lines:
        tell(text)
        return
    sys.stdout.flush()
    with _interrupts_left_to_pager():
        subprocess.run(
            command,
            input=shown_lines(text) + "\n",
            encoding="utf-8",
            errors="replace",
            env={"LESS": _LESS} | os.environ,
            check=False,
        )


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _pager() -> list[str] | None:
    """Returns the words of the pager's command, None where there is none, or it is `cat`."""
    try:
        words = shlex.split(os.environ.get("PAGER", "less"))
    except ValueError:  # a quote without an end
        return None
    return words if words and words[0] != "cat" and shutil.which(words[0]) else None


@contextmanager
def _interrupts_left_to_pager() -> Iterator[None]:
    """Ctrl-C reaches the pager too, for which it ends a search; it is no reason to end the command."""
    before = signal.signal(signal.SIGINT, lambda *_: None)  # what is ignored the pager would inherit
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
