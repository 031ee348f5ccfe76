"""The statements that make tables, views and comments, and which view needs which."""

import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from .fragments import FRAGMENTS
from .meanings import RELATIONS, meaning

_HEAD = re.compile(r"^CREATE OR REPLACE VIEW (\w+) AS\b", re.MULTILINE)
_WORD = re.compile(r"@(\w+)@")
_TABLE = re.compile(r"\b(FROM|JOIN) (\w+_rows)\b")


def tables() -> str:
    """Returns the statements that make the tables in an empty database."""
    return _read("schema.sql")


@functools.cache
def views(place: str = "") -> Mapping[str, str]:
    """Returns the statement that makes each view, by its name, each behind those that it looks at.

    Args:
        place: database and schema of the tables, with a point behind it; the current ones if empty.
    """
    sql = _WORD.sub(lambda word: FRAGMENTS[word[1]], re.sub("--.*", "", _read("views.sql")))
    sql = _TABLE.sub(rf"\1 {place}\2", sql)
    parts = _HEAD.split(sql)[1:]
    return {
        name: f"CREATE VIEW {name} AS {body.strip().rstrip(';')}"
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


def needed(names: Iterable[str]) -> list[str]:
    """Returns those of our views that have some of the names, and all that they look at, in order."""
    wanted = set(names)
    for name, statement in reversed(views().items()):
        if name in wanted:
            wanted |= set(re.findall(r"\b(?:FROM|JOIN) (\w+)\b", statement))
    return [name for name in views() if name in wanted]


def comments(columns: Mapping[str, Iterable[str]]) -> str:
    """Returns the statements that comment tables, views and their columns.

    Args:
        columns: of every table and view.

    Raises:
        KeyError: nobody said what one of them means.
    """
    said = []
    for relation, names in columns.items():
        kind = "VIEW" if relation in views() else "TABLE"
        said.append(f"{kind} {relation} IS {_literal(RELATIONS[relation])}")
        for name in names:
            said.append(f"COLUMN {relation}.{name} IS {_literal(str(meaning(relation, name)))}")
    return ";".join(f"COMMENT ON {one}" for one in said)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
