"""The tasks that Atoll brings along, and those that were prepared of a user's network and data."""

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from .characters import CHARACTERS, SMALL_CHARACTERS
from .digits import DIGITS
from .prepared import is_prepared, prepared_task
from .task import Task

#: Every built-in task.
TASKS: tuple[Task, ...] = (CHARACTERS, DIGITS, SMALL_CHARACTERS)


def load_task(name: str) -> Task:
    """Returns a task by its name, built in or prepared; its data are loaded when first asked for.

    Raises:
        AtollError: no task has this name, or it was not prepared on this machine.
    """
    if is_prepared(name):
        return prepared_task(name)
    for task in TASKS:
        if task.name == name:
            return task
    raise AtollError(f"unknown task {name!r}. {known_names(name, (task.name for task in TASKS))}")
