"""The techniques and what they do to each other, as rows and as text for people."""

import inspect
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from ...spaces.recipes.pair_table import LEGEND, Matrix, matrix, pair_fates
from ...spaces.technique.technique import Technique
from ..terminal.said import tell
from ..terminal.table_layout import TextColumn, laid_out, wrapped
from ..terminal.tables import Column, print_table, screen_width

_COLUMNS = (
    Column("technique"),
    Column("stage"),
    Column("about"),
    Column("repeatable"),
    Column("example"),
    Column("source"),
    Column("setting"),
    Column("allowed"),
    Column("default"),
    Column("grid", title="searched"),
    Column("default_source"),
)
#: key -> header of a technique's settings
_SETTING_COLUMNS = {
    "setting": "setting",
    "allowed": "allowed",
    "default": "default",
    "grid": "searched",
    "default_source": "source of the default",
}
_PAIR_COLUMNS = (
    Column("first"),
    Column("second"),
    Column("constraint"),
    Column("fate"),
    Column("layers"),
    Column("refusal"),
)


def print_techniques(techniques: Sequence[type[Technique]], format: str) -> None:
    """Prints techniques with every setting, for people a paragraph each.

    Raises:
        AtollError: unknown format.
    """
    rows = technique_rows(techniques)
    if format != "table":
        print_table(rows, _COLUMNS, format)
        return
    for technique in techniques:
        _print_section([row for row in rows if row["technique"] == technique.name])


def technique_rows(techniques: Sequence[type[Technique]]) -> list[dict[str, Any]]:
    """Returns one row a setting; a technique without settings has one too."""
    rows: list[dict[str, Any]] = []
    for technique in techniques:
        about = {
            "technique": technique.name,
            "stage": technique.stage,
            "about": sentence(technique),
            "repeatable": technique.repeatable,
            "example": str(technique()),
            "source": technique.source,
        }
        settings = [
            {
                **about,
                "setting": setting.name,
                "allowed": setting.metadata["domain"].describe(),
                "default": setting.default,
                "grid": ", ".join(str(value) for value in setting.metadata["domain"].grid),
                "default_source": setting.metadata["source"],
            }
            for setting in fields(technique)
        ]
        rows += settings or [about]
    return rows


def sentence(technique: type[Technique]) -> str:
    """Returns what a technique does, in the words of its docstring's first paragraph."""
    return " ".join((inspect.getdoc(technique) or "").split("\n\n")[0].split())


def print_pairs(techniques: Sequence[type[Technique]], format: str) -> None:
    """Prints what later steps do to earlier ones, for people as a matrix, or in words for one technique.

    Args:
        techniques: all of them, or one: then the pairs that it is in.
        format: table, json or csv; json and csv have a row for every pair, constraint and fate.

    Raises:
        AtollError: unknown format.
    """
    pairs = pair_fates()
    names = {technique.name for technique in techniques}
    rows = [
        {**asdict(pair), "layers": list(pair.layers)} for pair in pairs if names & {pair.first, pair.second}
    ]
    if format == "table" and len(techniques) > 1:
        _print_matrix(matrix(pairs))
    elif format == "table":
        print_table([_in_words(row, rows) for row in rows], _PAIR_COLUMNS, format)
    elif format == "csv":
        print_table([{**row, "layers": " ".join(row["layers"])} for row in rows], _PAIR_COLUMNS, format)
    else:
        print_table(rows, _PAIR_COLUMNS, format)


def _in_words(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns a row for people: layers only where fates differ by layer."""
    key = ("first", "second", "constraint")
    alike = [other for other in rows if all(other[k] == row[k] for k in key)]
    nothing = row["constraint"] is None and row["refusal"] is None
    return {
        **row,
        "constraint": "nothing" if nothing else row["constraint"],
        "fate": "refused" if row["refusal"] else row["fate"],
        "layers": " ".join(row["layers"]) if len(alike) > 1 else "",
    }


def _print_section(rows: Sequence[dict[str, Any]]) -> None:
    first, width = rows[0], screen_width()
    again = "may come again later" if first["repeatable"] else "comes once for the same layers"
    columns = [
        TextColumn((header,), tuple(str(row.get(key, "")) for row in rows))
        for key, header in _SETTING_COLUMNS.items()
    ]
    said = (
        f"{first['technique']} ({first['stage']}; {again})",
        first["about"],
        f"Example: {first['example']}",
        f"Source: {first['source']}",
    )
    lines = [line for text in said for line in wrapped(text, width)]
    tell("\n".join([*lines, *laid_out(columns, width), ""]))


def _print_matrix(table: Matrix) -> None:
    numbers = {name: str(n) for n, name in enumerate(table.names, start=1)}
    rows = [
        {
            "first": f"{numbers[first]} {first}",
            "leaves": ", ".join(table.left[first]) or "nothing",
            **{numbers[second]: table.cells[first, second] for second in numbers},
        }
        for first in numbers
    ]
    print_table(rows, (Column("first"), Column("leaves"), *(Column(n) for n in numbers.values())))
    words = (
        "Columns are the second step, numbered as the rows. " + LEGEND.replace("`", ""),
        "In words, with layers and reasons: `atoll techniques NAME --pairs`",
    )
    tell("\n".join(line for text in words for line in wrapped(text, screen_width())))
