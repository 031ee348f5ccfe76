"""The tasks that Atoll brings along."""

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from .characters import CHARACTERS
from .digits import DIGITS
from .task import Task

#: Every built-in task.
TASKS: tuple[Task, ...] = (CHARACTERS, DIGITS)


def load_task(name: str) -> Task:
    """Returns a built-in task by its name; its data are loaded when first asked for.

    Raises:
        AtollError: no task has this name.
    """
    for task in TASKS:
        if task.name == name:
            return task
    raise AtollError(f"unknown task {name!r}. {known_names(name, (task.name for task in TASKS))}")
