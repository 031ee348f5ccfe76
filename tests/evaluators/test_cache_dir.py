"""The cache folder follows the environment."""

from pathlib import Path

import pytest
from atoll.evaluators.cache_dir import cache_dir


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.setenv("ATOLL_CACHE", "")
    assert cache_dir() == Path.home() / ".cache" / "atoll"
    monkeypatch.delenv("ATOLL_CACHE")
    assert cache_dir() == Path.home() / ".cache" / "atoll"
