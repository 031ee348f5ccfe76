"""A file that is there as a whole or not at all: written beside its place, and renamed at the end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replaced_file(path: Path) -> Iterator[IO[bytes]]:
    """Gives a stream whose content takes the place of a file once it is whole.

    Behind a link it is the file that it names. What is no file, as /dev/stdout, is written to and stays.

    Args:
        path: of the file.

    Raises:
        OSError: it cannot be written.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            yield stream
        return
    place = path.resolve()
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)  # of a process that had this number and was killed
        with draft.open("xb") as stream:
            yield stream
        os.replace(draft, place)
    finally:
        draft.unlink(missing_ok=True)
