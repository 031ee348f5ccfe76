"""A user's task travels to a machine with another cache folder, and is whole there."""

from pathlib import Path

import numpy as np
import pytest
import torch
from atoll.evaluators.own.prepare import prepare
from atoll.evaluators.tasks import load_task
from atoll.evaluators.tasks.given_network import adopted_network
from atoll.evaluators.tasks.prepared import prepared_task
from atoll.evaluators.training.prediction import predict_logits
from atoll.search.study import luggage
from atoll.search.study.luggage import packed, unpack
from atoll.spaces.errors import AtollError, MachineError
from torch import nn


def recall(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    return float((outputs.argmax(1) == targets).float().mean())


def test_a_task_is_whole_on_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(luggage, "_PIECE_BYTES", 1000)
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "here"))
    generator = np.random.default_rng(0)
    sets = {
        split: list(zip(generator.integers(0, 256, (30, 1, 8, 8), np.uint8), np.arange(30) % 4, strict=True))
        for split in ("train", "validation", "test")
    }
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 4))
    quality = {"function": recall, "higher_is_better": True}
    task = prepare({"network": network, "quality": quality, **sets}, tmp_path, "parts", lambda _: None)
    outputs = predict_logits(adopted_network(task), task.dataset().test.images)

    objects: list[bytes] = []

    def put(piece: bytes) -> int:
        objects.append(piece)
        return len(objects) - 1

    found = packed(task.name, put)
    assert found is not None and max(map(len, objects)) == 1000
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "there"))
    monkeypatch.setenv("ATOLL_DATA_GIB", "0")
    earlier = tmp_path / "there" / "data" / "earlier"
    earlier.mkdir(parents=True)
    (earlier / "data.json").write_text("{}")
    prepared_task.cache_clear()
    with pytest.raises(AtollError, match="is not on this machine"):
        load_task(task.name)
    unpack(found, objects.__getitem__)
    assert not earlier.exists(), "the quota of that machine: what nobody holds there gives way"
    there = load_task(task.name)
    assert torch.equal(predict_logits(adopted_network(there), there.dataset().test.images), outputs)
    assert there.judged_by.measure(outputs, outputs.argmax(1)) == 1.0, "its code may run there"
    assert there.dataset().test.images.shape == (30, 1, 8, 8)
    unpack(found, lambda _: pytest.fail("it is there already"))
    prepared_task.cache_clear()


def test_tasks_that_every_machine_has_stay_where_they_are() -> None:
    assert packed("digits", lambda _: pytest.fail("nothing to send")) is None
    unpack(None)


def test_a_machine_that_cannot_write_stops_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "file"))
    sent = luggage.Luggage("parts@0", {"data/x": {"a": [b"1"]}}, None)
    with pytest.raises(MachineError, match="cannot write the task parts@0 to"):
        unpack(sent, bytes)


def test_a_file_that_leads_out_of_its_folder_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    sent = luggage.Luggage("parts@0", {"data/x": {"../../out": [b"1"]}}, None)
    with pytest.raises(AtollError, match="leads out of its folder"):
        unpack(sent, bytes)
    assert not (tmp_path / "out").exists() and not (tmp_path / "cache" / "out").exists()
