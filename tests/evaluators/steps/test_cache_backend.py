"""The contract of every step cache, and that the pipeline asks for nothing beyond it."""

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from threading import Lock
from time import sleep

import pytest
import torch
from atoll.evaluators.steps.cache_backend import CacheBackend, Entry
from atoll.evaluators.steps.pipeline import Pipeline
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.steps.step_cache import StepCache
from atoll.evaluators.tasks.task import Task
from atoll.spaces.recipes.recipe import Recipe

KEY, OTHER = "ab" * 32, "cd" * 32
#: made anew for every test: a cache, and what removes from it all that may go
Made = tuple[CacheBackend, Callable[[], object]]


class MemoryCache:
    """The shortest cache that keeps the contract within a process: for these tests alone."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._pinned: set[str] = set()
        self._locks: defaultdict[str, Lock] = defaultdict(Lock)

    def get(self, key: str) -> Entry | None:
        return deepcopy(self._entries.get(key))

    def has(self, key: str) -> bool:
        return key in self._entries

    def get_or_make(self, key: str, make: Callable[[], Entry]) -> tuple[Entry, bool]:
        with self._locks[key]:
            found = self.get(key)
            if found is not None:
                return found, True
            made = make()
            self._entries[key] = deepcopy(made)
            return made, False

    def pin(self, key: str) -> None:
        if key in self._entries:
            self._pinned.add(key)

    def drop_unpinned(self) -> None:
        self._entries = {key: entry for key, entry in self._entries.items() if key in self._pinned}


def in_folder(folder: Path) -> Made:
    cache = StepCache(folder / "cache", quota_bytes=0)
    return cache, cache.evict


def in_memory(_folder: Path) -> Made:
    cache = MemoryCache()
    return cache, cache.drop_unpinned


@pytest.fixture(params=[in_folder, in_memory])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    return request.param(tmp_path)


def entry(value: float = 1.0) -> Entry:
    tensors = {"weight": torch.full((2, 3), value), "index": torch.arange(3, dtype=torch.uint8)}
    return Entry(tensors, {"steps": [{"quality": value, "notes": {}}]})


def assert_equal(found: Entry | None, wanted: Entry) -> None:
    assert found is not None
    assert found.record == wanted.record
    assert found.tensors.keys() == wanted.tensors.keys()
    for name, tensor in wanted.tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)


def never() -> Entry:
    raise AssertionError("it is there and need not be made")


def test_nothing_is_there_before_it_is_made(made: Made) -> None:
    cache, _ = made
    assert cache.get(KEY) is None
    assert not cache.has(KEY)
    cache.pin(KEY)
    assert not cache.has(KEY)


def test_what_is_made_is_there_bit_for_bit_and_made_once(made: Made) -> None:
    cache, _ = made
    first, was_there = cache.get_or_make(KEY, lambda: entry(torch.pi))
    assert not was_there
    assert_equal(first, entry(torch.pi))
    again, was_there = cache.get_or_make(KEY, never)
    assert was_there and cache.has(KEY) and not cache.has(OTHER)
    assert_equal(again, entry(torch.pi))
    assert_equal(cache.get(KEY), entry(torch.pi))


def test_what_is_handed_in_or_out_is_the_caller_s_to_change(made: Made) -> None:
    cache, _ = made
    given, _ = cache.get_or_make(KEY, entry)
    read = cache.get(KEY)
    assert read is not None
    for known in (given, read):
        known.tensors["weight"].zero_()
        known.record["steps"].clear()
    assert_equal(cache.get(KEY), entry())


def test_a_failure_is_not_kept_and_the_next_one_tries(made: Made) -> None:
    cache, _ = made

    def fail() -> Entry:
        raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged"):
        cache.get_or_make(KEY, fail)
    assert not cache.has(KEY)
    assert cache.get_or_make(KEY, entry)[1] is False


def test_one_makes_and_the_others_wait(made: Made) -> None:
    cache, _ = made
    makers: list[int] = []

    def ask(number: int) -> tuple[Entry, bool]:
        def make() -> Entry:
            makers.append(number)
            sleep(0.05)
            return entry(number)

        return cache.get_or_make(KEY, make)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert len(makers) == 1
    assert sorted(was_there for _, was_there in found) == [False, True, True, True]
    for one, _ in found:
        assert_equal(one, entry(makers[0]))


def test_another_entry_is_made_meanwhile(made: Made) -> None:
    """A teacher is made while the step that asks for it is: waiting for each other would be for ever."""
    cache, _ = made

    def step() -> Entry:
        cache.get_or_make(OTHER, lambda: entry(2.0))
        return entry(1.0)

    cache.get_or_make(KEY, step)
    assert_equal(cache.get(KEY), entry(1.0))
    assert_equal(cache.get(OTHER), entry(2.0))


def test_what_is_pinned_stays_and_anything_else_may_go(made: Made) -> None:
    cache, remove_what_may_go = made
    cache.get_or_make(KEY, entry)
    cache.get_or_make(OTHER, entry)
    cache.pin(KEY)
    remove_what_may_go()
    assert_equal(cache.get(KEY), entry())
    assert cache.get(OTHER) is None
    assert cache.get_or_make(OTHER, entry)[1] is False


def test_the_pipeline_asks_for_nothing_beyond_it(tiny_task: Task, tmp_path: Path) -> None:
    """Out of memory and out of a folder comes the same network, and what is cached is not made again."""
    recipe = Recipe.parse("prune_weights(ratio=0.5) -> quantize(bits=8)")

    def run(cache: CacheBackend | None) -> tuple[str, list[bool]]:
        pipeline = Pipeline(Settings(tiny_task.name, "coral-dev-board", 0, 0.1, 0.0), tmp_path / "cache")
        pipeline.cache = cache or pipeline.cache
        result = pipeline.run(recipe, keep=True)
        assert pipeline.is_cached(recipe)
        return result.digest, [step.cached for step in result.steps[1:]]

    memory = MemoryCache()
    digest, cached = run(memory)
    assert not any(cached)
    assert not (tmp_path / "cache").exists()
    again, cached = run(memory)
    assert again == digest and all(cached)
    assert run(None)[0] == digest
