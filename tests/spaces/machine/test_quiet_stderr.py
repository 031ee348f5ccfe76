"""What is printed past Python is collected, and the stream is as it was, whatever happens."""

import os

import pytest
from atoll.spaces.machine.quiet_stderr import quiet_stderr


def test_lines_are_collected_and_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ValueError), quiet_stderr() as said:
        os.write(2, b"INFO: a delegate\nERROR: a reason\n")
        raise ValueError
    assert said == ["INFO: a delegate", "ERROR: a reason"]
    os.write(2, b"shown\n")
    assert capfd.readouterr().err == "shown\n"
    assert len(os.listdir("/proc/self/fd")) == before
