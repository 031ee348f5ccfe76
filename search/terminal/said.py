"""The one place that prints lines: `say` for the person, on stderr; `tell` for results, on stdout."""

import logging
import os
import sys
from typing import TextIO

from ...spaces.outside.shown import shown, shown_lines
from .table_layout import wrapped


def say(text: object) -> None:
    """Says something beside the result, on stderr: one line, which a terminal gets folded between words.

    Args:
        text: what; names in it may come from outside.
    """
    line, width = f"atoll: {shown(text)}", _width(sys.stderr)
    print(line if width is None else "\n".join(wrapped(line, width)), file=sys.stderr, flush=True)


def _width(stream: TextIO) -> int | None:
    """Returns how many characters a line of a terminal has; None of what is none."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError, AttributeError):
        return None


def tell(text: object, stream: TextIO | None = None) -> None:
    """Prints a line, or several, of a result.

    Args:
        text: lines; names in them may come from outside.
        stream: where to; stdout if None.
    """
    print(shown_lines(text), file=stream or sys.stdout, flush=stream is not None)


def show_logs() -> None:
    """Lets what is logged be shown like everything else, where nobody set up another way."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Shown())


class _Shown(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return shown_lines(super().format(record))
