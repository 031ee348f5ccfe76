"""How commands end before their time: real processes, real signals, a real Ray."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from atoll.search.commands.cli import PIPE_CLOSED
from atoll.search.store.events import Ended
from atoll.search.store.store import Store
from atoll.search.terminal.ending import RAY_DIED, Endings, stop
from atoll.spaces.errors import AtollError
from atoll.spaces.machine.scratch import scratch_folder

#: the contract is five seconds; a test machine with more tests than cores gets some more for its processes
AT_MOST_S = 5.0 + 3.0

_DRIVER = """
import functools, sys
from pathlib import Path
from atoll import testing
from atoll.search.driver import launch, runner
from atoll.search.commands.cli import main
from atoll.search.study.study import Study
replay = testing.made_up_replay({seconds!r})
launch.run_study = functools.partial(runner.run_study, evaluator=replay)
launch.pricer_of = lambda study: lambda recipe: {{}}
launch._measure = lambda campaign: None
from atoll.search.study import study_file
limits = {{"ensembles": 8, "workers": 1}}
study_file.read_study = lambda *_: Study.create({{**testing.STUDY, "limits": limits}})
study_file.find_study_file = lambda name: name
sys.exit(main(["search", "--store", {store!r}]))
"""


@pytest.fixture
def temp(tmp_path: Path) -> Iterator[Path]:
    """A folder for temporary files with a path that is short enough for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="e", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def heed_signals() -> None:
    """Undoes what nohup, or a shell that runs tests in the background, has its children ignore."""
    for one in (signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_DFL)


def begin(store: Store, temp: Path, ends: int, seconds: float = 0.4) -> subprocess.Popen[str]:
    """Starts `atoll search` on replayed results, and waits until so many trials have ended."""
    code = _DRIVER.format(store=str(store.path), seconds=seconds)
    driver = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, cwd=store.path.parent, env={**os.environ, "TMPDIR": str(temp)},
        preexec_fn=heed_signals,
    )  # fmt: skip
    while driver.poll() is None and ended(store) < ends:
        time.sleep(0.05)
    return driver


def ended(store: Store) -> int:
    return sum(event.kind == "ended" for event in store.journal.read()[0])


def finish(driver: subprocess.Popen[str]) -> tuple[str, float]:
    """Returns what was said until the end, and the seconds until then."""
    began = time.monotonic()
    try:
        _, said = driver.communicate(timeout=60)
    finally:
        driver.kill()
    return said, time.monotonic() - began


def ray_of(driver: subprocess.Popen[str], name: str) -> psutil.Process:
    return next(p for p in psutil.Process(driver.pid).children(recursive=True) if name in p.name())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "status", "cause"),
    [
        (signal.SIGTERM, 143, "stopped by SIGTERM"),
        (signal.SIGHUP, 129, "stopped by SIGHUP: the terminal is gone"),
        ("second Ctrl-C", 130, "interrupted"),
        ("raylet", 1, "Ray is gone (killed, out of memory, or its machine was lost)"),
        ("gcs_server", 1, "Ray is gone (killed, out of memory, or its machine was lost)"),
    ],
)
def test_a_search_ends_soon_and_says_how_to_go_on(
    store: Store, temp: Path, how: signal.Signals | str, status: int, cause: str
) -> None:
    driver = begin(store, temp, ends=1, seconds=1.5)
    family = psutil.Process(driver.pid).children(recursive=True)
    if isinstance(how, signal.Signals):
        driver.send_signal(how)
    elif how == "second Ctrl-C":
        driver.send_signal(signal.SIGINT)
        time.sleep(0.3)
        driver.send_signal(signal.SIGINT)
    else:
        ray_of(driver, how).kill()
    said, seconds = finish(driver)
    assert driver.returncode == status, said
    assert seconds < AT_MOST_S
    study = re.search(r"study (\S+) in", said)
    assert study is not None
    assert said.splitlines()[-1] == (
        f"atoll: {cause}; everything that ended is in {store.path}: go on with "
        f"`atoll resume {study[1]} --store {store.path}`"
    )
    assert "Traceback" not in said
    assert list(temp.iterdir()) == [], "scratch is removed"
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive, "no process is left"
    rows = store.trials()
    over = {row["trial"] for row in rows if row["status"] == "finished"}
    assert over == {event.trial for event in store.journal.read()[0] if isinstance(event, Ended)}
    assert {row["reason"] for row in rows if row["status"] != "finished"} <= {"interrupted"}
    assert not any(row["interruptions"] for row in rows), "no trial is to blame"


@pytest.mark.slow
def test_what_a_killed_search_left_is_removed_by_the_next(
    store: Store, temp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = begin(store, temp, ends=1, seconds=0.2)
    family = psutil.Process(killed.pid).children(recursive=True)
    killed.kill()
    finish(killed)
    psutil.wait_procs(family, timeout=10)
    [left] = temp.iterdir()
    assert any(left.glob("session_*"))
    monkeypatch.setattr(tempfile, "tempdir", str(temp))
    with scratch_folder():  # what a search begins with
        assert not left.exists()


# Other commands ---------------------------------------------------------------------------------------

_COMMAND = """
import sys, time
from atoll.search.commands import cli
from atoll.search.terminal.ending import advise
from atoll.spaces.machine.scratch import scratch_folder
def long() -> None:
    "Take long."
    with scratch_folder():
        print("begun", flush=True)
        {body}
cli.COMMANDS = (("long", long), ("other", long))
sys.exit(cli.main(["long"]))
"""
_PATIENT = "time.sleep(60)"
_STUBBORN = """
        advise("go on with the same command")
        while True:
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                pass
"""


def command(body: str, temp: Path, *words: str) -> subprocess.Popen[str]:
    """Starts a command and waits until it is in its middle."""
    process = subprocess.Popen(
        [*words, sys.executable, "-c", _COMMAND.format(body=body)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(temp)},
        preexec_fn=heed_signals,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize(
    ("how", "status", "said"),
    [
        (signal.SIGINT, 130, "atoll: interrupted\n"),
        (signal.SIGTERM, 143, "atoll: stopped by SIGTERM\n"),
        (signal.SIGHUP, 129, "atoll: stopped by SIGHUP: the terminal is gone\n"),
    ],
)
def test_a_signal_ends_every_command_in_one_sentence(
    temp: Path, how: signal.Signals, status: int, said: str
) -> None:
    process = command(_PATIENT, temp)
    process.send_signal(how)
    assert (finish(process)[0], process.returncode) == (said, status)
    assert list(temp.iterdir()) == []


def test_a_command_that_does_not_listen_is_ended_all_the_same(temp: Path) -> None:
    process = command(_STUBBORN, temp)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    process.send_signal(signal.SIGHUP)  # the first cause counts
    said, seconds = finish(process)
    assert (said, process.returncode) == ("atoll: stopped by SIGTERM; go on with the same command\n", 143)
    assert seconds < AT_MOST_S
    assert list(temp.iterdir()) == [], "scratch is removed"


def test_what_was_ignored_before_stays_ignored(temp: Path) -> None:
    process = command("time.sleep(1)", temp, "nohup")
    process.send_signal(signal.SIGHUP)
    said, _ = finish(process)
    assert process.returncode == 0, said


def test_a_library_call_raises_what_a_command_would_say() -> None:
    with pytest.raises(AtollError, match="Ray is gone"):
        stop(RAY_DIED)


def test_handlers_are_as_they_were_afterwards() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with Endings():
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize("closed", ["stdout", "stderr", "both"])
def test_a_reader_that_went_away_is_no_news(closed: str) -> None:
    code = (
        "import sys\n"
        "from atoll.search.commands import cli\n"
        "def flood() -> None:\n"
        "    'Print much.'\n"
        "    for _ in range(20_000):\n"
        "        print('x' * 80)\n"
        "        print('y' * 80, file=sys.stderr)\n"
        "cli.COMMANDS = (('flood', flood), ('other', flood))\n"
        "sys.exit(cli.main(['flood']))"
    )
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    for name in streams if closed == "both" else (closed,):
        streams[name] = writer
    process = subprocess.Popen(
        [sys.executable, "-c", code], text=True, stdout=streams["stdout"], stderr=streams["stderr"]
    )
    os.close(writer)
    _, said = process.communicate(timeout=60)
    assert process.returncode == PIPE_CLOSED
    assert set(said or "") <= {"y", "\n"}, "no traceback"


def test_started_without_stdout() -> None:
    words = f"exec {sys.executable} -m atoll.search.commands.cli techniques >&-"
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True)
    assert "Traceback" not in done.stderr


# Surroundings -----------------------------------------------------------------------------------------


def as_nobody_in_particular(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command as a container does: a user without entry or home, in a folder that is not its own.

    It may read everything, since the interpreter may lie in root's home, but write nothing of others.
    """
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user")
    user = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
    reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    environment |= {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    given = [f"{name}={value}" for name, value in environment.items()]
    return subprocess.run(
        [*user, *reads, "env", "-i", *given, sys.executable, *words],
        capture_output=True, text=True, cwd="/", timeout=110,
    )  # fmt: skip


def test_doctor_works_for_a_user_without_entry_home_and_folder(temp: Path) -> None:
    temp.chmod(0o777)
    done = as_nobody_in_particular(
        "-m",
        "atoll.search.commands.cli",
        "doctor",
        "--format",
        "json",
        TMPDIR=str(temp),
        PYTHONIOENCODING="ascii",
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = {row["what"]: row for row in json.loads(done.stdout)}
    assert rows["home"]["found"] == "none" and rows["signs"]["found"] == "ascii"
    assert rows["cache"]["found"].startswith(f"{temp}/atoll-cache-54321,") and rows["cache"]["ok"]
    assert rows["temporary files"]["found"] == str(temp) and rows["temporary files"]["ok"]
    assert not rows["store"]["ok"], "the root folder is not writable"


@pytest.mark.slow
def test_a_search_by_such_a_user_with_a_long_folder_for_temporary_files(temp: Path) -> None:
    """Ray's sockets do not fit below TMPDIR, and tables hold signs that ASCII lacks."""
    temp.chmod(0o777)
    long = temp / ("long" * 30)
    long.mkdir()
    long.chmod(0o777)
    store = Store(temp / "atoll.duckdb")
    code = _DRIVER.format(store=str(store.path), seconds=0.01)
    done = as_nobody_in_particular("-c", code, TMPDIR=str(long), PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert " > " in done.stdout and done.stdout.isascii()
    assert {row["status"] for row in store.trials()} == {"finished"}
    assert not list(long.glob("atoll-tmp-*"))
