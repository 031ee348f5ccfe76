"""The statements that make tables, views, macros and comments, and which needs which views."""

import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from .fragments import FRAGMENTS
from .meanings import MACROS, RELATIONS, meaning

_VIEW = re.compile(r"^CREATE OR REPLACE VIEW (\w+) AS\b", re.MULTILINE)
_MACRO = re.compile(r"^CREATE OR REPLACE MACRO (\w+)\(([^)]*)\) AS TABLE\b", re.MULTILINE)
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
    parts = _VIEW.split(_filled("views.sql", place))[1:]
    return {
        name: f"CREATE VIEW {name} AS {body.strip().rstrip(';')}"
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


@functools.cache
def macros(place: str = "") -> Mapping[str, str]:
    """Returns the statement that makes each macro, by its name.

    Args:
        place: as for `views`.
    """
    parts = _MACRO.split(_filled("macros.sql", place))[1:]
    return {
        name: f"CREATE MACRO {name}({' '.join(arguments.split())}) AS TABLE {body.strip().rstrip(';')}"
        for name, arguments, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    }


def call(macro: str) -> str:
    """Returns how a macro is called, with its defaults: `waterfall(trial, study := NULL)`."""
    return macros()[macro].removeprefix("CREATE MACRO ").split(") AS TABLE", 1)[0] + ")"


def needed(names: Iterable[str]) -> list[str]:
    """Returns those of our views that have some of the names, and all that they look at, in order.

    Args:
        names: of views and macros; others are left aside.
    """
    wanted = set(names)
    for name, statement in reversed(({**views(), **macros()}).items()):
        if name in wanted:
            wanted |= set(re.findall(r"\b(?:FROM|JOIN) (\w+)\b", statement))
    return [name for name in views() if name in wanted]


def comments(columns: Mapping[str, Iterable[str]], macros: Iterable[str]) -> str:
    """Returns the statements that comment tables, views, their columns, and macros.

    Args:
        columns: of every table and view.
        macros: names of macros.

    Raises:
        KeyError: nobody said what one of them means.
    """
    said = []
    for relation, names in columns.items():
        kind = "VIEW" if relation in views() else "TABLE"
        said.append(f"{kind} {relation} IS {_literal(RELATIONS[relation])}")
        for name in names:
            said.append(f"COLUMN {relation}.{name} IS {_literal(str(meaning(relation, name)))}")
    said += [f"MACRO TABLE {name} IS {_literal(MACROS[name])}" for name in macros]
    return ";".join(f"COMMENT ON {one}" for one in said)


def _filled(file: str, place: str) -> str:
    """Returns the statements of a file without comments, with what stands between two @."""
    fragments = FRAGMENTS | {"ranking": _read("ranking.sql")}
    sql = re.sub("--.*", "", _read(file))
    while _WORD.search(sql):
        sql = re.sub("--.*", "", _WORD.sub(lambda word: fragments[word[1]], sql))
    return _TABLE.sub(rf"\1 {place}\2", sql)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
