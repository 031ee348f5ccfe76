"""Runs a module of ours in a process of its own: native code that crashes ends that process alone."""

import signal
import subprocess
import sys

#: lines of a dead process's own words that a message repeats
_LAST_WORDS = 3


def run_fresh(module: str, *words: str, limit_s: float) -> subprocess.CompletedProcess[str]:
    """Runs a module as a program; what lies in the working directory is not imported in place of a library.

    Args:
        module: its full name.
        words: arguments.
        limit_s: seconds that it may take.

    Raises:
        subprocess.TimeoutExpired: it did not come back.
    """
    command = [sys.executable, "-P", "-m", module, *words]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=limit_s)


def ended_by(process: subprocess.CompletedProcess[str]) -> str:
    """Returns what ended a process: `SIGABRT`, `exit status 1`."""
    code = process.returncode
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def last_words(process: subprocess.CompletedProcess[str]) -> str:
    """Returns the last lines of a process's standard error as one; nothing where it wrote none."""
    return " / ".join([line.strip() for line in process.stderr.splitlines() if line.strip()][-_LAST_WORDS:])
