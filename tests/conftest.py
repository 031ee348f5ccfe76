"""What holds for every test: one thread, a time limit, no settings of the user's, no module loaded twice."""

import os

# Before torch is imported anywhere: more threads than cores make every test slower.
os.environ.update(
    OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE", RAY_USAGE_STATS_ENABLED="0", MPLBACKEND="Agg"
)
os.environ.pop("ATOLL_STORE", None)

import signal
import sys
from collections.abc import Generator
from types import FrameType

import pytest
from hypothesis import settings

TIME_LIMIT_S = 120  # a guard against hanging, far above what a fast test takes
SLOW_TIME_LIMIT_S = 600
OUR_FOLDERS = {"clusters", "evaluators", "hw_models", "search", "spaces"}

# Shared machines stall, so no deadline; the same examples every run, so that a failure comes back.
settings.register_profile("atoll", deadline=None, derandomize=True)
settings.load_profile("atoll")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test that runs longer than its limit instead of waiting for ever."""
    limit_s = SLOW_TIME_LIMIT_S if item.get_closest_marker("slow") else TIME_LIMIT_S

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
    if loaded_twice:
        print(f"\nimported without `atoll.` before the name: {', '.join(loaded_twice)}", file=sys.stderr)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
