"""`atoll techniques`: what a recipe may be made of."""

from typing import Annotated

import typer

from ..terminal.tables import FormatOption


def techniques(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One technique alone; all if none is named.")
    ] = None,
    pairs: Annotated[
        bool, typer.Option("--pairs", help="What a second step does to what a first one left.")
    ] = False,
    format: FormatOption = "table",
) -> None:
    """List the techniques with their settings: what is allowed, the default and what a search tries."""
    from ...spaces.techniques import TECHNIQUES, technique_named
    from .technique_list import print_pairs, print_techniques

    chosen = TECHNIQUES if name is None else (technique_named(name),)
    if pairs:
        print_pairs(chosen, format)
    else:
        print_techniques(chosen, format)
