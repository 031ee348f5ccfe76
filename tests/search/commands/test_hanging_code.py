"""Code that hangs where it is imported: one hears what is waited for, and Ctrl-C ends it with a sentence."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

# a shell starts what runs in its background with Ctrl-C ignored, and children inherit that
COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from atoll.evaluators.tasks import user_code
from atoll.search.commands.cli import main
user_code.SLOW_S = 0.2
sys.exit(main(["check", "parts.yaml"]))
"""


@pytest.mark.slow
def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    (tmp_path / "metrics.py").write_text("while True:\n    pass\n")
    (tmp_path / "parts.yaml").write_text(
        "task:\n  network: baseline_cnn\n  data: data.npz\n  quality: metrics.py:recall\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND], cwd=tmp_path, stdout=pipe, stderr=pipe, text=True
    ) as command:
        try:
            assert command.stderr is not None
            assert "reading the study" in command.stderr.readline()
            told = command.stderr.readline()
            command.send_signal(signal.SIGINT)
            printed, said = command.communicate(timeout=60)
        finally:
            command.kill()
    assert told == "atoll: importing metrics.py has taken 0 s so far; Ctrl-C ends it\n"
    assert (command.returncode, printed, said) == (130, "", "atoll: interrupted\n")
