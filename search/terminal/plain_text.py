"""What we print reaches every terminal: signs that its character set lacks are said in ASCII."""

import codecs
import os
import sys
from typing import Any, TextIO

_SIGNS = {
    "→": "->",
    "←": "<-",
    "×": "x",
    "±": "+-",
    "·": "*",
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "≤": "<=",
    "≥": ">=",
    "µ": "u",
    "²": "^2",
    "°": " degrees",
    "█": "#",
}
_HANDLER = "atoll"


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(_SIGNS.get(sign) or _escaped(sign) for sign in signs), error.end


def _escaped(sign: str) -> str:
    return sign.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(_HANDLER, _in_ascii)


def speak_plainly(*streams: TextIO | Any) -> None:
    """Lets streams of a poor character set print everything; one of UTF-8 stays as it is."""
    for stream in streams:
        if hasattr(stream, "reconfigure") and not says_everything(stream):
            stream.reconfigure(errors=_HANDLER)


def open_closed_streams() -> None:
    """Gives a process that was started with a standard stream closed (`>&-`) an empty one in its place.

    Else what is said on stderr would go to stdout, and the next file that is opened would take the place of a
    stream, into which other libraries write.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def says_everything(stream: Any) -> bool:
    """Whether a stream's character set has every sign there is."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")
