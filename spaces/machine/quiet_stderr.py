"""What libraries in C++ print past Python."""

import contextlib
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[list[str]]:
    """Collects what a runtime in C++ prints on file descriptor 2 instead of showing it to the user.

    It is the descriptor of the whole process: not for two threads at a time.
    """
    lines: list[str] = []
    saved = os.dup(2)
    try:
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), 2)
            try:
                yield lines
            finally:
                os.dup2(saved, 2)
                sink.seek(0)
                lines.extend(sink.read().decode(errors="replace").splitlines())
    finally:
        os.close(saved)
