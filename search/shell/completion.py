"""What Tab offers in the shell: tables, columns, macros and their arguments, and SQL's own words."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from ..sql import relations
from ..store.schema import TABLES, VERSION_TABLE
from ..store.store import Store

_WORDS = (
    *("SELECT", "FROM", "WHERE", "GROUP BY", "HAVING", "ORDER BY", "LIMIT", "JOIN", "USING", "WITH"),
    *("DISTINCT", "BETWEEN", "DESC", "AND", "NOT", "NULL", "IS", "AS", "DESCRIBE", "SHOW TABLES", "EXPLAIN"),
)
#: behind these comes a table
_BEFORE_TABLE = re.compile(r"\b(?:from|join|describe|summarize)\s+$", re.IGNORECASE)
_OPEN_CALL = re.compile(r"(\w+)\([^()]*$")
#: of what readline takes for one word
DELIMITERS = " \t\n,;()<>=!+-*/%|'\".[]:"
_CATALOGUE = """
    SELECT table_name, list(column_name ORDER BY column_index) AS columns FROM duckdb_columns()
    WHERE NOT internal AND database_name = current_database() GROUP BY table_name ORDER BY table_name
"""


@dataclass(frozen=True)
class Completion:
    """The names that a statement can have.

    Args:
        tables: columns by name of a table or view.
        macros: arguments by name.
    """

    tables: Mapping[str, Sequence[str]]
    macros: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, store: Store) -> Self:
        """Returns those of a store.

        Raises:
            AtollError: see `Store.user_query`.
        """
        rows = store.user_query(_CATALOGUE).to_pylist()
        macros = {name: re.findall(r"[(,] *(\w+)", relations.call(name)) for name in relations.macros()}
        beneath = {*TABLES, VERSION_TABLE}  # of the views, which say more
        tables = {row["table_name"]: row["columns"] for row in rows if row["table_name"] not in beneath}
        return cls(tables, macros)

    def offered(self, before: str, word: str, behind: str = "") -> list[str]:
        """Returns what a word that has been begun can become.

        Args:
            before: the statement up to the word.
            word: what is there of it.
            behind: what follows it.
        """
        calls = [f"{name}(" for name in self.macros]
        if _BEFORE_TABLE.search(before):
            return _begun([*self.tables, *calls], word)
        called = _OPEN_CALL.search(before)
        if called and called[1] in self.macros:
            arguments = [f"{name} := " for name in self.macros[called[1]]]
            return _begun([*arguments, *self._columns(before)], word)
        words = [one if word.isupper() else one.lower() for one in _WORDS] if word else []
        return _begun([*self._columns(f"{before} {behind}"), *self.tables, *calls, *words], word)

    def _columns(self, statement: str) -> list[str]:
        """Returns the columns of the tables that a statement names, of all where it names none yet."""
        named = [
            columns
            for name, columns in self.tables.items()
            if re.search(rf"\b{re.escape(name)}\b", statement)
        ]
        return [column for columns in named or self.tables.values() for column in columns]


def _begun(names: Iterable[str], word: str) -> list[str]:
    lowered = word.lower()
    return list(dict.fromkeys(name for name in names if name.lower().startswith(lowered)))
