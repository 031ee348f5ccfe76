"""What prepared tasks and decoded data may take: the least recently used go, and nothing that is held."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators import prepared_quota
from atoll.evaluators.own.prepare import prepare
from atoll.evaluators.prepared_quota import evict, hold, quota_bytes, taken_bytes
from atoll.evaluators.sources.data_source import DataSource
from atoll.evaluators.sources.open_data import open_data
from atoll.evaluators.tasks import load_task
from atoll.evaluators.tasks.prepared import data_folder, prepared_folder, prepared_task
from atoll.search.commands.doctor import doctor_rows
from atoll.spaces.errors import AtollError, MachineError
from torch import nn

HOLDER = """
import sys
from pathlib import Path
from atoll.evaluators.prepared_quota import hold
entry = Path(sys.argv[1])
print("begins", flush=True)
hold(entry)
print("whole" if (entry / "data.json").is_file() else "gone", flush=True)
sys.stdin.read()
"""
EVICTOR = "from atoll.evaluators.prepared_quota import evict; print(evict())"

Holder = subprocess.Popen[str]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of a process that holds nothing yet."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ATOLL_CACHE", str(folder))
    monkeypatch.setenv("ATOLL_DATA_GIB", "0")
    monkeypatch.setattr(prepared_quota, "_held", {})
    return folder


@pytest.fixture
def begin() -> Iterator[Callable[[Path], Holder]]:
    """Starts processes that hold an entry as long as they live; they have begun, and are ended at last."""
    begun: list[Holder] = []

    def begin(entry: Path) -> Holder:
        command = [sys.executable, "-c", HOLDER, str(entry)]
        begun.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert line(begun[-1]) == "begins"
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def line(process: Holder) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def entry(path: Path, age_s: float, size: int = 1000) -> Path:
    """An entry as it lies there: of heads a file, else a folder with its description and something below."""
    if path.parent.name == "heads":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    else:
        (path / "code").mkdir(parents=True)
        (path / ("data.json" if path.parent.name == "data" else "task.json")).write_text("{}")
        (path / "code" / "file").write_bytes(bytes(size - 2))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def three(cache: Path) -> list[Path]:
    return [
        entry(cache / "data" / "first", 300),
        entry(cache / "heads" / "second.safetensors", 200),
        entry(cache / "tasks" / "third", 100),
    ]


def there(entries: list[Path]) -> list[bool]:
    return [one.exists() for one in entries]


@pytest.mark.parametrize(("fit", "left"), [(3, [1, 1, 1]), (2, [0, 1, 1]), (1, [0, 0, 1]), (0, [0, 0, 0])])
def test_of_all_kinds_the_least_recently_used_go_first(
    cache: Path, monkeypatch: pytest.MonkeyPatch, fit: int, left: list[int]
) -> None:
    monkeypatch.setenv("ATOLL_DATA_GIB", repr((1000 * fit + 1) / 2**30))
    entries = three(cache)
    others = [cache / "data" / "first.lock", cache / "trusted", cache / "ab" / "ab12"]
    for other in others:
        other.parent.mkdir(exist_ok=True)
        other.touch()
    assert taken_bytes() == {"decoded data": 1000, "prepared tasks": 1000, "trained heads": 1000}
    assert evict() == 3 - fit
    assert there(entries) == left and all(there(others)), "locks, digests and the step cache are not its own"
    assert sum(taken_bytes().values()) == 1000 * fit, "and nothing of them is left in a draft"


def test_opening_counts_as_use(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOLL_DATA_GIB", repr(2001 / 2**30))
    entries = three(cache)
    hold(entries[0])
    prepared_quota._held.clear()
    assert evict() == 1 and there(entries) == [True, False, True]


def test_what_another_process_holds_stays_until_it_dies(cache: Path, begin: Callable[[Path], Holder]) -> None:
    entries = three(cache)
    holders = [begin(entries[0]), begin(entries[0])]
    assert [line(holder) for holder in holders] == ["whole", "whole"], "it is shared"
    assert evict() == 2 and there(entries) == [True, False, False]
    for holder, stays in zip(holders, (True, False), strict=True):
        holder.kill()
        holder.wait()
        evict()
        assert entries[0].exists() == stays


def test_who_comes_while_it_goes_finds_nothing_of_it(
    cache: Path, begin: Callable[[Path], Holder], monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, late = three(cache), []
    whole = prepared_quota.remove_whole

    def slow(path: Path) -> bool:
        if path == entries[0]:
            late.append(begin(path))
            time.sleep(0.1)  # it waits for the lock now
        return whole(path)

    monkeypatch.setattr(prepared_quota, "remove_whole", slow)
    assert evict() == 3
    assert line(late[0]) == "gone"


def test_what_was_made_anew_meanwhile_stays(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = entry(cache / "data" / "one", 300)
    new = entry(cache / "data" / ".draft-one", 0)
    locked = fcntl.flock

    def late(*given: int) -> None:
        locked(*given)
        old.rename(cache / "damaged")
        new.rename(old)

    monkeypatch.setattr(fcntl, "flock", late)
    assert evict() == 0 and old.exists()


def test_a_draft_is_held_under_its_later_name(cache: Path) -> None:
    draft, late = entry(cache / "data" / ".draft-1", 0), cache / "data" / "one"
    hold(draft)
    draft.rename(late)
    hold(late)
    assert len(prepared_quota._held) == 1
    assert evict() == 0 and late.exists()


def test_a_process_holds_the_latest_only(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared_quota, "_HELD_AT_MOST", 2)
    entries = three(cache)
    for one in entries:
        hold(one)
    assert evict() == 1 and there(entries) == [False, True, True]


def test_where_nothing_can_be_locked_nothing_goes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: int) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    entries = three(cache)
    hold(entries[0])
    assert evict() == 0 and all(there(entries))


def test_what_is_damaged_goes_and_what_is_not_there_is_not_held(cache: Path) -> None:
    (cache / "data" / "damaged").mkdir(parents=True)
    (cache / "data" / "damaged" / "train.arrow").write_bytes(bytes(10))
    hold(cache / "data" / "damaged")
    hold(cache / "data" / "none")
    assert not prepared_quota._held and evict() == 1


def test_drafts_go_when_nothing_was_written_for_long(cache: Path) -> None:
    long_ago = 2 * 24 * 3600
    drafts = [
        entry(cache / "data" / "a.x.partial", long_ago),
        entry(cache / "data" / "b.x.partial", long_ago),
        entry(cache / "tasks" / ".draft-c", 0),
    ]
    for path in drafts[0].rglob("*"):
        os.utime(path, (time.time() - long_ago,) * 2)
    assert evict() == 0
    assert there(drafts) == [False, True, True], "the second is still written to"


@pytest.mark.parametrize("said", ["much", "-1", "nan", "inf", "1e308"])
def test_a_quota_that_is_none_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("ATOLL_DATA_GIB", said)
    with pytest.raises(AtollError, match=f"ATOLL_DATA_GIB is '{said}', allowed are the GiB"):
        evict()
    row = {row["what"]: row for row in doctor_rows(cache / "atoll.duckdb")}["prepared, GiB"]
    assert not row["ok"] and "allowed are" in row["found"]


def test_the_doctor_tells_what_they_take(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATOLL_DATA_GIB")
    assert quota_bytes() == 32 * 2**30
    folder = entry(cache / "data" / "big", 0)
    with (folder / "train.arrow").open("wb") as stream:
        stream.truncate(3 * 2**29)  # a hole: 1.5 GiB that take no room
    row = {row["what"]: row for row in doctor_rows(cache / "atoll.duckdb")}["prepared, GiB"]
    assert row["ok"]
    assert row["found"] == "1.5 of 32: decoded data 1.5, prepared tasks 0.0, trained heads 0.0"


def images(path: Path, seed: int) -> Path:
    values = np.random.default_rng(seed).integers(0, 256, (40, 1, 4, 4), np.uint8)
    np.savez(path, x=values, y=np.arange(40) % 4)
    return path


def test_opened_data_stay_for_every_process(cache: Path, tmp_path: Path) -> None:
    data = open_data(DataSource(images(tmp_path / "data.npz", 0)), cache)
    assert evict() == 0
    said = subprocess.run([sys.executable, "-c", EVICTOR], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "0" and data.folder.is_dir()
    prepared_quota._held.clear()  # as if this process had ended
    said = subprocess.run([sys.executable, "-c", EVICTOR], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "1" and not data.folder.exists()


def test_a_study_that_begins_keeps_its_own_and_an_earlier_one_gives_way(cache: Path, tmp_path: Path) -> None:
    said: list[str] = []

    def study(name: str, seed: int) -> str:
        network = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
        nn.init.constant_(network[1].weight, 0.1 * (seed + 1))
        nn.init.zeros_(network[1].bias)
        data = images(tmp_path / f"{name}.npz", seed).name
        return prepare({"network": network, "data": data}, tmp_path, name, said.append).name

    def ended() -> None:
        prepared_quota._held.clear()
        prepared_task.cache_clear()

    first = study("first", 0)
    places = [prepared_folder(first), data_folder(first)]
    assert all(there(places)), "a quota of nothing does not take what is made now"
    ended()
    second = study("second", 1)
    assert there(places) == [False, False]
    assert prepared_folder(second).is_dir() and data_folder(second).is_dir()
    assert (
        said[-1]
        == "cache: 2 of the prepared tasks and data not used for longest gave way (quota ATOLL_DATA_GIB)"
    )
    ended()
    with pytest.raises(MachineError, match="search its study file here"):
        load_task(first)
    assert study("first", 0) == first, "its study file makes the same again"
    assert load_task(first).dataset().train.images.shape[1:] == (1, 4, 4)
    ended()
