"""Lines from a terminal by readline: history of the sessions before, and Tab."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...evaluators.cache_dir import cache_dir
from ...spaces.errors import AtollError

#: what can follow a word: told what stands before it, the word, and what stands behind it
Offer = Callable[[str, str, str], list[str]]
_HISTORY = "sql_history"
_MOST_LINES = 1000  # own choice


@contextmanager
def edited_lines(offer: Offer, delimiters: str) -> Iterator[None]:
    """Lets `input` edit lines; without a readline in this Python it is as it was.

    Args:
        offer: what Tab offers.
        delimiters: characters that end a word.
    """
    try:
        import readline
    except ImportError:
        yield
        return
    found: list[str] = []

    def complete(word: str, place: int) -> str | None:
        if place == 0:
            line = readline.get_line_buffer()
            found[:] = offer(line[: readline.get_begidx()], word, line[readline.get_endidx() :])
        return found[place] if place < len(found) else None

    readline.set_completer_delims(delimiters)
    readline.set_completer(complete)
    readline.parse_and_bind("tab: complete")
    readline.parse_and_bind("set bell-style none")
    readline.set_auto_history(True)
    readline.set_history_length(_MOST_LINES)
    path = _history_file()
    if path is not None:
        with suppress(OSError):  # the first time
            readline.read_history_file(path)
    known = readline.get_current_history_length()
    try:
        yield
    finally:
        readline.set_completer(None)
        if path is not None:
            with suppress(OSError):  # a history that cannot be kept is none
                path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
                readline.append_history_file(readline.get_current_history_length() - known, path)


def _history_file() -> Path | None:
    try:
        return cache_dir() / _HISTORY
    except AtollError:
        return None
