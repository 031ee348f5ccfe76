"""`atoll techniques`: what a recipe may be made of."""

from typing import Any

from ..tables import Column, FormatOption, print_table

COLUMNS = (
    Column("technique"),
    Column("stage"),
    Column("setting"),
    Column("allowed"),
    Column("default"),
    Column("grid", title="searched"),
    Column("source"),
)


def techniques(format: FormatOption = "table") -> None:
    """List the techniques with their settings: what is allowed, the default and what a search tries."""
    print_table(technique_rows(), COLUMNS, format)


def technique_rows() -> list[dict[str, Any]]:
    """Returns one row a setting; a technique without settings has one too."""
    from dataclasses import fields

    from ...spaces.techniques import TECHNIQUES

    rows: list[dict[str, Any]] = []
    for technique in TECHNIQUES:
        about = {"technique": technique.name, "stage": technique.stage, "source": technique.source}
        settings = [
            {
                **about,
                "setting": setting.name,
                "allowed": setting.metadata["domain"].describe(),
                "default": setting.default,
                "grid": ", ".join(str(value) for value in setting.metadata["domain"].grid),
                "source": setting.metadata["source"],
            }
            for setting in fields(technique)
        ]
        rows += settings or [about]
    return rows
