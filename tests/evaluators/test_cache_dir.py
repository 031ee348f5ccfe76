"""The cache folder follows the environment."""

import os
import tempfile
from pathlib import Path

import pytest
from atoll.evaluators.cache_dir import cache_dir
from atoll.spaces.errors import AtollError


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.setenv("ATOLL_CACHE", "")
    assert cache_dir() == Path.home() / ".cache" / "atoll"
    monkeypatch.delenv("ATOLL_CACHE")
    assert cache_dir() == Path.home() / ".cache" / "atoll"


def without_home(monkeypatch: pytest.MonkeyPatch, temp: Path) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(temp))
    monkeypatch.delenv("ATOLL_CACHE", raising=False)


def test_a_user_without_a_home_has_a_folder_beside_the_temporary_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_home(monkeypatch, tmp_path)
    folder = cache_dir()
    assert folder == tmp_path / f"atoll-cache-{os.getuid()}" == cache_dir()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_somebody_else_is_not_trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    without_home(monkeypatch, tmp_path)
    (tmp_path / "theirs").mkdir()
    (tmp_path / f"atoll-cache-{os.getuid()}").symlink_to(tmp_path / "theirs")
    with pytest.raises(AtollError, match="another user's: set ATOLL_CACHE"):
        cache_dir()


def test_a_home_that_cannot_be_told_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOLL_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(AtollError, match=r"ATOLL_CACHE is ~nobody-of-this-name/cache.*name a whole path"):
        cache_dir()
