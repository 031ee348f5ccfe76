"""The option `--store` of the commands, and where the store is without it."""

from pathlib import Path
from typing import Annotated

import typer

#: In the current folder: every project keeps its own trials, and they lie where one looks for them.
DEFAULT_STORE = Path("atoll.duckdb")
StoreOption = Annotated[Path, typer.Option("--store", envvar="ATOLL_STORE", help="The store, a DuckDB file.")]
