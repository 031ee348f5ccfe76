"""The pager: for what a terminal cannot hold, and for nothing else."""

import sys

import pytest
from atoll.search.terminal import pager


@pytest.fixture
def terminal(monkeypatch, tmp_path):
    """A terminal of 24 lines whose pager keeps what it is given in a file; returns the file."""
    kept = tmp_path / "paged.txt"
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PAGER", f"tee {kept}")
    monkeypatch.setattr(pager, "_is_terminal", lambda: True)
    return kept


def test_what_is_longer_goes_through_the_pager_and_cannot_steer_the_terminal(terminal):
    pager.show_paged("\n".join(["one \x1b[31m line"] * 30))
    assert terminal.read_text() == "one \\x1b[31m line\n" * 30


@pytest.mark.parametrize(
    ("lines", "variable"), [(23, None), (30, "cat"), (30, ""), (30, "no-such-pager -x"), (30, "'")]
)
def test_what_fits_or_finds_no_pager_is_printed(terminal, monkeypatch, capsys, lines, variable):
    if variable is not None:
        monkeypatch.setenv("PAGER", variable)
    pager.show_paged("\n".join(["line"] * lines))
    assert not terminal.exists()
    assert capsys.readouterr().out == "line\n" * lines


def test_a_pipe_gets_no_pager(terminal, monkeypatch, capsys):
    monkeypatch.undo()
    monkeypatch.setenv("PAGER", f"tee {terminal}")
    pager.show_paged("line\n" * 500)
    assert not terminal.exists() and not sys.stdout.isatty()


def test_a_pager_that_ends_early_is_quiet(terminal, monkeypatch, capsys):
    monkeypatch.setenv("PAGER", "true")
    pager.show_paged("line\n" * 500_000)
    assert capsys.readouterr() == ("", "")
