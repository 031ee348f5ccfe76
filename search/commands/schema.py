"""`atoll schema`: the JSON Schema of study files, for editors."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ..terminal.said import say
from ..terminal.tables import print_json


def schema(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.json", help="Where to write it; stdout if none."),
    ] = None,
) -> None:
    """Print the JSON Schema of study files: with it an editor completes them and marks mistakes."""
    from ..study.study_schema import study_schema

    found = study_schema()
    if output is None:
        print_json(found)
        return
    output.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    say(f"{output}: docs/first_steps.md says how an editor gets to know it")
