"""Where a statement comes from: the command line, a file, or what is piped in."""

import sys
from pathlib import Path

from ...spaces.errors import AtollError
from ...spaces.outside.foreign_file import read_bytes

#: what stands for stdin in place of a statement, as with other commands that read it
STDIN = "-"
#: bytes of a statement (own choice): a hundred times the longest of docs/sql.md
MOST_BYTES = 2**20


def statement_from(words: str | None, file: Path | None) -> str | None:
    """Returns the statement, None where a person at a terminal gave none.

    Args:
        words: of the command line; `-` for what is piped in.
        file: that has it.

    Raises:
        AtollError: it is given twice, is larger than `MOST_BYTES`, or no UTF-8; or there is none.
        OSError: the file cannot be read.
    """
    if words is not None and file is not None:
        raise AtollError("got a statement and --file: one of them is allowed")
    if words is not None and words != STDIN:
        return words
    if file is not None:
        return _text(read_bytes(file, MOST_BYTES), str(file))
    if sys.stdin is None:
        raise AtollError("no statement: name one, a file with --file, or pipe one in")
    if words == STDIN or not sys.stdin.isatty():
        content = sys.stdin.buffer.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise AtollError(f"the statement on stdin has more than {MOST_BYTES:,} bytes, which are allowed")
        return _text(content, "stdin")
    if not sys.stdout.isatty():
        raise AtollError("no statement: name one, a file with --file, or pipe one in")
    return None


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise AtollError(f"{where} has no UTF-8 text, which a statement has to be") from error
