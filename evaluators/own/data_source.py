"""The data of a user's task, as `evaluators/sources` reads them: decoded once, mapped by everybody."""

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from ...spaces.nearest import known_names
from ..cache_dir import cache_dir
from ..datasets.mapped_dataset import SPLITS, MappedDataset
from ..sources.data_source import DataSource, SettingMistake
from ..sources.decode import Progress
from ..sources.find_reader import find_reader
from ..sources.open_data import open_data, open_sample
from ..tasks.user_code import UserCode, told_if_slow
from .mistake import TaskMistake
from .task import Task

#: what a mapping of data may say beside where they are
WORDS = ("shares", "seed", "group", "label", "regression", "version", "at_most")

#: settings of data that stand elsewhere in a task
_SAID_AT = {
    "size": ("input", "size"),
    "channels": ("input", "channels"),
    "classes": ("classes",),
    "skip_bad": ("skip_bad",),
}


def open_task_data(
    task: Task, folder: Path, say: Callable[[str], None], images: int | None = None
) -> MappedDataset:
    """Returns the data of a task, decoded where that was not done yet.

    Args:
        task: says where they are and what its network takes.
        folder: that paths are relative to.
        say: hears what was found.
        images: how many are decoded at most, where they were not all decoded before; all when None.

    Raises:
        AtollError: they cannot be read, or are not what is allowed.
    """

    def progress(so_far: Progress) -> None:
        if so_far.done < so_far.total:
            say(f"data: {so_far}")

    source, running = _source(task, folder)
    with running:  # a function's data sets run its code item by item
        found = (
            open_data(source, cache_dir(), progress)
            if images is None
            else open_sample(source, cache_dir(), images)
        )
    for line in found.report.lines():
        say(f"data: {line}")
    return found


def count_items(task: Task, folder: Path) -> int:
    """Returns how many items the data of a task hold in all, as decoded or not; nothing is decoded.

    Raises:
        AtollError: as `open_task_data`.
    """
    source, running = _source(task, folder)
    with running:
        total = find_reader(source).total
    return min(total, source.at_most or total)


def _source(task: Task, folder: Path) -> tuple[DataSource, AbstractContextManager[object]]:
    """Returns where data are, and the context in which they are read: a function's run its code."""
    code = UserCode(folder)
    where, words = _where(task)
    try:
        source = DataSource(
            where=_opened(where, code),
            size=task.input.height_width,
            channels=task.input.channels,
            classes=task.classes,
            skip_bad=task.skip_bad,
            **words,
        )
    except SettingMistake as error:
        place = _SAID_AT.get(error.setting, ("data", error.setting))
        raise TaskMistake(str(error), place) from error
    return source, nullcontext() if isinstance(source.where, Path) else code.running("data")


def _where(task: Task) -> tuple[Any, dict[str, Any]]:
    """Returns where data are, and what else is said of them."""
    data = task.data
    if data is None:
        data = {name: getattr(task, name) for name in SPLITS if getattr(task, name) is not None}
    if not isinstance(data, Mapping):
        return data, {}
    if any(name in SPLITS for name in data) and not any(isinstance(one, str) for one in data.values()):
        return _given(data), {}
    unknown = [name for name in data if name not in ("path", *WORDS)]
    if unknown:
        message = f"data: unknown key {unknown[0]!r}; {known_names(str(unknown[0]), ('path', *WORDS))}"
        raise TaskMistake(message, ("data", unknown[0]))
    if "path" not in data:
        raise TaskMistake("data.path is missing", ("data",))
    words = {name: data[name] for name in WORDS if name in data}
    return data["path"], words


def _opened(where: Any, code: UserCode) -> Path | Callable[[], Any]:
    if callable(where):
        return where  # type: ignore[no-any-return]
    if not isinstance(where, str | Path):
        return _given(where)
    place, _, name = str(where).rpartition(":")
    if place and name.isidentifier() and not (code.folder / where).exists():
        function = code.function(str(where))

        @functools.wraps(function)
        def asked() -> Any:
            with told_if_slow(f"calling {where} for the data"):
                return function()

        return asked
    return code.folder / where


def _given(data: Any) -> Callable[[], Any]:
    """Returns a function that gives data which are there; messages call them `task:data`."""

    def given() -> Any:
        return data

    given.__module__, given.__qualname__ = "task", "data"
    return given
