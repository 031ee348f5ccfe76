"""`atoll rank`: the papers' ranking of the models in a CSV file."""

from pathlib import Path
from typing import Annotated

import typer

from ..tables import FormatOption


def rank(
    file: Annotated[Path, typer.Argument(help="CSV file, one model a row, its name in the first column.")],
    format: FormatOption = "table",
) -> None:
    """Rank the models of a CSV file by the papers' weighted score."""
    from ...spaces.errors import AtollError

    raise AtollError(f"ranking {file} is not built yet")
