"""The shell of `atoll sql`: many statements, each as confined as one alone, Tab, history and Ctrl-C."""

import os
import pty
import re
import select
import signal
import sys
import time

import pytest
from atoll.search.commands import cli
from atoll.search.shell.completion import Completion
from atoll.search.shell.shell import Shell
from atoll.search.store.opening import QueryLimits
from atoll.spaces.errors import AtollError


@pytest.fixture
def typed(store, capsys, monkeypatch, tmp_path):
    """Types lines into a shell, by its end; returns stdout without the greeting, and stderr."""
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))

    def run(*lines, format="csv"):
        left, prompts = list(lines), []

        def read(prompt):
            prompts.append(prompt)
            if not left:
                raise EOFError
            return left.pop(0)

        Shell(store, QueryLimits(seconds=20), format, read).run()
        captured = capsys.readouterr()
        return captured.out.split("\n", 1)[1], captured.err, prompts

    return run


def test_a_statement_ends_with_its_semicolon(typed):
    out, err, prompts = typed("SELECT ';' AS x,", "", "-- no end;", "2 AS y", ";")
    assert (out, err) == ("x,y\n;,2\n\n", "")
    assert [prompt.strip() for prompt in prompts] == ["atoll>", "..>", "..>", "..>", "..>", "atoll>"]


def test_an_error_ends_its_statement_alone(typed):
    out, err, _ = typed("SELECT qualty FROM trials;", "SELECT trial FROM trials;", "quit", "SELECT 1;")
    assert out == "trial\nt0001\n"
    assert err.count("\n") == 1 and "did you mean 'quality'?" in err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("DROP TABLE trials;", "one statement that only reads is allowed"),
        ("SELECT 1; SELECT 2;", "got 2 statements"),
        ("SELECT * FROM read_text('/etc/passwd');", "the store alone can be read"),
        ("COPY trials TO 'x.csv';", "one statement that only reads is allowed"),
        (".shell ls", "no command .shell: did you mean '.help'? Known: .format, .help, .quit, .tables"),
        (".format jsn", ".format: did you mean 'json'? Known: csv, json, markdown, parquet, table"),
    ],
)
def test_nothing_else_is_done(typed, store, line, message):
    before = store.trials()
    out, err, _ = typed(line)
    assert out == "\n" and message in err and err.count("\n") == 1
    assert store.trials() == before


def test_formats_and_the_list_of_tables(typed):
    assert typed(".format json", "SELECT 1 AS a;")[0] == '[\n {\n  "a": 1\n }\n]\n\n'
    listed = typed(".tables")[0]
    assert "technique_effects" in listed and "waterfall()" in listed
    helped = typed(".help")[0]
    assert ".tables" in helped and all(len(line) <= 80 for line in helped.splitlines())


def test_a_shell_without_a_store_is_one_sentence(tmp_path):
    from atoll.search.store.store import Store

    with pytest.raises(AtollError, match="no store at"):
        Shell(Store(tmp_path / "none.duckdb"), QueryLimits(), "table").run()


@pytest.mark.parametrize(
    ("before", "word", "behind", "wanted"),
    [
        ("SELECT * FROM ", "tri", "", ["trials"]),
        ("SELECT * FROM trials JOIN ", "lead", "", ["leaderboard("]),
        ("SELECT ", "qualit", " FROM steps", ["quality"]),
        ("SELECT ", "quality_d", "", ["quality_drop", "quality_drop_error"]),
        ("select * from leaderboard(", "pro", "", ["profile := "]),
        ("SELECT x FROM pareto(", "model_b", "", ["model_bytes", "model_bytes_low", "model_bytes_high"]),
        ("", "sel", "", ["select"]),
        ("", "SEL", "", ["SELECT"]),
        ("SELECT * FROM steps WHERE steps.", "POSI", "", ["position"]),
        ("SELECT * FROM ", "nothing", "", []),
    ],
)
def test_what_tab_offers(store, before, word, behind, wanted):
    found = Completion.of(store).offered(before, word, behind)
    assert [one for one in found if one in wanted] == wanted
    assert all(one.lower().startswith(word.lower()) for one in found)
    assert bool(found) == bool(wanted)


def test_tables_beneath_the_views_are_not_offered(store):
    found = Completion.of(store).offered("FROM ", "")
    assert {"trials", "steps", "studies", "pareto("} <= set(found)
    assert not {"trial_rows", "journal_state", "schema_version"} & set(found)


class Terminal:
    """`atoll sql` in a terminal of its own."""

    def __init__(self, store, cache):
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            os.environ.update(ATOLL_CACHE=str(cache), TERM="dumb", PAGER="cat")
            words = ["-m", "atoll.search.commands.cli", "sql", "--store", str(store.path), "--format", "csv"]
            os.execv(sys.executable, [sys.executable, *words])

    def until(self, pattern, seconds=60):
        """Returns what is shown up to a pattern, or all that comes before the shell is gone."""
        seen, deadline = "", time.monotonic() + seconds
        while time.monotonic() < deadline and not re.search(pattern, seen):
            if select.select([self.end], [], [], 0.1)[0]:
                try:
                    seen += os.read(self.end, 65536).decode()
                except OSError:  # Linux's word for a terminal whose last process has ended
                    break
        return seen

    def types(self, text):
        os.write(self.end, text.encode())

    def interrupts(self):
        """Types Ctrl-C until the prompt comes: readline may miss one between two characters."""
        for _ in range(20):
            self.types("\x03")
            if self.until("\natoll> $", 3):
                return True
        return False

    def ends(self, text, seconds=60):
        """Types the end until the shell is gone: a Ctrl-C on its way takes what was typed along."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.types(text)
            self.until("\0", 1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        return os.waitpid(self.pid, 0)


@pytest.mark.slow
def test_in_a_terminal(store, tmp_path):
    store.fold()
    cache = tmp_path / "cache"
    shell = Terminal(store, cache)
    assert "read only" in shell.until("atoll> $")
    shell.types("SELECT trial, packed_bytes_m\t FROM tri\t;\n")  # two words completed
    assert "trial,packed_bytes_measured\r\nt0001,\r\n" in shell.until("t0001.*\r\natoll> $")
    shell.types("SELECT typed by mistake")
    shell.until("mistake$")
    assert shell.interrupts()
    shell.types("SELECT count(*) FROM range(100000000000) a, range(1000) b;\n")
    shell.until("b;\r\n")
    time.sleep(0.3)  # in DuckDB by now; before, the line alone is dropped, which looks the same
    assert shell.interrupts()
    assert shell.ends("\x04") == 0
    history = cache / "sql_history"
    assert history.read_text().splitlines()[0] == "SELECT trial, packed_bytes_measured FROM trials;"
    assert history.stat().st_mode & 0o777 == 0o600
    again = Terminal(store, cache)
    again.until("atoll> $")
    again.types("\x1b[A\x1b[A\n")  # the last but one
    assert "t0001,\r\n" in again.until("t0001.*\r\natoll> $")
    assert again.ends(".quit\n") == 0


def test_a_terminal_gets_no_parquet(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert cli.main(["sql", "SELECT 1", "--format", "parquet", "--store", str(store.path)]) == 2
    assert "name a file with --output" in capsys.readouterr().err
