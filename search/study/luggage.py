"""A user's task on its way to machines without a shared disk: its files as objects of Ray."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...evaluators.cache_dir import cache_dir
from ...evaluators.prepared_quota import evict, hold
from ...evaluators.tasks.prepared import data_folder, is_prepared, prepared_folder, prepared_task
from ...evaluators.tasks.trusted import trust
from ...spaces.errors import AtollError, MachineError

#: of one object: pieces of a file larger than that are fetched one after the other, in so much memory
_PIECE_BYTES = 2**26


@dataclass(frozen=True)
class Luggage:
    """The folders of a prepared task.

    Args:
        task: its name.
        folders: by the place below the cache folder, the path of each file with its pieces.
        code: SHA-256 of the user's code among them, which the driver let run; None where there is none.
    """

    task: str
    folders: dict[str, dict[str, list[Any]]]
    code: str | None


def packed(task: str, put: Callable[[bytes], Any] | None = None) -> Luggage | None:
    """Returns the files of a prepared task as objects; None for a task that every machine has.

    Args:
        task: its name.
        put: makes an object of bytes; Ray's own when None.
    """
    if not is_prepared(task):
        return None
    if put is None:
        import ray

        put = ray.put
    home = cache_dir()
    folders = (data_folder(task), prepared_folder(task))
    return Luggage(
        task,
        {
            str(folder.relative_to(home)): {
                str(path.relative_to(folder)): [put(piece) for piece in _pieces(path)]
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }
            for folder in folders
        },
        prepared_task(task).code,
    )


def unpack(luggage: Luggage | None, get: Callable[[Any], bytes] | None = None) -> None:
    """Writes the files that this machine lacks into its cache folder; one process of it does, others wait.

    Args:
        luggage: None where there is nothing to do.
        get: gives the bytes of an object; Ray's own when None.

    Raises:
        MachineError: they cannot be written.
    """
    if luggage is None:
        return
    home = cache_dir()
    try:
        for place, files in luggage.folders.items():
            folder = home / place
            hold(folder)
            if folder.is_dir():
                continue
            folder.parent.mkdir(parents=True, exist_ok=True)
            with folder.with_name(f"{folder.name}.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not folder.is_dir():
                    _write(folder, files, get)
        evict()
    except OSError as error:
        raise MachineError(
            f"cannot write the task {luggage.task} to {home} ({error.strerror or error}); make room there, "
            "or name another folder in ATOLL_CACHE"
        ) from error
    if luggage.code is not None:
        trust(luggage.code)


def _write(folder: Path, files: dict[str, list[Any]], get: Callable[[Any], bytes] | None) -> None:
    if get is None:
        import ray

        get = ray.get
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, pieces in files.items():
            path = draft / name
            if not path.resolve().is_relative_to(draft.resolve()):
                raise AtollError(f"a file of the task is called {name!r:.80}, which leads out of its folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as stream:
                for piece in pieces:
                    stream.write(get(piece))
        draft.chmod(0o755)
        hold(draft)
        os.rename(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece
