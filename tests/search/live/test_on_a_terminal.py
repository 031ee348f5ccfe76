"""A search on a real pseudo-terminal: what is drawn, what Ctrl-C does, and what there is elsewhere."""

import fcntl
import io
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest
from atoll.search.driver.progress import _for_people
from atoll.search.live.output import PlainLines
from atoll.search.live.screen import Screen
from atoll.search.live.snapshot import Snapshot

NOW = Snapshot(
    done=2, running=0, failed=0, rejected=0, ensembles=1, ensembles_wanted=3, doing=None, feasible=1,
    reference_left=0, best="tensor_train(rank=16)", best_objective=None, best_ratio=4.0,
    best_quality="95 % measured", elapsed_s=9.0, seconds_left=20.0, study="digits-0",
)  # fmt: skip
#: a search without Ray: trials of a table in this process, a tick after each
_ALONE = """
import sys, time
from pathlib import Path
from atoll import testing
from atoll.evaluators.steps.work import Position
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.progress import Progress
from atoll.search.driver.work import carry_out
from atoll.search.store.store import Store
from atoll.search.study.study import Study
study = Study.create({**testing.STUDY, "goal": "smallest", "sampler": "random", "limits": {"ensembles": 3}})
store, replay = Store(Path(sys.argv[1])), testing.made_up_replay()
with store.lock():
    campaign = Campaign(study, store)
    at = lambda names: dict.fromkeys(names, Position(1, 0.5, 2.0))
    with Progress(campaign, 1, positions=at) as progress:
        while not campaign.is_over:
            trial = campaign.next()
            if trial is not None:
                progress.tick()
                time.sleep(float(sys.argv[2]))
                campaign.end(trial.name, carry_out(campaign.work(trial).to_json(), replay))
                progress.tick()
"""
#: `atoll search` under Ray; the worker of the first trial, the baseline, tells where it is
_UNDER_RAY = """
import functools, sys, time
from atoll import testing
from atoll.search.driver import launch, runner
from atoll.search.commands.cli import main
from atoll.search.study import study_file
from atoll.search.study.study import Study
replay = testing.made_up_replay()
def evaluate(work):
    from atoll.evaluators.steps.work import Position
    from atoll.search.live.positions import teller
    if not work.recipe.steps:
        teller("t0001")(Position(0, 3.0, 8.0))
    time.sleep(3.0)
    return replay(work)
launch.run_study = functools.partial(runner.run_study, evaluator=evaluate)
launch.pricer_of = lambda study: lambda recipe: {}
launch._measure = lambda campaign: None
values = {**testing.STUDY, "goal": "smallest", "limits": {"ensembles": 8, "workers": 1}}
study_file.read_study = lambda *_: Study.create(values)
study_file.find_study_file = lambda name: name
sys.exit(main(["search", "--store", sys.argv[1], "--log", "tensorboard"]))
"""


class Terminal:
    """A process with a terminal of its own."""

    def __init__(self, code: str, *words: str, columns: int = 80, rows: int = 24, **environment: str) -> None:
        self.seen, self.size = "", (rows, columns)
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            size = struct.pack("HHHH", rows, columns, 0, 0)
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            # not `os.environ` alone: readline, which pytest imports, sets both behind Python's back
            kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
            kept |= {"TERM": "xterm-256color", "OMP_NUM_THREADS": "1", **environment}
            os.execve(sys.executable, [sys.executable, "-c", code, *words], kept)

    def until(self, pattern: str, seconds: float = 240) -> bool:
        """Reads until a pattern is shown, or the end where it never is."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not re.search(pattern, plain(self.seen)):
            if select.select([self.end], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.end, 65536).decode()
                except OSError:  # Linux's word for a terminal whose last process has ended
                    break
        return re.search(pattern, plain(self.seen)) is not None

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", self.size[0], columns, 0, 0))

    def status(self) -> int:
        self.until(r"\Z(?!)")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def wide(text: str, columns: int) -> list[str]:
    """Returns the lines that are longer than so many columns."""
    return [line for line in re.split(r"[\r\n]+", plain(text)) if len(line) > columns]


@pytest.fixture
def terminal(tmp_path: Path) -> Callable[..., Terminal]:
    return lambda code, *words, **more: Terminal(code, str(tmp_path / "atoll.duckdb"), *words, **more)


def test_a_narrow_terminal_that_becomes_narrower(terminal: Callable[..., Terminal]) -> None:
    one = terminal(_ALONE, "0.6", columns=60)
    assert one.until("1 done")
    assert wide(one.seen, 60) == []
    one.resize(40)
    time.sleep(0.6)
    one.until("2 done")
    before = len(one.seen)
    assert one.status() == 0
    assert wide(one.seen[before:], 40) == []
    shown = plain(one.seen)
    assert "starting Ray and its workers\r\n" in shown, "the first seconds"
    assert re.search(r"t0002  step 1 of \d, epoch 0.5 of 2", shown), "where the worker is"
    assert one.seen.count("\x1b[?25l") == one.seen.count("\x1b[?25h") == 1, "the cursor is there again"


@pytest.fixture
def other_end() -> Iterator[tuple[TextIO, Callable[[], str]]]:
    """A terminal in this process: what is written to, and what reads all that was shown."""
    master, slave = os.openpty()
    shown = b""

    def read() -> str:
        nonlocal shown
        while select.select([master], [], [], 0.1)[0]:
            shown += os.read(master, 65536)
        return shown.decode()

    with open(slave, "w", encoding="utf-8") as stream:
        yield stream, read
    os.close(master)


def test_a_terminal_without_colour(
    other_end: tuple[TextIO, Callable[[], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream, read = other_end
    output = _for_people(stream)
    output.open(NOW)
    time.sleep(0.2)
    output.say("a\x1b[2Jb")
    output.close(NOW)
    shown = read()
    assert isinstance(output, Screen) and "\x1b[?25l" in shown and "\x1b[?25h" in shown
    assert "best    tt16" in plain(shown) and not re.search(r"\x1b\[[0-9;]*3[0-7]m", shown)
    assert "\x1b[2J" not in shown, "what is said cannot clear the screen"


def test_where_lines_cannot_change_in_place_there_are_plain_ones(
    other_end: tuple[TextIO, Callable[[], str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, read = other_end
    monkeypatch.setenv("TERM", "dumb")
    output = _for_people(stream)
    output.open(NOW)
    output.say("one")
    output.close(NOW)
    assert isinstance(output, PlainLines)
    assert read().splitlines() == ["one", str(NOW)]
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(_for_people(io.StringIO()), PlainLines), "a pipe is none, whatever is forced"


@pytest.mark.slow
def test_the_first_ctrl_c_waits_for_what_runs(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    from atoll.search.store.store import Store

    store = Store(tmp_path / "atoll.duckdb")
    one = terminal(_UNDER_RAY, rows=30)
    assert one.until(r"now     starting Ray and its workers")
    assert one.until(r"t0001  epoch 3.0 of 8  baseline"), "its worker said so"
    assert one.until(r"t0002  begins")
    os.write(one.end, b"\x03")
    assert one.until(r"Ctrl-C: what runs is finished and kept, nothing new begins; a second Ctrl-C")
    assert one.status() == 130
    assert "2 done (1 of 8 ensembles), 0 running" in plain(one.seen), "it was finished"
    assert "atoll: interrupted; everything that ended is in" in plain(one.seen)
    assert {row["status"] for row in store.trials()} == {"finished"} and len(store.trials()) == 2
    assert one.seen.count("\x1b[?25l") == one.seen.count("\x1b[?25h"), "the cursor is there again"
    assert len(list((tmp_path / "atoll-tensorboard").glob("*/t000?/events.out.tfevents.*"))) == 2
