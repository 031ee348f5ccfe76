"""Keeps the chatter of exporters and runtimes from the user, and turns their failures into sentences."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

from ...spaces.errors import AtollError


@contextlib.contextmanager
def quiet(what: str) -> Iterator[None]:
    """Swallows what exporters and runtimes print and warn, and tells their failures in one line.

    Args:
        what: is done inside; begins the message where it fails.

    Raises:
        AtollError: whatever failed inside.
    """
    try:
        with hushed():
            yield
    except AtollError:
        raise
    except Exception as error:  # they raise whatever they like, and its text is all there is to tell
        why = " ".join(str(error).split()) or type(error).__name__
        raise AtollError(f"{what}: this network fails in it: {type(error).__name__}: {why[:500]}") from error


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Swallows what is written to the process's two outputs, and every warning."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(descriptor) for descriptor in (1, 2)]
    try:
        with contextlib.ExitStack() as stack:
            sink = stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
            for redirect in (contextlib.redirect_stdout, contextlib.redirect_stderr):
                stack.enter_context(redirect(sink))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            for descriptor in (1, 2):  # what compiled code writes goes past Python's streams
                os.dup2(sink.fileno(), descriptor)
            yield
    finally:
        for descriptor, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)
