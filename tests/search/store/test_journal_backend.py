"""The contract of every journal, and that the store asks for nothing beyond it."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from atoll.search.store.events import Ended, Event, Started, StudyDescribed, event_from_json
from atoll.search.store.journal import Journal
from atoll.search.store.journal_backend import JournalBackend
from atoll.search.store.store import Store

#: gives the journal of a name; asked again, the same one as another process would open it
Open = Callable[[str], JournalBackend]


class MemoryJournal:
    """The shortest journal that keeps the contract within a process: for these tests alone.

    Args:
        events: the JSON of those so far; journals over one list are one journal.
    """

    def __init__(self, events: list[str]) -> None:
        self._events = events

    def append(self, event: Event) -> None:
        text = json.dumps(event.to_json(), allow_nan=False)
        event_from_json(json.loads(text))
        self._events.append(text)

    def append_all(self, events: Iterable[Event]) -> None:
        texts = [json.dumps(event.to_json(), allow_nan=False) for event in events]
        for text in texts:
            event_from_json(json.loads(text))
        self._events += texts

    def read(self, offset: int = 0, limit: int | None = None) -> tuple[list[Event], int]:
        texts = self._events[offset:][:limit]
        found = [event_from_json(json.loads(text)) for text in texts]
        return [event for event in found if event is not None], offset + len(texts)

    def has_more(self, offset: int) -> bool:
        return offset < len(self._events)

    def is_line_start(self, offset: int) -> bool:
        return offset <= len(self._events)

    def size_bytes(self) -> int:
        return len(self._events)

    def fingerprint(self) -> str:
        return self._events[0] if self._events else ""


@pytest.fixture(params=["file", "memory"])
def open_journal(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "file":
        return lambda name: Journal(tmp_path / f"{name}.journal.jsonl")
    lists: dict[str, list[str]] = {}
    return lambda name: MemoryJournal(lists.setdefault(name, []))


def event(number: int) -> Started:
    return Started(study="s", trial=f"t{number:04d}", worker_pid=number)


def test_many_are_appended_all_or_none(open_journal: Open) -> None:
    journal = open_journal("a")
    journal.append(event(1))
    journal.append_all([event(2), event(3)])
    assert open_journal("a").read()[0] == [event(1), event(2), event(3)]
    with pytest.raises(Exception, match="trial"):
        journal.append_all([event(4), Started(study="s", trial="no name of ours")])
    journal.append_all([])
    assert open_journal("a").read()[0] == [event(1), event(2), event(3)]


def test_an_empty_one_has_nothing(open_journal: Open) -> None:
    journal = open_journal("a")
    assert journal.read() == ([], 0)
    assert not journal.has_more(0)
    assert journal.size_bytes() == 0
    assert journal.fingerprint() == ""
    assert journal.is_line_start(0)


def test_events_come_back_in_their_order_and_for_others_at_once(open_journal: Open) -> None:
    writer, reader = open_journal("a"), open_journal("a")
    for number in range(5):
        writer.append(event(number))
        assert reader.read()[0] == [event(n) for n in range(number + 1)]
    assert open_journal("b").read() == ([], 0)


def test_reading_goes_on_from_any_offset_that_reading_gave(open_journal: Open) -> None:
    journal = open_journal("a")
    for number in range(6):
        journal.append(event(number))
    offsets = [0]
    while journal.has_more(offsets[-1]):
        found, offset = journal.read(offsets[-1], limit=1)
        assert found == [event(len(offsets) - 1)]
        offsets.append(offset)
    assert offsets == sorted(set(offsets)) and len(offsets) == 7
    journal.append(event(6))  # what is appended later moves none of them
    for number, offset in enumerate(offsets):
        assert journal.is_line_start(offset)
        assert journal.read(offset)[0] == [event(n) for n in range(number, 7)]
    assert journal.read(limit=0) == ([], 0)


def test_its_size_grows_with_every_event_and_reaches_the_last_offset(open_journal: Open) -> None:
    journal, sizes = open_journal("a"), [0]
    for number in range(4):
        journal.append(event(number))
        sizes.append(journal.size_bytes())
    assert sizes == sorted(set(sizes))
    assert journal.read()[1] <= sizes[-1]


def test_its_fingerprint_is_that_of_its_beginning(open_journal: Open) -> None:
    journal, other = open_journal("a"), open_journal("b")
    journal.append(event(0))
    other.append(event(1))
    first = journal.fingerprint()
    assert first not in ("", other.fingerprint())
    journal.append(event(1))
    assert open_journal("a").fingerprint() == first


def test_what_could_not_be_read_again_is_refused_and_leaves_the_journal_as_it_was(open_journal: Open) -> None:
    journal = open_journal("a")
    journal.append(event(0))
    before = journal.size_bytes(), journal.read()
    with pytest.raises(Exception, match="trial"):
        journal.append(Started(study="s", trial=7))  # type: ignore[arg-type]
    assert (journal.size_bytes(), journal.read()) == before


def test_the_store_asks_for_nothing_beyond_it(open_journal: Open, tmp_path: Path) -> None:
    """Whatever keeps the events, they make the same rows; in batches, again, and from another journal."""

    class Elsewhere(Store):
        name = "a"

        @property
        def journal(self) -> JournalBackend:
            return open_journal(self.name)

    store = Elsewhere(tmp_path / "elsewhere.duckdb")
    key: dict[str, Any] = {
        "recipe": "binarize",
        "recipe_digest": "d",
        "origin": "search",
        "seed": 0,
        "epochs_per_step": 1.0,
    }
    store.journal.append(StudyDescribed(study="s", digest="d", definition={"task": "digits"}))
    store.journal.append(Started(study="s", trial="t0001", **key))
    assert store.fold()
    store.journal.append(Ended(study="s", trial="t0001", status="finished", **key))
    store.journal.append(Started(study="s", trial="t0002", **{**key, "seed": 1}))
    for _ in range(2):
        assert store.recover()
        found = [(row["trial"], row["recipe"], row["status"]) for row in store.trials("s")]
        assert found == [("t0001", "binarize", "finished"), ("t0002", "binarize", "failed")]
    store.name = "b"
    store.journal.append(Started(study="other", trial="t0001", **key))
    assert store.recover()
    assert [row["study"] for row in store.trials("other")] == ["other"]
