"""Packages of a runtime are installed once, as a whole or not at all; pip is given wheels made here."""

import fcntl
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.runtimes import packages as module
from atoll.evaluators.runtimes.packages import packages_of
from atoll.hw_models.runtimes.runtime import LITERT, Runtime
from atoll.hw_models.runtimes.wheels import WHEELS, wheel_of
from atoll.spaces.errors import AtollError

NAME = "tflite-2.14"


def wheel_file(folder: Path, package: str, version: str) -> None:
    name = f"{package.replace('-', '_')}-{version}"
    told = f"{name}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as file:
        file.writestr(f"{package.replace('-', '_')}/__init__.py", f"VERSION = {version!r}\n")
        file.writestr(f"{told}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        file.writestr(f"{told}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{told}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the package index, empty; settings of this machine's are not read."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    return folder


def fill(index: Path) -> None:
    wheel = WHEELS[NAME]
    wheel_file(index, wheel.package, wheel.version)
    for version in (wheel.numpy, "2.4.6"):
        wheel_file(index, "numpy", version)


def test_they_are_installed_once_and_kept(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(index)
    pinned = tmp_path / "pins.txt"
    pinned.write_text("numpy==2.4.6\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(pinned))  # of another environment
    said: list[str] = []
    (left := tmp_path / "cache/runtimes" / f".draft-{WHEELS[NAME].folder}").mkdir(parents=True)
    (left / "half").touch()  # of a process that died
    place = packages_of(NAME, said.append)
    assert place.parent == tmp_path / "cache/runtimes" and len(said) == 1
    assert (place / "numpy/__init__.py").read_text() == "VERSION = '1.26.4'\n"
    assert (place / "tflite_runtime").is_dir() and not (place / "half").exists() and not left.exists()
    monkeypatch.setenv("PIP_FIND_LINKS", os.devnull)
    assert packages_of(NAME, said.append) == place and len(said) == 1


def test_what_no_index_has_is_one_sentence_and_leaves_nothing(index: Path, tmp_path: Path) -> None:
    wheel_file(index, "numpy", WHEELS[NAME].numpy)
    with pytest.raises(AtollError, match=r"no index in use has a wheel for Python 3\.11") as told:
        packages_of(NAME, print)
    assert "tflite-runtime==2.14.0" in str(told.value) and "\n" not in str(told.value)
    assert [path.suffix for path in (tmp_path / "cache/runtimes").iterdir()] == [".lock"]


def test_an_index_that_is_not_there_is_one_sentence(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the port of discard: nobody listens
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(AtollError, match="no package index can be reached; pip said: "):
        packages_of(NAME, print)


def test_pip_that_takes_too_long_is_ended_with_what_it_started(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of its stands in: it starts another, as pip does, and both hold the lock."""
    started = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    popen = subprocess.Popen

    def stand_in(command: list[str], **settings: Any) -> Any:
        return popen([sys.executable, "-c", started], **settings)

    monkeypatch.setattr(module.subprocess, "Popen", stand_in)
    monkeypatch.setattr(module, "_LIMIT_S", 1.0)
    with pytest.raises(AtollError, match="pip did not come back within 1 s"):
        packages_of(NAME, print)
    [lock] = (tmp_path / "cache/runtimes").iterdir()
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody has it


def test_a_folder_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").touch()
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    with pytest.raises(AtollError, match=r"cannot install tflite-runtime 2\.14\.0.*set ATOLL_CACHE"):
        packages_of(NAME, print)


def test_every_release_of_the_tables_that_can_be_run_is_a_runtime() -> None:
    for name, wheel in WHEELS.items():
        known, version = Runtime.named(name), name.partition("-")[2]
        assert wheel.version.startswith(f"{version}.")
        if name.startswith("tflite"):
            assert known.release == f"{version}.0"
    assert {name.removeprefix("litert-") for name in WHEELS if name.startswith("litert")} == set(LITERT)
    assert len({wheel.folder for wheel in WHEELS.values()}) == len(WHEELS)


@pytest.mark.parametrize("name", ["tflite-2.9", "installed", "litert-micro"])
def test_what_has_no_wheel_is_said_with_what_can_be_run(name: str) -> None:
    with pytest.raises(AtollError, match=r"no package for Python 3\.11 is known; run can be tflite-2\.12"):
        wheel_of(name)
