"""The step cache in its folder: whole entries or none, and trouble said in one sentence.

The contract of every cache stands in `test_cache_backend.py`.
"""

import errno
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from atoll.evaluators.quota import DRAFT_AGE_S
from atoll.evaluators.steps import step_cache
from atoll.evaluators.steps.cache_backend import Entry
from atoll.evaluators.steps.step_cache import StepCache
from atoll.spaces.errors import AtollError

KEY = "ab" * 32
OTHER = "cd" * 32


def entry(value: float = 1.0, size: int = 6) -> Entry:
    tensors = {"weight": torch.full((size,), value), "index": torch.arange(3, dtype=torch.uint8)}
    return Entry(tensors, {"steps": [{"quality": 0.5, "notes": {}}], "decisions": [{"structure": {}}]})


@pytest.fixture
def cache(tmp_path: Path) -> StepCache:
    return StepCache(tmp_path / "cache")


def folder_of(cache: StepCache, key: str) -> Path:
    return cache.root / key[:2] / key


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_entry_comes_back_bit_for_bit(cache: StepCache) -> None:
    given = entry(torch.pi)
    cache.put(KEY, given)
    found = cache.get(KEY)
    assert found is not None
    assert found.record == given.record
    assert found.tensors.keys() == given.tensors.keys()
    for name, tensor in given.tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)


def test_tensors_that_share_memory_are_kept(cache: StepCache) -> None:
    whole = torch.arange(6.0).reshape(2, 3)
    cache.put(KEY, Entry({"a": whole, "again": whole, "part": whole[0], "turned": whole.t()}, {}))
    found = cache.get(KEY)
    assert found is not None
    assert torch.equal(found.tensors["a"], whole)
    assert torch.equal(found.tensors["again"], whole)
    assert torch.equal(found.tensors["part"], whole[0])
    assert torch.equal(found.tensors["turned"], whole.t())


def test_what_was_never_put_is_not_there(cache: StepCache) -> None:
    assert cache.get(KEY) is None
    assert not cache.has(KEY)
    cache.pin(KEY)
    assert not cache.root.exists()


def test_an_entry_holds_two_files_and_no_pickle(cache: StepCache) -> None:
    cache.put(KEY, entry())
    assert files_below(cache.root) == {f"ab/{KEY}/model.safetensors", f"ab/{KEY}/entry.json"}
    content = (folder_of(cache, KEY) / "model.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert set(header) - {"__metadata__"} == {"weight", "index"}


def test_an_entry_that_is_there_stays(cache: StepCache) -> None:
    cache.put(KEY, entry(1.0))
    cache.put(KEY, entry(2.0))
    assert cache.get(KEY).tensors["weight"][0] == 1.0
    assert files_below(cache.root) == {f"ab/{KEY}/model.safetensors", f"ab/{KEY}/entry.json"}


@pytest.mark.parametrize("file", ["model.safetensors", "entry.json"])
def test_nothing_appears_before_both_files_are_whole(
    cache: StepCache, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies while it writes leaves no entry."""

    class Killed(BaseException):
        pass

    whole = step_cache._write

    def torn(path: Path, data: bytes) -> None:
        if path.name == file:
            path.write_bytes(data[: len(data) // 2])
            raise Killed
        whole(path, data)

    monkeypatch.setattr(step_cache, "_write", torn)
    with pytest.raises(Killed):
        cache.put(KEY, entry())
    assert not cache.has(KEY)
    assert cache.get(KEY) is None
    monkeypatch.undo()
    cache.put(KEY, entry())
    assert cache.get(KEY) is not None


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def under_another_key(path: Path) -> None:
    other = StepCache(path.parents[2])
    other.put(OTHER, entry(5.0))
    for file in folder_of(other, OTHER).iterdir():
        file.replace(path.parent / file.name)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def better(path: Path) -> None:
    """As the cache itself would write it, but for the digest."""
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"quality": 0.5', b'"quality": 0.9'))
    assert path.read_bytes() != content


DAMAGE: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "a flipped bit of a weight": ("model.safetensors", flip_a_byte),
    "cut weights": ("model.safetensors", lambda path: path.write_bytes(path.read_bytes()[:-3])),
    "empty weights": ("model.safetensors", lambda path: path.write_bytes(b"")),
    "no weights": ("model.safetensors", Path.unlink),
    "torn record": ("entry.json", lambda path: path.write_bytes(path.read_bytes()[:20])),
    "a record of something else": ("entry.json", lambda path: path.write_text("[]")),
    "a record without its parts": ("entry.json", lambda path: path.write_text("{}")),
    "bytes that are no text": ("entry.json", lambda path: path.write_bytes(b"\xff\xfe")),
    "a figure of the record": ("entry.json", better),
    "a record in other words": (
        "entry.json",
        lambda path: path.write_text(json.dumps(json.loads(path.read_text()))),
    ),
    "a file too many": ("entry.json", lambda path: path.with_name("old.json").write_bytes(path.read_bytes())),
    "a folder in a file's place": ("entry.json", a_folder),
    "another entry's": ("entry.json", under_another_key),
    "no record": ("entry.json", Path.unlink),
}


@pytest.mark.parametrize("file", ["model.safetensors", "entry.json"])
def test_an_entry_with_any_byte_flipped_or_cut_off_is_none(cache: StepCache, file: str) -> None:
    cache.put(KEY, entry())
    folder = folder_of(cache, KEY)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    content = whole[file]
    flipped = (content[:n] + bytes([content[n] ^ 1 << n % 8]) + content[n + 1 :] for n in range(len(content)))
    cut = (content[:n] for n in range(len(content)))
    for damaged in (*flipped, *cut, content + b" ", content * 2):
        folder.mkdir(exist_ok=True)
        for name, data in (whole | {file: damaged}).items():
            (folder / name).write_bytes(data)
        assert cache.get(KEY) is None
        assert not folder.exists()
    cache.put(KEY, entry())
    assert cache.get(KEY) is not None


def test_a_file_in_the_place_of_an_entry_is_taken_away(cache: StepCache) -> None:
    folder = folder_of(cache, KEY)
    folder.parent.mkdir(parents=True)
    folder.write_text("no folder")
    _, was_there = cache.get_or_make(KEY, entry)
    assert not was_there
    assert cache.get(KEY) is not None


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_removed_and_can_be_made_again(cache: StepCache, damage: str) -> None:
    file, harm = DAMAGE[damage]
    cache.put(KEY, entry(1.0))
    harm(folder_of(cache, KEY) / file)
    assert cache.get(KEY) is None
    assert not folder_of(cache, KEY).exists()
    cache.put(KEY, entry(2.0))
    assert cache.get(KEY).tensors["weight"][0] == 2.0


def test_an_entry_that_is_evicted_while_it_is_read_was_read_whole(
    cache: StepCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.put(KEY, entry())
    real = step_cache.load

    def load_and_evict(data: bytes) -> dict[str, torch.Tensor]:
        StepCache(cache.root, quota_bytes=0).evict()
        return real(data)

    monkeypatch.setattr(step_cache, "load", load_and_evict)
    assert cache.get(KEY) is not None
    assert not cache.has(KEY)


#: processes that begin with torch loaded; a fresh interpreter would take seconds to import it
_FORK = multiprocessing.get_context("fork")


def make_slowly(root: Path, key: str, log: Path) -> None:
    cache = StepCache(root)
    with cache.making(key):
        if cache.get(key) is None:
            with log.open("a") as stream:
                stream.write("made\n")
            time.sleep(0.3)
            cache.put(key, entry())


def hold(root: Path, key: str, is_held: Any) -> None:
    with StepCache(root).making(key):
        is_held.set()
        time.sleep(100)


def test_two_processes_that_want_the_same_entry_make_it_once(cache: StepCache, tmp_path: Path) -> None:
    log = tmp_path / "log"
    makers = [_FORK.Process(target=make_slowly, args=(cache.root, KEY, log)) for _ in range(2)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert [maker.exitcode for maker in makers] == [0, 0]
    assert log.read_text() == "made\n"
    assert cache.get(KEY) is not None


def test_the_right_to_make_falls_free_when_its_holder_dies(cache: StepCache) -> None:
    is_held = _FORK.Event()
    holder = _FORK.Process(target=hold, args=(cache.root, KEY, is_held))
    holder.start()
    assert is_held.wait(60)
    holder.kill()
    holder.join()
    with cache.making(KEY):  # would hang otherwise: the test's time limit sees to that
        cache.put(KEY, entry())
    assert cache.has(KEY)


def test_a_failure_is_not_kept(cache: StepCache) -> None:
    with pytest.raises(AtollError, match="diverged"), cache.making(KEY):
        raise AtollError("diverged")
    assert not cache.has(KEY)
    with cache.making(KEY):
        assert cache.get(KEY) is None


def three_entries(cache: StepCache) -> list[str]:
    """Three entries of about 4 kB, the first used longest ago."""
    keys = [letter * 64 for letter in "123"]
    for age, key in zip((300, 200, 100), keys, strict=True):
        cache.put(key, entry(size=1000))
        os.utime(folder_of(cache, key), (time.time() - age,) * 2)
    return keys


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = StepCache(tmp_path, quota_bytes=9000)
    first, second, third = three_entries(cache)
    assert cache.evict() == 1
    assert [cache.has(key) for key in (first, second, third)] == [False, True, True]
    assert cache.evict() == 0


def test_reading_counts_as_use(tmp_path: Path) -> None:
    cache = StepCache(tmp_path, quota_bytes=9000)
    first, second, third = three_entries(cache)
    assert cache.get(first) is not None
    cache.evict()
    assert [cache.has(key) for key in (first, second, third)] == [True, False, True]


def test_pinned_entries_stay_whatever_the_quota_says(tmp_path: Path) -> None:
    cache = StepCache(tmp_path, quota_bytes=0)
    first, second, third = three_entries(cache)
    cache.pin(first)
    os.utime(folder_of(cache, first), (time.time() - 300,) * 2)
    assert cache.evict() == 2
    assert [cache.has(key) for key in (first, second, third)] == [True, False, False]


def test_the_quota_is_looked_after_while_entries_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_cache, "WEIGHED_EVERY", 2)
    cache = StepCache(tmp_path, quota_bytes=9000)
    for n in range(6):
        cache.put(f"{n:064d}", entry(size=1000))
    assert sum(cache.has(f"{n:064d}") for n in range(6)) == 2


def test_drafts_of_dead_processes_go_in_the_end(cache: StepCache) -> None:
    cache.put(KEY, entry())
    old, new = (folder_of(cache, KEY).parent / f".draft-{name}" for name in ("old", "new"))
    for draft in (old, new):
        draft.mkdir()
        (draft / "model.safetensors").write_bytes(bytes(100))
    os.utime(old, (time.time() - 2 * DRAFT_AGE_S,) * 2)
    cache.evict()
    assert (old.exists(), new.exists(), cache.has(KEY)) == (False, True, True)


def test_a_full_disk_is_said_and_leaves_nothing(cache: StepCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(step_cache, "_write", full)
    with pytest.raises(
        AtollError, match=rf"step cache {cache.root}: cannot write \(No space left on device\).*ATOLL_CACHE"
    ):
        cache.put(KEY, entry())
    assert files_below(cache.root) == set()


@pytest.mark.parametrize("act", ["put", "making"])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, act: str) -> None:
    (tmp_path / "file").write_text("")
    cache = StepCache(tmp_path / "file" / "cache")
    with pytest.raises(AtollError, match=rf"step cache {cache.root}: cannot write \(Not a directory\)"):
        if act == "put":
            cache.put(KEY, entry())
        else:
            with cache.making(KEY):
                pytest.fail("nothing can be made here")


def test_a_pin_that_cannot_be_written_is_said(cache: StepCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put(KEY, entry())

    def refused(path: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(AtollError, match=r"cannot write \(Read-only file system\)"):
        cache.pin(KEY)
