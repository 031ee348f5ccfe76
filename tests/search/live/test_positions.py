"""Where a worker is: told at once where its step changes, else once a second, and asked for by name."""

from typing import Any

import pytest
from atoll.evaluators.steps.work import Position
from atoll.search.live import positions as positions_module
from atoll.search.live.positions import Positions, teller
from atoll.search.live.snapshot import Running


class Store:
    """What of Ray's key-value store is used, in this process."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def put(self, key: bytes, value: bytes, **_: Any) -> None:
        self.values[key] = value

    def get(self, key: bytes, **_: Any) -> bytes | None:
        return self.values.get(key)

    def delete(self, key: bytes, **_: Any) -> None:
        self.values.pop(key, None)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Store:
    import ray
    from ray.experimental import internal_kv

    kept = Store()
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(positions_module, "_key", lambda trial: trial.encode())
    for name, does in (("put", kept.put), ("get", kept.get), ("del", kept.delete)):
        monkeypatch.setattr(internal_kv, f"_internal_kv_{name}", does)
    return kept


def test_a_new_step_is_told_at_once_and_epochs_once_a_second(kept: Store) -> None:
    now_s = 10.0
    tell, asked = teller("t1", clock=lambda: now_s), Positions()
    for epochs_done, seconds, known in ((0.0, 0.0, 0.0), (0.5, 0.4, 0.0), (1.0, 0.4, 0.0), (1.5, 0.4, 1.5)):
        now_s += seconds
        tell(Position(1, epochs_done, 2.0))
        assert asked(["t1"]) == {"t1": Position(1, known, 2.0)}
    tell(Position(2, 0.0, 2.0))
    assert asked(["t1"]) == {"t1": Position(2, 0.0, 2.0)}


def test_what_no_longer_runs_is_forgotten(kept: Store) -> None:
    asked = Positions()
    teller("t1")(Position(1))
    assert set(asked(["t1", "t2"])) == {"t1"}
    assert asked(["t2"]) == {}
    assert kept.values == {}, "one that runs again begins anew"
    assert asked([]) == {}


def test_nobody_is_asked_before_ray_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    assert Positions()([]) == {} == Positions()(["t1"])


def test_positions_in_words() -> None:
    def said(steps: int, *position: Any) -> str:
        return str(Running("t1", "r", steps, None, Position(*position) if position else None))

    assert said(3) == "begins"
    assert said(3, 2, 0.5, 2.0) == "step 2 of 3, epoch 0.5 of 2"
    assert said(1, 1) == "step 1 of 1"
    assert said(0, 0, 3.0, 16.0) == "epoch 3.0 of 16"
