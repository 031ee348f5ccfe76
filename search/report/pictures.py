"""Writes the report's pictures as single files, drawn by the same scripts in a headless Chromium."""

import base64
import contextlib
import html
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Literal

from ...spaces.errors import AtollError
from ..store.store import Store
from ..store.stored_study import StoredStudy
from .contents import contents
from .page import page
from .written import write_files

Form = Literal["svg", "png"]
#: names under which distributions have it
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
#: no window, no graphics card, and none of what a browser does beside showing a page
_OPTIONS = ("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_LONGEST_S = 300.0  # own choice: it takes seconds where nothing else runs
_FOUND = re.compile(r"<pre>(.*)</pre>", re.DOTALL)


def write_pictures(store: Store, study: StoredStudy, folder: Path, form: Form) -> list[Path]:
    """Writes a file for every view that has a picture: `pareto.svg`, `history.svg`, and so on.

    Args:
        store: where the study lives.
        study: what is drawn.
        folder: made if need be.
        form: svg, or png with two pixels to each of the page.

    Returns:
        the files; none where no trial has finished.

    Raises:
        AtollError: there is no Chromium or it fails, or the folder cannot be written.
    """
    drawn = _drawn(contents(store, study) | {"pictures": form})
    return write_files(folder, {f"{view}.{form}": _content(found, form) for view, found in drawn.items()})


def _content(found: dict[str, str], form: Form) -> bytes:
    """Returns the file of a view as the page drew it."""
    if form == "svg":
        return _titled(found["picture"], found["words"]).encode("utf-8")
    return base64.b64decode(found["picture"].split(",", 1)[1])


def _drawn(data: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Returns what the page draws, by view."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise AtollError(
            f"svg and png are drawn by Chromium, and none of {', '.join(BROWSERS)} is on the PATH: install "
            "one, or take --format html or md"
        )
    with tempfile.TemporaryDirectory(prefix="atoll-report-") as folder:
        place = Path(folder) / "report.html"
        # plain, so that all is drawn when the page has loaded, which is when Chromium gives it
        place.write_text(page("", [], {}, data, plain=True), encoding="utf-8")
        words = [browser, *_OPTIONS, f"--user-data-dir={folder}/browser"]
        words += ["--no-sandbox"] if os.geteuid() == 0 else []  # root has none; the page is ours
        shown = _output([*words, "--dump-dom", place.as_uri()], folder)
    found = _FOUND.search(shown)
    if found is None:
        raise AtollError(f"{browser} did not draw the pictures")
    return json.loads(html.unescape(found[1]))


def _output(command: list[str], home: str) -> str:
    """Returns what a browser prints; none of its processes is left behind."""
    try:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"HOME": home},
            start_new_session=True,
        )
    except OSError as error:
        raise AtollError(f"cannot start {command[0]}: {error.strerror or error}") from error
    try:
        return process.communicate(timeout=_LONGEST_S)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        raise AtollError(f"{command[0]} did not draw the pictures within {_LONGEST_S:g} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _titled(svg: str, words: str) -> str:
    """Returns an SVG that says what it shows to those who do not see it."""
    head, rest = svg.split(">", 1)
    return f'{head} role="img"><title>{html.escape(words)}</title>{rest}\n'
