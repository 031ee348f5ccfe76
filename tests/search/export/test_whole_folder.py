"""A folder is there as a whole or not at all, whatever fails or dies on the way."""

import ctypes
import errno
import json
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
from atoll.search.export import whole_folder as module
from atoll.search.export.whole_folder import check_replaceable, whole_folder
from atoll.spaces.errors import AtollError


@pytest.fixture
def two_renames(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that cannot exchange two names."""
    monkeypatch.setattr(module, "_swapped", lambda *_: False)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "exports" / "it"


def contents(place: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in place.iterdir()}


def write(place: Path, text: str) -> None:
    with whole_folder(place) as folder:
        (folder / "file").write_text(text)
        (folder / "card.json").write_text(json.dumps({"files": {"file": ""}}))


def alone(place: Path) -> bool:
    return os.listdir(place.parent) == [place.name]


def test_a_new_folder_an_empty_one_and_an_old_one_are_taken(place: Path) -> None:
    write(place, "a")
    assert contents(place)["file"] == "a"
    with whole_folder(place) as folder:
        (folder / "other").write_text("b")
        assert contents(place)["file"] == "a"  # until the end
    assert contents(place) == {"other": "b"}
    (place / "other").unlink()
    write(place, "c")
    assert contents(place)["file"] == "c"
    assert alone(place)


def test_a_link_stays_one(place: Path, tmp_path: Path) -> None:
    write(place, "a")
    (tmp_path / "link").symlink_to(place)
    write(tmp_path / "link", "b")
    assert (tmp_path / "link").is_symlink()
    assert contents(place)["file"] == "b"


def test_it_has_the_rights_of_any_new_folder(place: Path, tmp_path: Path) -> None:
    write(place, "a")
    (tmp_path / "new").mkdir()
    assert place.stat().st_mode == (tmp_path / "new").stat().st_mode


@pytest.mark.parametrize("error", [AtollError("refused"), KeyboardInterrupt(), ValueError("x")])
@pytest.mark.parametrize("before", [True, False])
def test_what_fails_leaves_what_was_there(place: Path, error: BaseException, before: bool) -> None:
    if before:
        write(place, "a")
    with pytest.raises(type(error)), whole_folder(place) as folder:
        (folder / "file").write_text("b")
        raise error
    assert not before or (contents(place)["file"] == "a" and alone(place))
    assert before or os.listdir(place.parent) == []


def test_an_old_folder_is_exchanged_in_one_step(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(place, "a")
    rename, moved = Path.rename, []

    def watched(path: Path, target: Path) -> Path:
        moved.append(path.name)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", watched)
    if not module._swapped(place, place):
        pytest.skip("this file system cannot exchange two names")
    write(place, "b")
    assert place.name not in moved
    assert contents(place)["file"] == "b"
    assert alone(place)


def test_without_an_exchange_an_old_folder_is_replaced_all_the_same(place: Path, two_renames: None) -> None:
    write(place, "a")
    write(place, "b")
    assert contents(place)["file"] == "b"
    assert alone(place)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, None])
def test_a_system_that_cannot_exchange_says_so(
    place: Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    def refuse(*_: object) -> int:
        ctypes.set_errno(code or 0)
        return -1

    library = types.SimpleNamespace(**({} if code is None else {"renameat2": refuse}))
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: library)
    assert not module._swapped(place, place)


def test_a_place_that_cannot_be_taken_keeps_what_was_there(
    place: Path, monkeypatch: pytest.MonkeyPatch, two_renames: None
) -> None:
    write(place, "a")
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(AtollError, match=f"cannot write the export to {place}: No space left"):
        write(place, "b")
    assert contents(place)["file"] == "a"
    assert alone(place)


KILLED = """
import os, signal, sys
from pathlib import Path
from atoll.search.export import whole_folder as module
place, when = Path(sys.argv[1]), sys.argv[2]
def die(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)
with module.whole_folder(place) as folder:
    (folder / "file").write_text("b")
    if when == "before":
        die()
    rename, times = Path.rename, []
    if when == "between":
        module._swapped = lambda *_: False
    def renamed(path, target):
        if when == "between" and len(times) == 2:
            die()  # it was tried to take the place at once, and then to move the old one away
        times.append(1)
        return rename(path, target)
    Path.rename = renamed
    module.shutil.rmtree = die
"""


@pytest.mark.parametrize(("when", "there"), [("before", "a"), ("between", None), ("behind", "b")])
def test_what_a_killed_process_leaves_is_tidied_up_by_the_next(
    place: Path, when: str, there: str | None
) -> None:
    write(place, "a")
    found = subprocess.run([sys.executable, "-c", KILLED, str(place), when])
    assert found.returncode == -signal.SIGKILL
    assert (contents(place)["file"] if place.exists() else None) == there
    assert not alone(place)
    with pytest.raises(AtollError, match="no"), whole_folder(place):
        assert contents(place)["file"] == (there or "a")  # the old one is back
        raise AtollError("no")
    assert alone(place)


def test_what_a_living_process_builds_and_what_is_ours_alone_stays(place: Path) -> None:
    other = place.parent / ".it.mine.partial"
    with whole_folder(place) as folder:
        other.mkdir()
        (folder / "file").write_text("a")
        write(place, "b")
        assert contents(folder) == {"file": "a"}
    assert contents(place) == {"file": "a"}
    assert sorted(os.listdir(place.parent)) == [".it.mine.partial", "it"]


def test_only_what_an_export_wrote_is_replaced(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_replaceable(place, "card.json", ("CARD.md",))
    write(place, "a")
    (place / "CARD.md").write_text("")
    check_replaceable(place, "card.json", ("CARD.md",))
    (place / "mine.txt").write_text("")
    with pytest.raises(AtollError, match=f"cannot write the export to {place}: it holds 'mine.txt'"):
        check_replaceable(place, "card.json", ("CARD.md",))
    (place / "mine.txt").unlink()
    (place / "card.json").write_text("[]")
    with pytest.raises(AtollError, match="it holds 'file', which is of no export"):
        check_replaceable(place, "card.json", ("CARD.md",))
    (place.parent / "file").write_text("")
    with pytest.raises(AtollError, match="File exists, and is no folder"):
        check_replaceable(place.parent / "file", "card.json", ())


@pytest.mark.parametrize("exchange", [True, False])
def test_a_mount_point_is_not_replaced(place: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    message = r"this one is a mount point; allowed is one inside it, such as .*model"
    with pytest.raises(AtollError, match=message):
        check_replaceable(Path("/proc"), "card.json", ())
    write(place, "a")

    def busy(*names: Path) -> Path:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(names[0]))

    def refuse(*_: object) -> int:
        ctypes.set_errno(errno.EBUSY if exchange else errno.EINVAL)
        return -1

    # mounted from the same disk: only moving it tells
    monkeypatch.setattr(Path, "rename", busy)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: types.SimpleNamespace(renameat2=refuse))
    with pytest.raises(AtollError, match=message), whole_folder(place) as folder:
        write(folder, "b")
    assert contents(place)["file"] == "a"


def test_the_current_folder_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in (Path("."), tmp_path):
        with pytest.raises(AtollError, match=r"allowed is one inside it, such as .*model"):
            check_replaceable(place, "card.json", ())
