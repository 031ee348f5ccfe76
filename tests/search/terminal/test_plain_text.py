"""Everything we print reaches a terminal of a poor character set."""

import io
import os
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("closed", "on_stdout", "on_stderr"),
    [((), "told", "atoll: said"), ((1,), "", "atoll: said"), ((2,), "told", ""), ((0, 1, 2), "", "")],
)
def test_a_closed_stream_is_an_empty_one(
    tmp_path: Path, closed: tuple[int, ...], on_stdout: str, on_stderr: str
) -> None:
    """What is said does not come among the results, and no file takes the stream's number."""
    script = (
        "import os; from atoll.search.terminal.plain_text import open_closed_streams; "
        "from atoll.search.terminal.said import say, tell; open_closed_streams(); "
        f"file = open({str(tmp_path / 'journal')!r}, 'w'); assert file.fileno() > 2; "
        "os.write(1, b''); os.write(2, b''); tell('told'); say('said')"
    )

    def close() -> None:
        for number in closed:
            os.close(number)

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, preexec_fn=close)
    assert (done.returncode, done.stdout.strip(), done.stderr.strip()) == (0, on_stdout, on_stderr)
