"""Which format a user's data have."""

from pathlib import Path

from ...spaces.errors import AtollError
from ...spaces.outside.shown import shown
from .data_source import DataSource
from .image_folder import ImageFolder
from .reader import Reader


def find_reader(source: DataSource) -> Reader:
    """Returns the reader of the source's format, which looks at names, not into files, wherever that tells.

    Raises:
        AtollError: nothing is there, or nothing that is read.
    """
    if not isinstance(source.where, Path):
        raise AtollError("functions come next")
    where = source.where
    if not where.exists():
        raise AtollError(
            f"data: {shown(where)} is not there; allowed are a folder of pictures by class, CIFAR's files, "
            "Parquet, Arrow and .npz files, and FILE.py:FUNCTION"
        )
    return ImageFolder(where)
