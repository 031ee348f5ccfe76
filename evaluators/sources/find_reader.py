"""Which format a user's data have."""

from pathlib import Path

from ...spaces.errors import AtollError
from ...spaces.outside.shown import shown
from .cifar import Cifar, is_cifar
from .data_source import DataSource
from .function_data import read_function
from .image_folder import ImageFolder
from .npz_file import read_npz
from .reader import Reader
from .table_file import find_tables
from .table_reader import TableReader

_ALLOWED = (
    "allowed are a folder of pictures by class, the folder of CIFAR's published files, Parquet, Arrow and "
    ".npz files, and FILE.py:FUNCTION"
)


def find_reader(source: DataSource) -> Reader:
    """Returns the reader of the source's format, told by the names of its files.

    Raises:
        AtollError: nothing is there, or nothing that is read.
    """
    where = source.where
    if not isinstance(where, Path):
        return read_function(source, where)
    if not where.exists():
        raise AtollError(f"data: {shown(where)} is not there; {_ALLOWED}")
    if tables := find_tables(where):
        return TableReader(tables, source)
    if where.suffix.lower() == ".npz" and where.is_file():
        return read_npz(where)
    if not where.is_dir():
        raise AtollError(f"data: {shown(where)} is in no format that is read; {_ALLOWED}")
    return Cifar(where) if is_cifar(where) else ImageFolder(where)
