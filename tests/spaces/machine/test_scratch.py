"""Scratch folders are gone at the end, whoever ends it; those of living processes stay."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from atoll.spaces.errors import AtollError
from atoll.spaces.machine import scratch
from atoll.spaces.machine.scratch import scratch_folder, scratch_place

_HOLDER = """
import time
from atoll.spaces.machine.scratch import scratch_folder
with scratch_folder() as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_folder_is_there_and_gone(temp: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch_folder() as folder:
        assert folder.parent == temp
        (folder / "below").mkdir()
        (folder / "below" / "file").write_text("x")
        raise ZeroDivisionError
    assert list(temp.iterdir()) == []


def test_the_next_one_removes_what_a_killed_process_left_and_nothing_else(temp: Path) -> None:
    (temp / "mine").mkdir()
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        held = Path(holder.stdout.readline().strip())
        with scratch_folder() as own, scratch_folder() as other:
            assert held.is_dir() and own.is_dir() and other.is_dir()
    finally:
        holder.kill()
        holder.wait()
    assert held.is_dir(), "nobody put it away"
    with scratch_folder():
        assert not held.exists()
    assert [path.name for path in temp.iterdir()] == ["mine"]


def test_a_link_in_place_of_a_folder_is_not_followed(
    temp: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "file").write_text("x")
    (temp / "atoll-tmp-abcdefgh").symlink_to(elsewhere)
    with scratch_folder():
        pass
    assert (elsewhere / "file").exists()


def test_a_path_that_is_too_long_gives_way_to_a_short_place(
    temp: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Path(tempfile.mkdtemp(prefix="s", dir="/tmp"))
    try:
        monkeypatch.setattr(scratch, "_SHORT_PLACES", (str(temp / "not there"), str(short)))
        longest = len(str(short)) + len("/atoll-tmp-abcdefgh")
        assert len(str(temp)) > len(str(short))
        with scratch_folder(longest) as folder:
            assert folder.parent == short and len(str(folder)) == longest
        assert scratch_place() == temp
        with pytest.raises(
            AtollError, match=rf"set TMPDIR to a writable folder of at most {len(str(short)) - 1} "
        ):
            scratch_place(longest - 1)
    finally:
        short.rmdir()


def test_a_folder_that_cannot_be_made_is_one_sentence(temp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "scratch_place", lambda _longest=None: temp / "not there")
    said = r"cannot make a temporary folder in .*not there .*: set TMPDIR"
    with pytest.raises(AtollError, match=said), scratch_folder():
        pass


def test_two_at_once_never_take_each_other_away(temp: Path) -> None:
    """Makers and sweepers race in processes; every folder is there while its maker has it."""
    code = (
        "from atoll.spaces.machine.scratch import scratch_folder\n"
        "for _ in range(150):\n"
        "    with scratch_folder() as folder:\n"
        "        (folder / 'file').write_text('x')\n"
        "        assert (folder / 'file').exists()\n"
    )
    racers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [racer.wait() for racer in racers] == [0, 0]
    assert list(temp.iterdir()) == []
