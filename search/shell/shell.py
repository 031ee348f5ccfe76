"""The interactive shell of `atoll sql`: a statement after the other, each confined as one alone."""

import signal
import sqlite3
from collections.abc import Callable
from functools import cached_property
from typing import Any, NoReturn, Self, cast

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from ..sql import relations
from ..sql.meanings import MACROS, RELATIONS
from ..store.opening import QueryLimits
from ..store.store import Store
from ..terminal.pager import show_paged
from ..terminal.said import say, tell
from ..terminal.tables import Column, table_text
from .answers import check_target, write_answer
from .completion import DELIMITERS, Completion
from .formats import FORMATS, Format
from .line_editor import edited_lines

_PROMPT, _GOES_ON = "atoll> ", "   ..> "
_ENDS = (".quit", ".exit", "quit", "exit")
_HELP = """\
A statement ends with ;   Tab completes names, the arrows bring earlier lines
back, Ctrl-C drops a line.
.tables        the views and macros, and what one row of each is; columns are
               had by DESCRIBE trials;
.format NAME   table, json, csv, markdown
.quit          as Ctrl-D"""


class _LineEnds:
    """Context manager: Ctrl-C ends a line or a statement; other signals end the shell."""

    def __init__(self) -> None:
        self._came = False
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._come)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _come(self, *_: object) -> NoReturn:
        self._came = True
        raise KeyboardInterrupt

    def was_it(self) -> bool:
        """Returns whether it was Ctrl-C that has just interrupted something."""
        came, self._came = self._came, False
        return came


class Shell:
    """A conversation with a store, which is open only while a statement runs.

    Args:
        store: that is asked.
        limits: of each statement.
        format: of answers, until another is asked for.
        read: gives the next line for a prompt.
    """

    def __init__(
        self, store: Store, limits: QueryLimits, format: Format, read: Callable[[str], str] = input
    ) -> None:
        self._store, self._limits, self._format, self._read = store, limits, format, read
        self._begun = ""

    def run(self) -> None:
        """Reads and answers until the end of the lines.

        Raises:
            AtollError: the store cannot be read.
            KeyboardInterrupt: a signal other than Ctrl-C ends it.
        """
        self._store.query("SELECT NULL FROM studies LIMIT 0")
        tell(f"{self._store.path}, read only: .help says what there is, .quit ends")
        with edited_lines(self._offered, DELIMITERS), _LineEnds() as line_ends:
            while True:
                try:
                    line = self._read(_GOES_ON if self._begun else _PROMPT)
                    if not self._begun and line.strip().rstrip(";") in _ENDS:
                        return
                    self._take(line)
                except EOFError:
                    tell("")
                    return
                except (AtollError, KeyboardInterrupt, RuntimeError) as error:
                    if line_ends.was_it():  # of which DuckDB makes a RuntimeError
                        self._begun = ""
                        tell("")
                    elif isinstance(error, AtollError):
                        say(error)
                    else:
                        raise

    @cached_property
    def _completion(self) -> Completion:
        return Completion.of(self._store)

    def _offered(self, before: str, word: str, behind: str) -> list[str]:
        return self._completion.offered(f"{self._begun}{before}", word, behind)

    def _take(self, line: str) -> None:
        if not self._begun and line.startswith("."):
            self._command(*line.split())
            return
        statement = f"{self._begun}{line}\n"
        if not sqlite3.complete_statement(statement):  # no ; yet, but in a text or a comment
            self._begun = statement if statement.strip() else ""
            return
        self._begun = ""
        check_target(self._format, None, ())
        write_answer(self._store.user_query(statement, self._limits), self._format)

    def _command(self, name: str, *words: str) -> None:
        if name == ".help":
            tell(_HELP)
        elif name == ".tables":
            views = [{"name": view, "one row is": RELATIONS[view]} for view in relations.views()]
            macros = [{"name": f"{macro}()", "one row is": text} for macro, text in MACROS.items()]
            show_paged(table_text([*views, *macros], [Column("name"), Column("one row is")]))
        elif name == ".format" and len(words) == 1 and words[0] in FORMATS:
            check_target(words[0], None, ())
            self._format = cast(Format, words[0])
        elif name == ".format":
            raise AtollError(f".format: {known_names(' '.join(words), FORMATS)}")
        else:
            raise AtollError(
                f"no command {name}: {known_names(name, (*_ENDS[:1], '.help', '.tables', '.format'))}"
            )
