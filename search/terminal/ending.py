"""How a command ends before its time: within five seconds, in one sentence, whatever it is doing.

A signal raises KeyboardInterrupt where the command is, so that everything is put away on the way out. Where
that does not get through (native code, a network call to a dead server), a second thread ends the process.
"""

import _thread
import contextlib
import os
import signal
import threading
from dataclasses import dataclass
from types import FrameType
from typing import Any, Self

from ...spaces.errors import AtollError
from ...spaces.machine.scratch import remove_scratch

#: Seconds for putting away; the rest of the five is for those that the system needs.
_PATIENCE_S = 3.5
_STDERR = 2


@dataclass(frozen=True)
class Ending:
    """Why a command ends before its time.

    Args:
        cause: for the reader.
        status: of the process; 128 + the signal's number where one ended it, as shells have it.
    """

    cause: str
    status: int


INTERRUPTED = Ending("interrupted", 128 + signal.SIGINT)
RAY_DIED = Ending("Ray is gone (killed, out of memory, or its machine was lost)", 1)
_BY_SIGNAL = {
    signal.SIGINT: INTERRUPTED,
    signal.SIGTERM: Ending("stopped by SIGTERM", 128 + signal.SIGTERM),
    signal.SIGHUP: Ending("stopped by SIGHUP: the terminal is gone", 128 + signal.SIGHUP),
}


class Endings:
    """Context manager around a command: signals end it in an orderly way, and soon.

    What the caller had ignored stays ignored (`nohup`).
    """

    def __init__(self) -> None:
        #: why the command ends, None while it does not
        self.ending: Ending | None = None
        #: how to go on after that, for the reader
        self.advice: str | None = None
        self._is_raised = False
        self._before: dict[int, Any] = {}
        self._guard: threading.Timer | None = None

    def __enter__(self) -> Self:
        global _endings
        if threading.current_thread() is threading.main_thread():
            for number in _BY_SIGNAL:
                if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                    self._before[number] = signal.signal(number, self._handle)
        _endings = self
        return self

    def __exit__(self, *_: object) -> None:
        global _endings
        _endings = None
        if self._guard is not None:
            self._guard.cancel()
        for number, before in self._before.items():
            signal.signal(number, before)

    def sentence(self, ending: Ending) -> str:
        """Returns the last words: why, and how to go on."""
        return f"{ending.cause}; {self.advice}" if self.advice else ending.cause

    def begin(self, ending: Ending) -> None:
        """Notes why the command ends, the first reason only, and sees to it that it does."""
        if self.ending is None:
            self.ending = ending
            self._guard = threading.Timer(_PATIENCE_S, self._end_at_once, [ending])
            self._guard.daemon = True
            self._guard.start()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.begin(_BY_SIGNAL[signal.Signals(number)])
        if not self._is_raised:  # once: a second one would break the putting away
            self._is_raised = True
            raise KeyboardInterrupt

    def _end_at_once(self, ending: Ending) -> None:
        import psutil

        with contextlib.suppress(psutil.Error):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        remove_scratch()
        cursor = "\x1b[?25h" if os.isatty(_STDERR) else ""  # the live display may have hidden it
        with contextlib.suppress(OSError):
            os.write(_STDERR, f"{cursor}atoll: {self.sentence(ending)}\n".encode())
        os._exit(ending.status)


_endings: Endings | None = None


def advise(advice: str) -> None:
    """Says how the running command can be gone on with, should it end before its time."""
    if _endings is not None:
        _endings.advice = advice


def stop(ending: Ending) -> None:
    """Ends the running command; may be called from any thread.

    Raises:
        KeyboardInterrupt: in the main thread of a command.
        AtollError: outside a command, for whoever called the library.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if _endings is not None:
        _endings.begin(ending)
        if is_main:
            raise KeyboardInterrupt
        _thread.interrupt_main(signal.SIGTERM)
    elif is_main:
        raise AtollError(ending.cause)
