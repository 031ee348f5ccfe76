"""Sentences beside a result: a line each, folded between words where a terminal shows them."""

import fcntl
import os
import struct
import termios
from collections.abc import Callable, Iterator

import pytest
from atoll.search.terminal.said import say

COMMAND = "`atoll resume parts --ensembles 8`"
SENTENCE = f"t0012 leads t0009 by 0.33 of the score ± 0.12 over three seeds, more with {COMMAND} and \x1b[1m"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], list[str]]]:
    """Returns what a terminal of so many columns is told."""
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)

    def said(columns: int) -> list[str]:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        with open(theirs, "w", encoding="utf-8", closefd=False) as stream:
            monkeypatch.setattr("sys.stderr", stream)
            say(SENTENCE)
        return os.read(ours, 10_000).decode().splitlines()

    yield said
    os.close(ours)
    os.close(theirs)


def test_a_terminal_has_no_line_that_it_would_break(lines: Callable[[int], list[str]]) -> None:
    told = lines(44)
    assert len(told) > 2 and max(map(len, told)) <= 44
    assert " ".join(told) == f"atoll: {SENTENCE}".replace("\x1b", r"\x1b")
    assert any(COMMAND in line for line in told)  # whole, to be pasted


def test_a_terminal_that_does_not_know_its_width_has_a_line(lines: Callable[[int], list[str]]) -> None:
    assert len(lines(0)) == 1


def test_a_file_has_a_line_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    say(SENTENCE)
    assert capsys.readouterr().err.count("\n") == 1
