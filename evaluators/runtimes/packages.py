"""The packages of a release of the runtime: installed by pip into a folder of their own, and kept.

Such a folder lies in the cache, and is there as a whole or not at all: pip writes into a draft, which gets
its name by one rename. Another process that wants the same waits for a lock that the system frees; pip holds
it too, so that nobody writes where one that outlived its parent still does.
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ...hw_models.runtimes.wheels import PYTHON, Wheel, wheel_of
from ...spaces.errors import AtollError
from ...spaces.outside.shown import shown
from ..cache_dir import cache_dir
from ..quota import DRAFT

#: below the cache folder
FOLDER = "runtimes"
#: TensorFlow with all it needs, 440 MB, came in 100 s (own measurement); with room for a slow line
_LIMIT_S = 3600.0
#: settings of a user's own that send packages elsewhere, or pin other versions
_LEFT_OUT = ("PIP_CONSTRAINT", "PIP_PREFIX", "PIP_TARGET", "PIP_USER", "PYTHONPATH")
#: what pip says of an index that it cannot reach
_UNREACHED = re.compile(r"connection broken|Max retries exceeded|Could not fetch URL|Failed to establish")
_NO_WHEEL = re.compile(r"No matching distribution found|Could not find a version that satisfies")
#: characters of pip's own words that a sentence quotes
_QUOTED = 300


def packages_of(name: str, say: Callable[[str], None]) -> Path:
    """Returns the folder with the packages of a runtime; they are installed where they are not there.

    Args:
        name: of the runtime, as `WHEELS` has it.
        say: hears that something is installed, which takes from seconds to minutes.

    Raises:
        AtollError: there is no such runtime, no index can be reached or has it, or the disk is full.
    """
    wheel = wheel_of(name)
    place = cache_dir() / FOLDER / wheel.folder
    if place.is_dir():
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # the empty file stays: were it removed, a third process would lock another one
        with place.with_name(f"{place.name}.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.is_dir():
                say(f"installing {wheel} into {place}")
                _install(wheel, place, lock)
    except OSError as error:
        raise AtollError(
            f"cannot install {wheel} into {place} ({error.strerror}): set ATOLL_CACHE to a writable folder "
            "with free space"
        ) from error
    return place


def _install(wheel: Wheel, place: Path, lock: BinaryIO) -> None:
    draft = place.with_name(f"{DRAFT}{place.name}")
    try:
        shutil.rmtree(draft, ignore_errors=True)  # of a process that died: nobody else has the lock
        status, said = _pip(["--target", str(draft), *wheel.requirements], lock)
        if status:
            raise AtollError(_refusal(wheel, said))
        os.rename(draft, place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _pip(words: list[str], lock: BinaryIO) -> tuple[int, str]:
    """Runs `pip install`, wheels alone: no code of a package is run. Returns exit status and words."""
    # --no-input: nobody is asked; --retries: an index that is not there is known at once
    options = "--only-binary :all: --no-compile --no-input --retries 1 --quiet --disable-pip-version-check"
    command = [sys.executable, "-P", "-m", "pip", "install", *options.split(), *words]
    environment = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", env=environment, start_new_session=True, pass_fds=(lock.fileno(),),
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise AtollError(f"pip did not come back within {_LIMIT_S:.0f} s") from error
    finally:
        if process.poll() is None:  # it took too long, or the command ends before its time
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return process.returncode, said


def _refusal(wheel: Wheel, said: str) -> str:
    """Returns the sentence for what pip failed with."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    quoted = shown(next((line for line in reversed(lines) if "ERROR" in line), (lines or ["nothing"])[-1]))
    if _UNREACHED.search(said):
        return f"cannot install {wheel}: no package index can be reached; pip said: {quoted[:_QUOTED]}"
    if _NO_WHEEL.search(said):
        return (
            f"cannot install {wheel}: no index in use has a wheel for Python {PYTHON} and this machine; pip "
            f"said: {quoted[:_QUOTED]}"
        )
    return f"cannot install {wheel}: pip said: {quoted[:_QUOTED]}"


def main() -> None:
    """Installs runtimes before they are asked for: `python -m … NAME…`."""
    try:
        for name in sys.argv[1:]:
            packages_of(name, lambda text: print(f"   {shown(text)}", file=sys.stderr))
    except AtollError as error:
        sys.exit(f"atoll: {error}")


if __name__ == "__main__":
    main()
