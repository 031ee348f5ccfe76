"""The driver's lock: one living driver a store, and a dead one never in the way."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import pytest
from atoll.search.store.driver_lock import Driver, DriverLock, living_driver
from atoll.spaces.errors import AtollError

#: a driver of its own: takes the lock of a path and says so, then waits
DRIVER = """
import os, sys, time
from pathlib import Path
from atoll.search.store.driver_lock import DriverLock
with DriverLock(Path(sys.argv[1])):
    {before}
    print("held", flush=True)
    time.sleep(60)
"""
#: forks a child that outlives it
FORKING = "os.fork() or (os.close(1), time.sleep(60))"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "atoll.lock"


def start(path, before="pass"):
    """Starts another process that drives; returns when it holds the lock."""
    command = [sys.executable, "-c", DRIVER.format(before=before), str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == "held\n"
    return process


def end(process):
    """Ends it and its children."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


@pytest.fixture
def other(path):
    process = start(path)
    yield process
    end(process)


def write(path, driver):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(driver)))


def test_the_driver_is_known_while_it_drives(path):
    assert living_driver(path) is None
    with DriverLock(path):
        assert living_driver(path) == Driver.this_process()
        assert living_driver(path).is_this_process()
    assert living_driver(path) is None
    assert not path.exists()


def test_a_second_driver_is_refused_with_the_first_ones_pid(path, other):
    with (
        pytest.raises(AtollError, match=f"process {other.pid} already drives.*another store with --st"),
        DriverLock(path),
    ):
        pytest.fail("two drivers")
    assert living_driver(path) == Driver(other.pid, Driver.this_process().node)


@pytest.mark.parametrize(
    "content",
    [
        # as after a step of the clock, by which a process seems to have begun at another time
        lambda old: json.dumps(json.loads(old) | {"process_started_at": time.time() - 5}).encode(),
        lambda old: old.replace(b"pid", b"qid"),
        lambda old: b"",
        lambda old: b"[" * 3000,
        lambda old: json.dumps(json.loads(old) | {"pid": 2**22 + 1}).encode(),  # no process has such an id
    ],
    ids=["clock", "flipped byte", "empty", "nested", "no such process"],
)
def test_a_living_driver_lives_whatever_its_file_says(path, other, content):
    path.write_bytes(content(path.read_bytes()))
    assert living_driver(path) is not None
    with pytest.raises(AtollError, match="already drives"), DriverLock(path):
        pytest.fail("two drivers")


def test_of_two_drivers_that_start_at_once_one_drives(path):
    command = [sys.executable, "-c", DRIVER.format(before="pass"), str(path)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)
        for _ in range(2)
    ]
    # the refused one ends by itself
    deadline = time.monotonic() + 30
    while all(process.poll() is None for process in both) and time.monotonic() < deadline:
        time.sleep(0.02)
    refused, drives = sorted(both, key=lambda process: process.poll() is None)
    assert f"process {drives.pid} already drives" in refused.communicate()[1]
    assert living_driver(path).pid == drives.pid
    drives.kill()
    drives.communicate()


def test_the_same_process_is_no_second_driver_either(path):
    with (
        DriverLock(path),
        pytest.raises(AtollError, match=f"process {os.getpid()} already drives"),
        DriverLock(path),
    ):
        pytest.fail("two drivers")


def test_a_killed_driver_leaves_no_lock_that_holds(path, other):
    other.kill()
    # Ended, but not waited for: a zombie drives nothing.
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert path.exists()
    assert living_driver(path) is None
    with DriverLock(path):
        assert living_driver(path).is_this_process()


def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(path):
    process = start(path, FORKING)
    try:
        process.kill()
        process.wait()
        os.killpg(process.pid, 0)  # the child lives, and lets go of the lock as soon as it runs at all
        deadline = time.monotonic() + 10
        while living_driver(path) is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert living_driver(path) is None
        with DriverLock(path):
            assert living_driver(path).is_this_process()
    finally:
        end(process)


def test_a_forked_child_that_leaves_the_block_leaves_its_parent_the_lock(path):
    with DriverLock(path) as lock:
        child = os.fork()
        if child == 0:
            lock.__exit__()
            os._exit(0)
        os.waitpid(child, 0)
        assert path.exists()
        assert living_driver(path).is_this_process()


def test_askers_do_not_keep_a_driver_from_starting(path):
    path.parent.mkdir()
    path.touch()
    with open(path) as asker:
        fcntl.flock(asker, fcntl.LOCK_SH)
        assert living_driver(path) is None
        held_s = 0.2
        release = subprocess.Popen(
            [sys.executable, "-c", f"import time; time.sleep({held_s})"], pass_fds=[asker.fileno()]
        )
    with DriverLock(path):
        assert living_driver(path).is_this_process()
    assert release.wait() == 0


def test_a_lock_deleted_by_hand_is_not_the_next_ones(path):
    with DriverLock(path):
        path.unlink()
        with DriverLock(path):
            pass
        other = start(path)
    try:
        assert living_driver(path).pid == other.pid
    finally:
        end(other)


def test_a_disk_without_locks_is_said_and_has_no_driver(path, monkeypatch):
    def refused(descriptor, operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(AtollError, match=f"cannot lock {path}: its file system has no locks.*--store"):
        DriverLock(path).__enter__()
    assert living_driver(path) is None


def test_a_driver_on_another_machine_is_believed_and_the_way_out_named(path):
    write(path, Driver(1, "elsewhere"))
    assert living_driver(path) == Driver(1, "elsewhere")
    with pytest.raises(AtollError, match=f"on elsewhere.*delete {path}"), DriverLock(path):
        pytest.fail("two drivers")


@pytest.mark.parametrize("torn", [b"", b'{"pid": 1, "pro', b"[]", b'{"pid": 1}'])
def test_a_torn_lock_holds_nobody(path, torn):
    path.parent.mkdir()
    path.write_bytes(torn)
    assert living_driver(path) is None
    with DriverLock(path):
        assert living_driver(path).is_this_process()


def test_released_when_the_search_fails(path):
    with pytest.raises(KeyboardInterrupt), DriverLock(path):
        raise KeyboardInterrupt
    assert not path.exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    lock = tmp_path / "file" / "atoll.lock"
    with pytest.raises(AtollError, match=f"cannot write the lock {lock}.*--store"), DriverLock(lock):
        pytest.fail("no lock")
