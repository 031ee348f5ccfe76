"""Files that somebody else may have written: regular ones, read within bounds, inside their folder."""

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import AtollError

#: of a `.tflite` file, whose offsets are signed and have 32 bits (flatbuffers); none that we read is larger
LARGEST_BYTES = 2**31 - 1
#: of a JSON file: far more than the decisions of the zoo's deepest networks; parsed, JSON takes up to forty
#: times its bytes
LARGEST_JSON_BYTES = 2**24
#: of a number in JSON: below 2^63, and a float of that size has room to be squared
_DIGITS = 18
_CHUNK_BYTES = 2**20
#: characters of another library's message
_MESSAGE = 500
#: what wrong figures bring about in code that takes them for right ones
_DAMAGE = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


def inside(folder: Path, name: object) -> Path:
    """Returns the path of a regular file in a folder, by a name that somebody else chose.

    Raises:
        AtollError: the name leads out of the folder, or to something else than a regular file.
        OSError: there is no such file.
    """
    allowed = f"allowed is the name of a regular file in {folder}"
    if not isinstance(name, str) or not name or "\0" in name:
        raise AtollError(f"got the file name {str(name)[:80]!r}, {allowed}")
    parts = PurePosixPath(name).parts
    if ".." in parts or name.startswith("/"):
        raise AtollError(f"got the file name {name[:80]!r}, which leads out of the folder; {allowed}")
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise AtollError(f"{path} is a link out of the folder; {allowed}")
    check_regular(path, os.stat(path))
    return path


def open_at_once(name: str, flags: int) -> int:
    """Opens a file as `open` does, as its `opener`, but waits for nobody at the other end of a pipe."""
    return os.open(name, flags | os.O_NONBLOCK, 0o644)


def check_regular(path: Path, status: os.stat_result) -> None:
    """Refuses what is no regular file.

    Args:
        path: for messages.
        status: of what is open, or lies there.

    Raises:
        AtollError: it is a pipe, a socket or a device.
        IsADirectoryError: it is a folder.
    """
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(21, os.strerror(21), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise AtollError(f"{path} is no regular file (a pipe, socket or device), allowed is one")


def _chunks(path: Path, most: int) -> Iterator[bytes]:
    """Gives the content of a regular file piece by piece; a pipe is not waited for.

    Raises:
        AtollError: it is no regular file, or has more bytes than allowed.
        OSError: it cannot be read.
    """
    with open(path, "rb", opener=open_at_once) as stream:
        status = os.fstat(stream.fileno())
        check_regular(path, status)
        left = most
        while chunk := stream.read(_CHUNK_BYTES):
            left -= len(chunk)
            if left < 0 or status.st_size > most:
                size = max(status.st_size, most + 1)
                raise AtollError(f"{path} has {size:,} bytes, allowed are {most:,} at most")
            yield chunk


def read_bytes(path: Path, most: int = LARGEST_BYTES) -> bytes:
    """Returns the content of a regular file of at most so many bytes.

    Raises:
        AtollError: it is another kind of file, or larger.
        OSError: it cannot be read.
    """
    return b"".join(_chunks(path, most))


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a regular file, hexadecimal, in the memory of one piece of it.

    Raises:
        AtollError: it is another kind of file, or larger than any that we read.
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    for chunk in _chunks(path, LARGEST_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def read_json(path: Path) -> Any:
    """Returns the JSON value of a file.

    Raises:
        AtollError: it is no regular file, or too large.
        ValueError: it holds something else than JSON, with numbers of at most 18 digits before the point.
        OSError: it cannot be read.
    """
    content = read_bytes(path, LARGEST_JSON_BYTES)
    try:
        return json.loads(content.decode(), parse_int=_whole, parse_float=_real, parse_constant=_real)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{path.name}: its values are nested too deeply") from error


def _whole(text: str) -> int:
    if len(text.lstrip("-")) > _DIGITS:
        raise ValueError(f"got the number {text[:30]}, allowed are {_DIGITS} digits")
    return int(text)


def _real(text: str) -> float:
    number = float(text)
    if not abs(number) < 10**_DIGITS:
        raise ValueError(f"got the number {text[:30]}, allowed are finite ones below 1e{_DIGITS}")
    return number


@contextlib.contextmanager
def damage_told(what: str, allowed: str = "what `atoll export` wrote") -> Iterator[None]:
    """Turns what wrong figures bring about into one sentence.

    Args:
        what: got, for the message: "recipe.json holds no network".
        allowed: for the message.

    Raises:
        AtollError: the block raised something else than one, that is no failure of the machine.
    """
    try:
        yield
    except AtollError as error:
        if "\n" in str(error):  # a tracer's words on code that a figure led astray
            raise AtollError(f"{what}: {_one_line(error)}") from error
        raise
    except _DAMAGE as error:
        why = _one_line(f"{type(error).__name__}: {error}").rstrip(":")
        raise AtollError(f"{what}: {why}; allowed is {allowed}") from error


def _one_line(text: object) -> str:
    return f"{' '.join(str(text).split()):.{_MESSAGE}}"
