"""A study's task as its file or a caller gives it, brought to the name of one that workers know."""

from pathlib import Path
from typing import Any

from ...evaluators.own.mistake import TaskMistake
from ...evaluators.own.prepare import prepare
from ...spaces.errors import AtollError
from ..terminal.said import say
from .study_checks import StudyMistake


def is_own(task: Any) -> bool:
    """Whether a value is a user's own task, not the name of one."""
    return not isinstance(task, str) or ":" in task


def prepared_name(task: Any, folder: Path | None, default_name: str, images: int | None = None) -> str:
    """Imports the code that a task names and returns the name under which it was prepared.

    Args:
        task: as `evaluators.own.prepare.prepare` takes it.
        folder: that its paths are relative to; None where the task is of a store, whose code is not run.
        default_name: of a task without one.
        images: how many are decoded at most; all when None.

    Raises:
        StudyMistake: what is wrong, and where it stands.
    """
    if folder is None:
        raise StudyMistake(f"task: got {task!r:.100}, allowed is the name of a task", ("task",))
    try:
        return prepare(task, folder, default_name, say, images).name
    except TaskMistake as error:
        raise StudyMistake(str(error), ("task", *error.where)) from error
    except AtollError as error:
        raise StudyMistake(f"task: {error}", ("task",)) from error
