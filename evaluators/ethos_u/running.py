"""The process that compiles, from outside: started when it is first asked, ended with this one."""

import atexit
import json
import os
import selectors
import signal
import subprocess
import sys
import threading
from typing import Any

from ...spaces.errors import AtollError

#: seconds: a small network takes 25 ms and a start most of one on a free core (own measurement)
LIMIT_S, _START_S = 60.0, 60.0


class _Running:
    """The process that compiles, and what talks to it."""

    def __init__(self) -> None:
        module = f"{__package__}.compiler_process"
        # a session of its own: what hangs is ended with its forks
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.owner = os.getpid()
        try:
            self._answer(_START_S)
        except (TimeoutError, EOFError) as error:
            raise AtollError("Vela is installed and does not start") from error

    @property
    def lives(self) -> bool:
        """Whether it can be asked, by this process."""
        return self.owner == os.getpid() and self._process.poll() is None

    def run(self, words: list[str], limit_s: float) -> int:
        """Compiles; see `run_compiler`. What does not come back is ended."""
        try:
            return int(self._answer(limit_s, words))
        except EOFError as error:
            raise TimeoutError from error

    def _answer(self, limit_s: float, asked: list[str] | None = None) -> Any:
        """Returns the next line of the process, after a line to it where something is asked.

        Whatever ends the waiting, Ctrl-C too, ends the process: its answer would be taken for the next one's.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            if asked is not None:
                self._process.stdin.write(json.dumps(asked).encode() + b"\n")
                self._process.stdin.flush()
            with selectors.DefaultSelector() as selector:
                selector.register(self._process.stdout, selectors.EVENT_READ)
                if not selector.select(limit_s):
                    raise TimeoutError
            line = self._process.stdout.readline()
            if not line:
                raise EOFError
            return json.loads(line)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Ends it with its forks; another process's copy of it is left alone."""
        if not self.lives:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


_lock = threading.Lock()
_running: list[_Running] = []


def run_compiler(words: list[str], limit_s: float) -> int:
    """Compiles a file and returns the status, negative for a signal.

    Args:
        words: its folder, and the arguments of the compiler.
        limit_s: seconds that it may take.

    Raises:
        TimeoutError: the compiler did not come back.
        AtollError: it does not start.
    """
    with _lock:
        if not (_running and _running[0].lives):
            _running[:] = [_Running()]
            atexit.register(_running[0].end)
        return _running[0].run(words, limit_s)
