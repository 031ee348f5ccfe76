"""The part of docs/sql.md that lists every macro and column.

`python -m atoll.search.sql.reference docs/sql.md` writes it anew.
"""

import sys
from pathlib import Path

import duckdb

from . import relations
from .meanings import MACROS, RELATIONS, meaning

#: where the part begins; it ends with the page
HEADING = "## Every column"


def reference() -> str:
    """Returns the part: every macro with its arguments, and a table of columns for every view.

    Type, unit, how the values came about, and what the column means are those of the comments in the file.
    """
    parts = [f"{HEADING}\n\nThis part is made of the comments that stand in the file itself.\n"]
    with duckdb.connect(":memory:") as connection:
        connection.execute(relations.tables())
        for view, statement in relations.views().items():
            connection.execute(statement)
            rows = connection.execute("SELECT name, type FROM pragma_table_info(?)", [view]).fetchall()
            parts.append(f"### `{view}`\n\nOne row is {RELATIONS[view]}.\n\n{_table(view, rows)}\n")
    return "\n".join([*parts, "### Macros\n", *map(_macro, MACROS), ""])


def page(text: str) -> str:
    """Returns a page with the part as it is now."""
    return text.split(HEADING)[0] + reference()


def _table(view: str, rows: list[tuple[str, str]]) -> str:
    lines = ["| column | type | unit | kind | meaning |", "| --- | --- | --- | --- | --- |"]
    for name, kind in rows:
        said = meaning(view, name)
        lines.append(f"| `{name}` | {kind} | {said.unit} | {said.kind} | {said.text} |")
    return "\n".join(lines)


def _macro(name: str) -> str:
    return f"- `{relations.call(name)}`: {MACROS[name]}."


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.write_text(page(place.read_text(encoding="utf-8")), encoding="utf-8")
