"""What surrounds Ray: its environment, a slow start, whether it lives; without starting it."""

import os
import signal
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest
from atoll.search.driver import ray_cluster
from atoll.search.driver.ray_cluster import ray_environment
from atoll.spaces.errors import AtollError

NAMES = ("HOME", "ATOLL_CACHE", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN")


@pytest.fixture(autouse=True)
def _without_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*NAMES, "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def environment(address: str | None) -> dict[str, str | None]:
    before = dict(os.environ)
    with ray_environment(address):
        found = {name: os.environ.get(name) for name in NAMES}
    assert dict(os.environ) == before
    return found


def test_a_cluster_here_has_a_token_of_its_own_and_leaves_none(tmp_path: Path) -> None:
    found = environment(None)
    assert found["RAY_AUTH_TOKEN"] and environment(None) == found, "Ray reads it once a process"
    assert found["RAY_AUTH_MODE"] is None, "Ray sets it"
    assert found["HOME"] == str(tmp_path) and found["ATOLL_CACHE"] == f"{tmp_path}/.cache/atoll"


def test_a_token_that_is_there_is_the_one(tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("x")
    assert environment(None)["RAY_AUTH_TOKEN"] is None
    assert environment("127.0.0.1:6379")["RAY_AUTH_MODE"] == "token"


def test_a_far_cluster_gets_nothing_that_is_ours() -> None:
    found = environment("127.0.0.1:6379")
    assert (found["RAY_AUTH_TOKEN"], found["RAY_AUTH_MODE"], found["ATOLL_CACHE"]) == (None, None, None)


def test_ray_and_workers_of_a_user_without_a_home_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("HOME")
    found = environment(None)
    assert found["HOME"] == str(tmp_path)
    assert found["ATOLL_CACHE"] == f"{tmp_path}/atoll-cache-{os.getuid()}", "workers share it with the driver"


def test_handlers_that_ray_leaves_behind_are_taken_away() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ray_environment(None):
        signal.signal(signal.SIGTERM, lambda *_: None)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_a_slow_start_is_tried_again_and_then_one_sentence(
    monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    import ray

    turns: list[dict[str, Any]] = []

    def init(**options: Any) -> None:
        turns.append(options)
        if len(turns) <= failures:
            raise Exception("The current node timed out\nduring startup.")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    if failures < 2:
        ray_cluster._start(num_cpus=1)
        assert turns == [{"num_cpus": 1}] * (failures + 1)
    else:
        with pytest.raises(AtollError, match=r"did not start .*2 times \(The current node timed out during"):
            ray_cluster._start(num_cpus=1)


def test_a_head_that_refuses_is_gone() -> None:
    with socket.socket() as head:
        head.bind(("127.0.0.1", 0))
        head.listen()
        port = head.getsockname()[1]
        assert ray_cluster._answers("127.0.0.1", port)
    assert not ray_cluster._answers("127.0.0.1", port)
    assert ray_cluster._answers("nowhere.invalid", port), "whom a name means is for Ray to judge"


def test_a_ray_that_runs_here_already_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "shutdown", lambda: pytest.fail("it is somebody else's"))
    with (
        pytest.raises(AtollError, match=r"Ray runs in this process already: call ray.shutdown\(\)"),
        ray_cluster.cluster(None, 1, tmp_path),
    ):
        pytest.fail("it was used")
