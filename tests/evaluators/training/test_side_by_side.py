"""Two runs at a time: both are done, and where one fails the other ends at its next step."""

import os
import signal
import time
from threading import Barrier, Event, current_thread

import pytest
import torch
from atoll.evaluators.training.side_by_side import side_by_side
from atoll.spaces.errors import AtollError
from atoll.spaces.technique.context import AfterStep


def test_both_run_at_the_same_time_with_the_threads_of_the_caller() -> None:
    meeting, threads = Barrier(2, timeout=20), []
    seen: list[str] = []

    def run(look: AfterStep) -> None:
        meeting.wait()
        threads.append(torch.get_num_threads())
        seen.append(current_thread().name)
        look(1.0)

    before = torch.get_num_threads()
    side_by_side(run, run)
    assert threads == [before] * 2 and len(set(seen)) == 2


@pytest.mark.parametrize("first_fails", [True, False])
@pytest.mark.parametrize("error", [AtollError("it diverged"), KeyboardInterrupt()])
def test_what_one_raises_ends_the_other_and_is_raised(first_fails: bool, error: BaseException) -> None:
    ended: list[float] = []

    def failing(_look: AfterStep) -> None:
        raise error

    def endless(look: AfterStep) -> None:
        try:
            while True:
                look(0.5)
        finally:
            ended.append(1.0)

    with pytest.raises(type(error)):
        side_by_side(*((failing, endless) if first_fails else (endless, failing)))
    assert ended == [1.0]


def test_what_comes_upon_the_caller_while_it_waits_ends_the_other() -> None:
    waits, ended = Event(), list[str]()

    def endless(look: AfterStep) -> None:
        waits.wait(timeout=20)
        time.sleep(0.05)  # until the caller's run is over
        os.kill(os.getpid(), signal.SIGINT)
        try:
            for _ in range(500):
                time.sleep(0.01)
                look(0.5)
            ended.append("by itself")
        except BaseException:
            ended.append("abandoned")
            raise

    with pytest.raises(KeyboardInterrupt):
        side_by_side(endless, lambda _look: waits.set())
    assert ended == ["abandoned"]
