"""Rows as a table of Markdown, as GitHub reads it."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...spaces.outside.shown import markdown
from .tables import Column, is_number


def markdown_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> str:
    """Returns rows as a table; what came from outside is text in it, never markup.

    Args:
        rows: one mapping a row; a missing key is an empty cell.
        columns: what to show, in this order, numbers to the right.
    """
    numeric = [any(is_number(row.get(column.name)) for row in rows) for column in columns]
    lines = [
        [markdown(" ".join(column.header.split("\n"))) for column in columns],
        ["---:" if right else "---" for right in numeric],
        *([markdown(column.cell(row)) for column in columns] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
