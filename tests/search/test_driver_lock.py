"""The driver's lock: one living driver a store, and a dead one never in the way."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace

import psutil
import pytest
from atoll.search.driver_lock import Driver, DriverLock, living_driver
from atoll.spaces.errors import AtollError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "atoll.lock"


@pytest.fixture
def other_process():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def write(path, driver):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(driver)))


def driver_of(process):
    return replace(
        Driver.this_process(), pid=process.pid, process_started_at=psutil.Process(process.pid).create_time()
    )


def test_the_driver_is_known_while_it_drives(path):
    assert living_driver(path) is None
    with DriverLock(path):
        assert living_driver(path) == Driver.this_process()
        assert living_driver(path).is_this_process()
    assert living_driver(path) is None
    assert not path.exists()


def test_a_second_driver_is_refused_with_the_first_ones_pid(path, other_process):
    write(path, driver_of(other_process))
    with (
        pytest.raises(
            AtollError, match=f"process {other_process.pid} already drives.*another store with --st"
        ),
        DriverLock(path),
    ):
        pytest.fail("two drivers")
    assert living_driver(path).pid == other_process.pid


def test_the_same_process_is_no_second_driver_either(path):
    with (
        DriverLock(path),
        pytest.raises(AtollError, match=f"process {os.getpid()} already drives"),
        DriverLock(path),
    ):
        pytest.fail("two drivers")


def test_a_killed_driver_leaves_no_lock_that_holds(path, other_process):
    write(path, driver_of(other_process))
    other_process.kill()
    # Ended, but not waited for: a zombie drives nothing.
    os.waitid(os.P_PID, other_process.pid, os.WEXITED | os.WNOWAIT)
    with DriverLock(path):
        assert living_driver(path).is_this_process()


def test_a_process_id_given_again_to_another_process_is_no_driver(path, other_process):
    driver = driver_of(other_process)
    write(path, replace(driver, process_started_at=driver.process_started_at - 60))
    assert living_driver(path) is None


def test_a_driver_on_another_machine_is_believed_and_the_way_out_named(path):
    write(path, replace(Driver.this_process(), node="elsewhere"))
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
    with pytest.raises(AtollError, match=f"cannot write the lock {lock}"), DriverLock(lock):
        pytest.fail("no lock")
