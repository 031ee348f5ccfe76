"""The formats that an answer can have, and which a file's ending names."""

from pathlib import Path
from typing import Literal, get_args

Format = Literal["table", "json", "csv", "parquet", "markdown"]
FORMATS: tuple[str, ...] = get_args(Format)
_OF_ENDING: dict[str, Format] = {
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
    ".md": "markdown",
}


def format_of(output: Path | None) -> Format:
    """Returns the format that a file's ending names, a table where it names none."""
    return "table" if output is None else _OF_ENDING.get(output.suffix.lower(), "table")
