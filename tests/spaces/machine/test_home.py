"""The home folder: the one that is named and can be entered."""

import os
from pathlib import Path

import pytest
from atoll.hw_models.devices.device_folder import device_names, own_devices_dir
from atoll.spaces.machine.home import home_folder


def test_the_home_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_folder() == tmp_path


def test_a_home_that_is_not_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "gone"))
    assert home_folder() is None


def test_a_home_of_somebody_else_is_none_and_holds_no_devices(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A container started as another user keeps the HOME of its image's, which that user cannot enter."""
    theirs = tmp_path / "theirs"
    (theirs / ".config" / "atoll" / "devices" / "board").mkdir(parents=True)
    (theirs / ".config" / "atoll" / "devices" / "board" / "device.toml").touch()
    monkeypatch.setenv("HOME", str(theirs))
    monkeypatch.delenv("ATOLL_DEVICES")
    monkeypatch.chdir(tmp_path)
    assert "board" in device_names()
    # root enters everything, so the question is answered here and not by the disk
    enters = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != theirs and enters(path, mode))
    assert home_folder() is None
    assert own_devices_dir() == Path(".config/atoll/devices") and "board" not in device_names()
