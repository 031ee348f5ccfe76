"""Ctrl-C while trials run: asked for once, at once the second time, and as before where nothing runs."""

import signal
import threading

import pytest
from atoll.search.live.interrupt import first_interrupt


def press() -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def _pythons_own() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_the_first_one_asks_and_the_second_one_does_not_wait() -> None:
    asked: list[int] = []

    def ask() -> bool:
        asked.append(1)
        return True

    with pytest.raises(KeyboardInterrupt), first_interrupt(ask):
        press()
        assert asked == [1]
        press()
    assert asked == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_where_nothing_runs_there_is_nothing_to_wait_for() -> None:
    with pytest.raises(KeyboardInterrupt), first_interrupt(lambda: False):
        press()


def test_what_ignores_it_goes_on_ignoring_it() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with first_interrupt(lambda: pytest.fail("nobody pressed anything that counts")):
        press()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_thread_leaves_it_alone() -> None:
    seen: list[object] = []

    def inside() -> None:
        with first_interrupt(lambda: True):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
