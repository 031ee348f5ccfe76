"""Ctrl-C while trials run: the first one asks for an orderly end, the second one does not wait."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def first_interrupt(ask: Callable[[], bool]) -> Iterator[None]:
    """Has the first Ctrl-C ask for an end; a second one, or one with nothing to wait for, acts as before.

    Args:
        ask: asks, and returns whether there is something to wait for; runs in a signal's handler, so it does
            no more than note it.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # ignored, as `nohup` and a shell's background have it, or left to C
        return
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked or not ask():
            before(number, frame)
        asked = True

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
