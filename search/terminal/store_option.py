"""The option `--store` of the commands, and where the store is without it."""

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_STORE = Path("atoll.duckdb")  # below the current folder (design.md, "Command line")
StoreOption = Annotated[Path, typer.Option("--store", envvar="ATOLL_STORE", help="The store, a DuckDB file.")]
