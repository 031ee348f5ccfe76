"""What holds for every test: one thread, a time limit, no settings of the user's, no module loaded twice."""

import os

# Before torch is imported anywhere: more threads than cores make every test slower.
os.environ.update(
    OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE", RAY_USAGE_STATS_ENABLED="0", MPLBACKEND="Agg"
)
os.environ.pop("ATOLL_STORE", None)
# devices that a user calibrated come before built-in ones: none does here
os.environ["ATOLL_DEVICES"] = os.devnull

import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from atoll.evaluators.tasks.task import Task

TIME_LIMIT_S = 120  # a guard against hanging, far above what a fast test takes
SLOW_TIME_LIMIT_S = 600
LONG_TIME_LIMIT_S = 3600
_LOADED_TWICE = pytest.StashKey[list[str]]()
OUR_FOLDERS = {"clusters", "evaluators", "hw_models", "search", "spaces", "testing"}

# A shell's background has Ctrl-C ignored, and so would whatever the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Shared machines stall, so no deadline; the same examples every run, so that a failure comes back.
# Machines with a GPU may have no more than `tests/gpu` asks for.
with suppress(ImportError):
    from hypothesis import settings

    settings.register_profile("atoll", deadline=None, derandomize=True)
    settings.load_profile("atoll")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test that runs longer than its limit instead of waiting for ever."""
    limit_s = SLOW_TIME_LIMIT_S if item.get_closest_marker("slow") else TIME_LIMIT_S
    limit_s = LONG_TIME_LIMIT_S if item.get_closest_marker("long") else limit_s

    def stop(_signal: int, _frame: FrameType | None) -> None:
        pytest.fail(f"ran longer than {limit_s} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(limit_s)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session if a folder of ours was imported as a top-level package: it was loaded twice then."""
    loaded_twice = sorted(OUR_FOLDERS & sys.modules.keys())
    told = getattr(session.config, "workeroutput", None)
    if told is not None:  # one of several processes: the one that started them hears of it
        told["loaded_twice"] = loaded_twice
    elif loaded_twice or session.config.stash.get(_LOADED_TWICE, []):
        names = sorted({*loaded_twice, *session.config.stash.get(_LOADED_TWICE, [])})
        print(f"\nimported without `atoll.` before the name: {', '.join(names)}", file=sys.stderr)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say in a line that the tests of a GPU did not run, where they did not."""
    left_out = [report for report in terminalreporter.getreports("skipped") if "tests/gpu/" in report.nodeid]
    if left_out:
        terminalreporter.write_line(f"tests/gpu: {len(left_out)} tests did not run, torch sees no GPU here")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes over what a process of several found loaded twice."""
    found = getattr(node, "workeroutput", {}).get("loaded_twice", [])
    node.config.stash.setdefault(_LOADED_TWICE, []).extend(found)


@pytest.fixture(scope="session")
def tiny_given(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Task, Path]":
    """A task that takes seconds, and where its given weights lie: real digits at 8x8, the small network."""
    import torch
    from atoll.evaluators.datasets.dataset import ImagesInMemory, Split
    from atoll.evaluators.datasets.digits import load_digits
    from atoll.evaluators.tasks.given_network import save_given
    from atoll.evaluators.tasks.task import Task
    from atoll.evaluators.training.loop import fit
    from atoll.evaluators.training.settings import Training

    digits = load_digits()

    def few(split: Split, count: int) -> Split:
        return Split(split.images[:count, :, 1::4, 1::4].contiguous(), split.labels[:count])

    dataset = ImagesInMemory(
        "tiny", few(digits.train, 320), few(digits.validation, 200), few(digits.test, 100),
        digits.class_names, "1",
    )  # fmt: skip
    task = Task("tiny", lambda: dataset, "compact_cnn", dataset.input_shape, 10, Training(1e-3, 32), 0.5)
    network = task.new_network()
    fit(
        network, dataset.train.images, dataset.train.labels, Training(3e-3, 32), epochs=6,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("weights")
    save_given(network, folder / "tiny.safetensors")
    return task, folder


@pytest.fixture(scope="module")
def tiny_task(tiny_given: "tuple[Task, Path]", tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Task]":
    """The tiny task, known by its name `tiny` as the built-in ones are, with a cache folder of its own."""
    from atoll.evaluators import tasks
    from atoll.evaluators.tasks import given_network

    task, folder = tiny_given
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "TASKS", (*tasks.TASKS, task))
        patch.setattr(given_network, "WEIGHTS_FOLDER", folder)
        patch.setenv("ATOLL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield task
