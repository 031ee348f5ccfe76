"""The files of a report, put into their folder together."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from ...spaces.errors import AtollError
from ...spaces.machine.replaced_file import replaced_file


def write_files(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Writes the files of a report; none takes its place before all of them are whole.

    Args:
        folder: made if need be; earlier files of these names are replaced.
        contents: of the files, by name.

    Returns:
        the files written, in this order.

    Raises:
        AtollError: they cannot be written; what was there stays.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as drafts:
            for name, content in contents.items():
                draft = drafts.enter_context(replaced_file(folder / name))
                draft.write(content)
                draft.flush()  # a full disk is seen here, and not when the first of them has its place
    except OSError as error:
        raise AtollError(f"cannot write the report to {folder}: {error.strerror or error}") from error
    return [folder / name for name in contents]
