"""What a batch takes, against a network whose time is known; and that nothing is timed in vain."""

import time
from dataclasses import replace

import pytest
import torch
from atoll.evaluators.datasets.dataset import ImagesInMemory, Split
from atoll.evaluators.steps import pace
from atoll.evaluators.steps.pace import Pace, time_batches
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training.settings import Training
from torch import Tensor, nn

SLEEP_S = 0.01


class Slow(nn.Module):
    """A network that takes its time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.layer, self.seconds = nn.Linear(4, 2), seconds

    def forward(self, inputs: Tensor) -> Tensor:
        time.sleep(self.seconds)
        return self.layer(inputs)


def task(seconds: float) -> Task:
    split = Split(torch.rand(20, 4), torch.arange(20) % 2)
    data = ImagesInMemory("made", split, split, split, ("a", "b"), "1")
    return Task("slow", lambda: data, "slow", (4,), 2, Training(1e-3, 8), 1.0, given=lambda: Slow(seconds))


def test_batches_are_timed_without_their_beginning() -> None:
    slow = task(SLEEP_S)
    found = time_batches(slow, slow.dataset(), batches=5)
    assert (found.timed, found.batch_size) == (5, 8)
    assert SLEEP_S <= found.step_s < 10 * SLEEP_S


def test_slow_batches_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_LONGEST_S", 5 * SLEEP_S)
    slow = task(2 * SLEEP_S)
    found = time_batches(slow, slow.dataset(), batches=1000)
    assert 1 <= found.timed <= 3 and found.step_s >= 2 * SLEEP_S


def test_an_epoch_is_its_whole_batches() -> None:
    one = Pace(2.0, 20, 8)
    assert [one.epoch_s(images) for images in (4, 8, 15, 800)] == [2.0, 2.0, 2.0, 200.0]
    assert replace(one, batch_size=4).epoch_s(800) == 400.0
