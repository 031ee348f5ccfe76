"""Which user code this machine ran before: digests in a file of the user's own."""

from contextlib import suppress
from pathlib import Path

from ...spaces.errors import AtollError, MachineError
from ..cache_dir import cache_dir

#: in the cache folder, beside what was prepared: whoever can write there can write what is run from there
_FILE = "trusted"


def is_trusted(digest: str) -> bool:
    """Whether the user let code of this digest run on this machine."""
    with suppress(OSError):
        return digest in _file().read_text(encoding="utf-8").split()
    return False


def trust(digest: str) -> None:
    """Remembers that the user let code of this digest run.

    Raises:
        MachineError: the cache folder cannot be written.
    """
    if is_trusted(digest):
        return
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        with _file().open("a", encoding="utf-8") as handle:
            handle.write(f"{digest}\n")
    except OSError as error:
        raise MachineError(
            f"cannot write {_file()} ({error.strerror or error}); ATOLL_CACHE names another folder"
        ) from error


def check_trusted(digest: str, files: tuple[str, ...]) -> None:
    """Refuses code that nobody let run on this machine.

    Raises:
        AtollError: it names the files.
    """
    if not is_trusted(digest):
        raise AtollError(f"needs {', '.join(files)}: --trust runs it (`atoll resume`, `atoll export`)")


def _file() -> Path:
    return cache_dir() / _FILE
