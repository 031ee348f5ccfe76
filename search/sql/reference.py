"""The parts of docs/sql.md that list every view, macro and column.

`python -m atoll.search.sql.reference docs/sql.md` writes them anew.
"""

import re
import sys
from pathlib import Path

import duckdb

from . import relations
from .meanings import MACROS, RELATIONS, meaning

#: where the tables of columns begin; they end with the page
HEADING = "## Every column"


def page(text: str) -> str:
    """Returns a page with its lists of views and macros, and its tables of columns, as they are now."""
    views = [(f"`{view}`", RELATIONS[view]) for view in relations.views()]
    macros = [(f"`{relations.call(macro)}`", text) for macro, text in MACROS.items()]
    lists = _listed(_listed(text.split(HEADING)[0], "view", views), "macro", macros)
    return lists + _columns()


def _listed(text: str, kind: str, rows: list[tuple[str, str]]) -> str:
    """Returns a text whose table with this heading has these rows."""
    heading = f"| {kind} | one row is |\n| --- | --- |\n"
    lines = "".join(f"| {name} | {said} |\n" for name, said in rows)
    return re.sub(rf"{re.escape(heading)}(?:\|.*\n)*", lambda _: heading + lines, text)


def _columns() -> str:
    """Returns a table of columns for every view, with what its comments say."""
    parts = [f"{HEADING}\n\nThese tables are made of the comments that stand in the file itself.\n"]
    with duckdb.connect(":memory:") as connection:
        connection.execute(relations.tables())
        for view, statement in relations.views().items():
            connection.execute(statement)
            rows = connection.execute("SELECT name, type FROM pragma_table_info(?)", [view]).fetchall()
            parts.append(f"### `{view}`\n\n{_table(view, rows)}\n")
    return "\n".join(parts)


def _table(view: str, rows: list[tuple[str, str]]) -> str:
    lines = ["| column | type | unit | kind | meaning |", "| --- | --- | --- | --- | --- |"]
    for name, kind in rows:
        said = meaning(view, name)
        lines.append(f"| `{name}` | {kind} | {said.unit} | {said.kind} | {said.text} |")
    return "\n".join(lines)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.write_text(page(place.read_text(encoding="utf-8")), encoding="utf-8")
