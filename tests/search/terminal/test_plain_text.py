"""Everything we print reaches a terminal of a poor character set."""

import io
import os
import subprocess
import sys

import pytest
from atoll.search.terminal.plain_text import says_everything, speak_plainly


@pytest.mark.parametrize(
    ("encoding", "text", "expected"),
    [
        ("ascii", "a → b, 3 × 4 ± 1, 漢", b"a -> b, 3 x 4 +- 1, \\u6f22"),
        ("latin-1", "a → b, 3 × 4 ± 1", b"a -> b, 3 \xd7 4 \xb1 1"),
        ("utf-8", "a → b", "a → b".encode()),
    ],
)
def test_signs_that_are_lacking_are_said_in_ascii(encoding: str, text: str, expected: bytes) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    speak_plainly(stream, None)
    print(text, end="", file=stream, flush=True)
    assert raw.getvalue() == expected


def test_which_character_sets_lack_nothing() -> None:
    assert [
        says_everything(io.TextIOWrapper(io.BytesIO(), encoding=name)) for name in ("utf-8", "ascii")
    ] == [
        True,
        False,
    ]


@pytest.mark.parametrize("format", ["table", "json", "csv"])
def test_techniques_on_an_ascii_terminal(format: str) -> None:
    """The list holds signs outside ASCII (§ in the sources); JSON escapes them in its own way."""
    import json

    words = [sys.executable, "-m", "atoll.search.commands.cli", "techniques", "--format", format]
    done = {
        encoding: subprocess.run(words, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding})
        for encoding in ("ascii", "utf-8")
    }
    assert done["ascii"].returncode == 0 and done["ascii"].stderr == b""
    assert done["ascii"].stdout.isascii() and not done["utf-8"].stdout.isascii()
    if format == "json":
        assert json.loads(done["ascii"].stdout) == json.loads(done["utf-8"].stdout)
