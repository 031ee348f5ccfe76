"""What is wrong with a user's task, and where it says so."""

from collections.abc import Iterator
from contextlib import contextmanager

from ...spaces.errors import AtollError


class TaskMistake(AtollError):
    """A value that no task may have; `where` is the way to it, keys and positions below `task`."""

    def __init__(self, message: str, where: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.where = where


@contextmanager
def told_at(*where: str | int) -> Iterator[None]:
    """Says of an error which value of the task it is about, unless it says so itself."""
    try:
        yield
    except TaskMistake:
        raise
    except AtollError as error:
        raise TaskMistake(str(error), where) from error
