"""`atoll rebuild`: the identical network and artifact from an export's weights, recipe and decisions."""

from pathlib import Path
from typing import Annotated

import typer

from ...evaluators.ranking.figures import FIGURE
from ...spaces.errors import AtollError
from ..terminal.said import say
from ..terminal.tables import Column, FormatOption, print_record

DIFFERENT = 1  # exit status where another file comes out; 2 is wrong input


def rebuild(
    folder: Annotated[Path, typer.Argument(help="What `atoll export` wrote.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to write the .tflite file; nowhere if none."
        ),
    ] = None,
    format: FormatOption = "table",
) -> None:
    """Build an exported network again from its safetensors, recipe and decisions, without pickle.

    The .tflite file is written anew from it, and its SHA-256 compared with the one in the folder's card (exit
    status 1 if another comes out).
    """
    from ...evaluators.card.rebuild import rebuild as rebuild_folder

    found = rebuild_folder(folder)
    if output is not None:
        try:
            output.write_bytes(found.artifact)
        except OSError as error:
            raise AtollError(f"cannot write {output}: {error.strerror}") from error
    figures = {
        "folder": str(folder),
        "recipe": found.recipe,
        "parameters": found.parameters,
        "nonzero_parameters": found.nonzero_parameters,
        "weights_digest": found.weights_digest,
        "model_bytes": len(found.artifact),
        "sha256": found.digest,
        "expected_sha256": found.expected_digest,
        "identical": found.identical and found.difference is None,
    }
    columns = [
        Column("folder"),
        Column("recipe"),
        Column.exact(FIGURE["parameters"]),
        Column.exact(FIGURE["nonzero_parameters"]),
        Column("weights_digest"),
        Column.exact(FIGURE["model_bytes"].measured),
        Column("sha256"),
        Column("expected_sha256"),
        Column("identical"),
    ]
    print_record(figures, columns, format, f"rebuilt from {folder}")
    if found.identical is None:
        say(f"{folder} has neither card nor model.tflite to compare with")
    elif not found.identical:
        say(f"another file came out than {folder} names")
    if found.difference is not None:
        say(found.difference)
    if found.identical is False or found.difference is not None:
        raise typer.Exit(DIFFERENT)
