"""How commands end before their time: real processes, real signals, a real Ray."""

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
from atoll.search.reference import PAPERS, REFERENCE
from atoll.search.store import Store

FIXED = len(REFERENCE) + len(PAPERS)
#: the contract is five seconds; a test machine with more tests than cores gets some more for its processes
AT_MOST_S = 5.0 + 3.0

_DRIVER = """
import functools, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import conftest
from atoll.evaluators.replay import Replay
from atoll.search import launch, runner
from atoll.search.cli import main
from atoll.search.study import Study
replay = Replay({{"baseline": conftest.BASELINE}}, conftest.EFFECTS, seconds={seconds!r})
launch.run_study = functools.partial(runner.run_study, evaluator=replay)
launch.pricer_of = lambda study: None
from atoll.search import study_file
study_file.read_study = lambda *_: Study.create({{**conftest.STUDY, "limits": {{"ensembles": 8, "workers": 1}}}})
study_file.find_study_file = lambda name: name
sys.exit(main(["search", "--store", {store!r}]))
"""


@pytest.fixture
def temp(tmp_path: Path) -> Iterator[Path]:
    """A folder for temporary files with a path that is short enough for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="e", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def begin(store: Store, temp: Path, ends: int, seconds: float = 0.4) -> subprocess.Popen[str]:
    """Starts `atoll search` on replayed results, and waits until so many trials have ended."""
    code = _DRIVER.format(tests=str(Path(__file__).parent), store=str(store.path), seconds=seconds)
    driver = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, cwd=store.path.parent, env={**os.environ, "TMPDIR": str(temp)},
    )  # fmt: skip
    while driver.poll() is None and ended(store) < ends:
        time.sleep(0.05)
    return driver


def ended(store: Store) -> int:
    return sum(event["type"] == "ended" for event in store.journal.read()[0])


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
    assert over == {event["trial"] for event in store.journal.read()[0] if event["type"] == "ended"}
    assert {row["reason"] for row in rows if row["status"] != "finished"} <= {"interrupted"}
    assert not any(row["interruptions"] for row in rows), "no trial is to blame"
