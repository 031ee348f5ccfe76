"""What a statement may have meant by a name that nothing has: said by difflib over what the store has."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

import duckdb

from ...evaluators.ranking.ranking import PROFILES, SCORINGS
from . import relations

_TABLE = re.compile(r"(?P<kind>Table|Table Function) with name (?P<name>\S+) does not exist!.*")
_NEAR = re.compile(
    r"(?P<said>.*\"(?P<name>[^\"]+)\".*?)!? (?P<tail>Candidate (?:bindings|tables): (?P<near>.*))"
)
_COLUMN = re.compile(r"(?P<said>.*does not have a column named \"(?P<name>[^\"]+)\")")
_CALL = re.compile(r"Macro (?P<macro>\w+)\(\) does not support .*")
_WORD = re.compile(r"(?P<said>.*unknown (?P<kind>profile|scoring) (?P<name>[^\s:]+)):(?P<tail>.*)")
_ARGUMENT = re.compile(r"\b(\w+)\s*(?::=|=>)")
_WORDS = {"profile": tuple(PROFILES), "scoring": SCORINGS}


def with_nearest(connection: duckdb.DuckDBPyConnection, sql: str, sentence: str) -> str:
    """Returns an error of DuckDB with the nearest name that there is, where it misses one.

    Args:
        connection: on which the statement failed.
        sql: the statement.
        sentence: the error, on one line.
    """
    if found := _TABLE.search(sentence):
        return sentence[: found.start()] + _of_table(connection, found["kind"], found["name"])
    if found := _NEAR.fullmatch(sentence):
        near = re.findall(r'"([^"]+)"', found["near"])  # by DuckDB's measure, which minds capitals
        asked = _nearest(found["name"], near) or _nearest(found["name"], _columns(connection))
        return f"{found['said']}: {asked}{found['tail']}"
    if found := _COLUMN.fullmatch(sentence):
        return f"{found['said']}: {_nearest(found['name'], _columns(connection))}".rstrip(": ")
    if found := _CALL.search(sentence):
        return sentence[: found.start()] + _of_call(found["macro"], sql)
    if found := _WORD.fullmatch(sentence):
        return f"{found['said']}: {_nearest(found['name'], _WORDS[found['kind']])}{found['tail'].strip()}"
    return sentence


def _of_table(connection: duckdb.DuckDBPyConnection, kind: str, name: str) -> str:
    """DuckDB compares with its own tables too, which nobody means."""
    said, views, macros = f"{kind} with name {name} does not exist: ", relations.views(), relations.macros()
    if name in macros:
        return f"{said}{name} is a macro, called as {relations.call(name)}"
    if name in views:
        return f"{said}{name} is a view, written without brackets"
    others = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    known = {*views, *macros, *(other for (other,) in others)}
    return f"{said}{_nearest(name, known)}SHOW TABLES lists the views, and docs/sql.md the macros"


def _columns(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Returns the columns of the views that the statement names."""
    rows = connection.execute("SELECT DISTINCT column_name FROM duckdb_columns() WHERE NOT internal")
    return [name for (name,) in rows.fetchall()]


def _of_call(macro: str, sql: str) -> str:
    """Returns which argument a macro of ours does not have, or that one is missing, and how it is called."""
    if macro not in relations.macros():
        return f"{macro} does not take these arguments"
    call = relations.call(macro)
    known = re.findall(r"[(,] *(\w+)", call)
    for name in _ARGUMENT.findall(sql):
        if name not in known:
            return f"{macro} has no argument {name}: {_nearest(name, known)}it is called as {call}"
    return f"{macro} does not take these arguments: it is called as {call}"


def _nearest(name: str, known: Iterable[str]) -> str:
    """Returns the question after the nearest name with a blank behind it, nothing where none is near."""
    lowered = {one.lower(): one for one in sorted(known)}
    close = get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    return f"did you mean {lowered[close[0]]!r}? " if close else ""
