"""The journal: what was appended is read again, whatever was torn off or damaged."""

import errno
import json
import math
import os
import resource
import subprocess
import sys
import zlib

import numpy as np
import pytest
from atoll.search.store import journal as journal_module
from atoll.search.store.events import (
    Ended,
    LookedAtTest,
    Measured,
    Proposed,
    Started,
    StudyDescribed,
    event_from_json,
)
from atoll.search.store.journal import Journal
from atoll.spaces.errors import AtollError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates too: a failure's reason may hold an undecodable file name.
    | st.text(max_size=20) | st.just("caf\udce9\n\r\u2028"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
OBJECTS = st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=3)
FIGURES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
KEYS = {
    "study": st.text(min_size=1, max_size=9),
    "trial": st.from_regex(r"t[0-9]{1,9}", fullmatch=True),
    "recipe": st.none() | st.text(),
    "seed": st.none() | st.integers(-(2**63), 2**63 - 1),
    "epochs_per_step": st.none() | st.floats(allow_nan=False, allow_infinity=False),
}
EVENTS = st.lists(
    st.one_of(
        st.builds(StudyDescribed, study=KEYS["study"], definition=OBJECTS, reference=OBJECTS),
        st.builds(Proposed, **KEYS, parameters=st.none() | OBJECTS),
        st.builds(Started, **KEYS, node=st.none() | st.text(), started_at=st.none() | st.text()),
        st.builds(
            Ended,
            **KEYS,
            status=st.sampled_from(["finished", "failed", "rejected"]),
            reason=st.text() | st.just("caf\udce9"),
            metrics=st.none() | st.dictionaries(st.text(), FIGURES),
            steps=st.none() | st.just([{"position": 1, "notes": {"left_alone": {}}}, {"position": 2}]),
        ),
        st.builds(Measured, **KEYS, figures=st.dictionaries(st.just("agreement"), FIGURES)),
        st.builds(LookedAtTest, **KEYS, command=st.text(), quality=KEYS["epochs_per_step"]),
    ),
    max_size=6,
)


def event(number):
    return Started(study="s", trial=f"t{number:04d}", worker_pid=number)


def written(path, count):
    journal = Journal(path)
    for number in range(count):
        journal.append(event(number))
    return journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "atoll.journal.jsonl"


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS)
def test_reads_what_was_appended_from_every_offset(path, events):
    path.unlink(missing_ok=True)
    journal, offsets = Journal(path), [0]
    for one in events:
        journal.append(one)
        offsets.append(journal.size_bytes())
    for number, offset in enumerate(offsets):
        # Halves of surrogate pairs are written out; all else comes back as it was.
        expected = [event_from_json(one.to_json()) for one in events[number:]]
        assert journal.read(offset) == (expected, offsets[-1])
        assert r"\udce9" in repr(events[number:]) or expected == events[number:]


def test_a_limit_stops_at_a_line_and_the_rest_follows(path):
    journal = written(path, 5)
    first, offset = journal.read(limit=2)
    rest, _ = journal.read(offset)
    assert first + rest == [event(number) for number in range(5)]
    assert len(first) == 2


def test_lines_are_plain_json_for_other_tools(path):
    written(path, 2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == [event(0).to_json(), event(1).to_json()]


def test_a_last_line_torn_at_any_byte_is_ignored_and_replaced_by_the_next_append(path):
    journal = written(path, 3)
    whole = path.read_bytes()
    ends = [position + 1 for position, byte in enumerate(whole) if byte == 0x0A]
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        complete = [event(number) for number, end in enumerate(ends) if end <= length]
        assert journal.read()[0] == complete
        journal.append(event(9))
        assert journal.read()[0] == [*complete, event(9)]


def test_a_tail_of_zeros_as_power_cuts_leave_is_cut_away(path):
    journal = written(path, 1)
    with open(path, "ab") as file:
        file.write(bytes(3_000_000))
    journal.append(event(1))
    assert journal.read()[0] == [event(0), event(1)]


def test_a_damaged_line_in_the_middle_is_skipped_with_a_warning_that_names_file_and_byte(path, caplog):
    journal = written(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    start = len(lines[0])
    for position in range(start, start + len(lines[1]) - 1):
        damaged = bytearray(b"".join(lines))
        damaged[position] ^= 0x01
        path.write_bytes(damaged)
        caplog.clear()
        assert journal.read()[0] == [event(0), event(2)]
        assert f"{path}: skipped 1 line that cannot be read, the first at byte {start}" in caplog.text


def test_numbers_that_json_cannot_say_become_null_and_numpy_scalars_numbers(path):
    journal = Journal(path)
    baseline = {"quality": math.nan, "macs": [math.inf, np.float32("nan")], "bytes": np.int64(7)}
    journal.append(StudyDescribed(study="s", baseline=baseline, limits={"folder": path.parent}))
    [read], _ = journal.read()
    assert isinstance(read, StudyDescribed)
    assert read.baseline == {"quality": None, "macs": [None, None], "bytes": 7}
    assert read.limits == {"folder": str(path.parent)}


def test_texts_that_no_database_holds_are_written_out(path):
    journal = Journal(path)
    journal.append(
        Ended(study="s", trial="t1", status="failed", reason="no caf\udce9", metrics={"\udce9": 1})
    )
    [read], _ = journal.read()
    assert isinstance(read, Ended)
    assert (read.reason, read.metrics) == ("no caf\\udce9", {"\\udce9": 1})


def test_nothing_to_read_where_nothing_was_written(path):
    assert Journal(path).read() == ([], 0)
    assert not path.exists()


TRIAL = {"study": "s", "trial": "t1"}
BAD = {
    "no study": (Started(study="", trial="t1"), "study"),
    "another ending": (
        Ended(**TRIAL, status="ok"),
        "status.*'finished', 'failed', 'rejected' or 'interrupted'",
    ),
    "a name that is none": (Started(study="s", trial="best"), "trial"),
    "a number as text": (Ended(**TRIAL, status="failed", seconds="3"), "seconds"),
    "steps without positions": (Ended(**TRIAL, status="failed", steps=[{}]), "steps.*position"),
    "two steps in one place": (Ended(**TRIAL, status="failed", steps=[{"position": 1}] * 2), "one position"),
    "a seed that is too large": (Started(**TRIAL, seed=2**63), "seed"),
}


@pytest.mark.parametrize("bad", BAD)
def test_refuses_events_that_could_not_be_read_again(path, bad):
    event, message = BAD[bad]
    with pytest.raises(ValueError, match=message):
        Journal(path).append(event)
    assert not path.exists()


def test_refuses_a_line_that_would_not_be_read(path, monkeypatch):
    monkeypatch.setattr(journal_module, "MAX_LINE_BYTES", 100)
    with pytest.raises(ValueError, match="at most 100"):
        Journal(path).append(Started(study="s" * 60, trial="t1"))


# Lines with a right checksum that are no events.


def line(body):
    return b'{"crc32":"%08x","event":%s}\n' % (zlib.crc32(body), body)


def body(**fields):
    return json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()


FOREIGN = {
    "broken JSON": b'{"study":"s","trial":"t1","type":"star',
    "no JSON": b"\xff\xfe",
    "nothing": b"",
    "a list": b"[]",
    "a number": b"1",
    "no type": body(study="s", trial="t1"),
    "a type that is no text": body(study="s", type=["study"]),
    "a newer kind of nobody's": body(type="paused"),
    "no study": body(type="started", trial="t1"),
    "a study that is no text": body(type="study", study={"a": 1}),
    "a study with an endless name": body(type="study", study="s" * 201),
    "no trial": body(type="started", study="s"),
    "an end without a status": body(type="ended", study="s", trial="t1"),
    "an end that is none": body(type="ended", study="s", trial="t1", status="running"),
    "metrics that are a list": body(type="ended", study="s", trial="t1", status="finished", metrics=[1]),
    "metrics in metrics": body(type="ended", study="s", trial="t1", status="failed", metrics={"a": {}}),
    "a reason that is none": body(type="ended", study="s", trial="t1", status="failed", reason=7),
    "a truth for a number": body(type="ended", study="s", trial="t1", status="failed", seconds=True),
    "a seed with a fraction": body(type="started", study="s", trial="t1", seed=0.5),
    "a seed too large": body(type="started", study="s", trial="t1", seed=2**64),
    "names that come twice": b'{"seed":1,"seed":2,"study":"s","trial":"t1","type":"started"}',
    "no number": b'{"epochs_per_step":NaN,"study":"s","trial":"t1","type":"started"}',
    "infinity": b'{"epochs_per_step":Infinity,"study":"s","trial":"t1","type":"started"}',
    "a number beyond all": b'{"epochs_per_step":1e999,"study":"s","trial":"t1","type":"started"}',
    "infinity within": b'{"baseline":{"quality":1e999},"study":"s","type":"study"}',
    "a whole number without end": b'{"baseline":{"macs":1' + b"0" * 5000 + b'},"study":"s","type":"study"}',
    "spaces": b'{"study": "s", "trial": "t1", "type": "started"}',
    "a deep nest": body(type="study", study="s")[:-1] + b',"x":' + b"[" * 99_999 + b"]" * 99_999 + b"}",
    "a nest": body(definition=json.loads("[" * 60 + "]" * 60), study="s", type="study"),
    "a nest that the parser takes": b'{"baseline":{"x":'
    + b"[" * 600
    + b"]" * 600
    + b'},"digest":"\\ud800","study":"s","type":"study"}',
    "a nest in an object": b'{"limits":' + b'{"a":' * 60 + b"1" + b"}" * 61 + b',"study":"s","type":"study"}',
}


def test_lines_with_a_right_checksum_that_are_no_events_are_skipped_and_counted(path, caplog):
    journal = written(path, 1)
    start = journal.size_bytes()
    for one in FOREIGN.values():
        with open(path, "ab") as file:
            file.write(line(one))
    journal.append(event(2))
    assert journal.read() == ([event(0), event(2)], journal.size_bytes())
    [record] = caplog.records
    message = record.getMessage()
    assert f"{path}: skipped {len(FOREIGN)} lines that cannot be read, the first at byte {start}" in message
    assert "\n" not in message


@pytest.mark.parametrize("one", FOREIGN)
def test_no_foreign_line_is_an_event(path, one):
    path.write_bytes(line(FOREIGN[one]))
    assert Journal(path).read() == ([], path.stat().st_size)


def test_lines_that_are_events_only_side_by_side_are_skipped_among_many_whole_ones(path, caplog):
    count = 1_203  # more than are read at once
    Journal(path).append_all(map(event, range(count)))
    lines = path.read_bytes().splitlines(keepends=True)
    whole = body(type="study", study="s")
    torn = [whole + b"," + whole, whole[:5], whole[5:]]  # three objects, if they were read as one list
    for place in (1_203, 700, 499, 0):
        lines[place:place] = map(line, torn)
    path.write_bytes(b"".join(lines))
    assert Journal(path).read()[0] == list(map(event, range(count)))
    assert f"skipped {4 * len(torn)} lines that cannot be read, the first at byte 0" in caplog.text


def test_lines_longer_than_any_of_ours_are_skipped_without_being_held(path, monkeypatch, caplog):
    monkeypatch.setattr(journal_module, "MAX_LINE_BYTES", 256)
    journal = written(path, 1)
    long = [body(study="s", type="study", digest="d" * length) for length in (200, 256, 257, 511, 512, 9999)]
    with open(path, "ab") as file:
        file.writelines(line(one) for one in long)
    journal.append(event(2))
    assert journal.read() == ([event(0), event(2)], journal.size_bytes())
    assert "skipped 6 lines" in caplog.text


def test_what_a_newer_atoll_adds_is_left_aside_without_a_word(path, caplog):
    newer = body(type="paused", study="s"), body(study="s", trial="t1", type="started", cores=[1, 2])
    path.write_bytes(b"".join(map(line, newer)))
    assert Journal(path).read()[0] == [Started(study="s", trial="t1")]
    assert caplog.records == []


def test_what_an_older_atoll_wrote_is_read(path):
    """The keys as they were before trials' events carried their recipes."""
    key = {"study": "s", "trial": "t0001", "recipe_digest": "d", "seed": 3, "epochs_per_step": 2.0}
    old = [
        {
            "type": "proposed",
            **key,
            "recipe": "binarize",
            "origin": "search",
            "proposal": 0,
            "parameters": None,
        },
        {"type": "started", **key, "started_at": "2026-11-05T12:00:00+00:00"},
        {
            "type": "ended",
            **key,
            "status": "finished",
            "metrics": {"quality": 0.5},
            "steps": None,
            "threads": 1,
        },
        {"type": "measured", "study": "s", "trial": "t0001", "agreement": 1.0, "latency_host_ms": None},
        {"type": "test_look", "study": "s", "trial": "t0001", "quality": 0.5, "looked_at": "2026-11-05"},
    ]
    path.write_bytes(b"".join(line(body(**one)) for one in old))
    assert Journal(path).read()[0] == [
        Proposed(**key, recipe="binarize", origin="search", proposal=0),
        Started(**key, started_at="2026-11-05T12:00:00+00:00"),
        Ended(**key, status="finished", metrics={"quality": 0.5}, threads=1),
        Measured(study="s", trial="t0001", figures={"agreement": 1.0, "latency_host_ms": None}),
        LookedAtTest(study="s", trial="t0001", quality=0.5, looked_at="2026-11-05"),
    ]


def test_is_on_the_disk_before_append_returns(path, monkeypatch):
    synced = []
    fsync = os.fsync

    def watched(descriptor):
        fsync(descriptor)
        synced.append(path.read_bytes())

    monkeypatch.setattr(os, "fsync", watched)
    journal = Journal(path)
    journal.append(event(0))
    # Once the line, once the folder: a new file's name must survive too.
    assert [bytes_on_disk.count(b"\n") for bytes_on_disk in synced] == [1, 1]
    journal.append(event(1))
    assert [bytes_on_disk.count(b"\n") for bytes_on_disk in synced] == [1, 1, 2]


@pytest.mark.parametrize("place", ["not/there/a.jsonl", "left_empty.jsonl"])
def test_a_first_event_makes_the_name_of_its_file_durable(tmp_path, monkeypatch, place):
    """Of one that a crash left empty nobody knows whether its name reached the disk."""
    (tmp_path / "left_empty.jsonl").touch()
    synced = []
    fsync = os.fsync

    def watched(descriptor):
        fsync(descriptor)
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(os, "fsync", watched)
    for number in range(2):
        Journal(tmp_path / place).append(event(number))
    file = tmp_path / place
    assert synced == [str(file), str(file.parent), str(file)]


def test_a_full_disk_is_said_and_leaves_whole_lines(path):
    journal = written(path, 2)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A limit on the file's size stops the write half way, as a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        with pytest.raises(AtollError, match=f"no space left on the disk for the journal {path}.*is kept"):
            journal.append(event(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    journal.append(event(2))
    assert journal.read()[0] == [event(0), event(1), event(2)]


def test_no_space_from_the_system_is_said(path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    journal = written(path, 1)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AtollError, match="no space left on the disk"):
        journal.append(event(1))
    assert journal.read()[0] == [event(0)]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for use in (lambda journal: journal.append(event(0)), lambda journal: journal.read()):
        with pytest.raises(AtollError, match=r"cannot use the journal .*file/j\.jsonl"):
            use(Journal(tmp_path / "file" / "j.jsonl"))


def test_two_processes_append_at_once_and_every_event_is_there(path):
    code = (
        "import sys; from pathlib import Path; from atoll.search.store.journal import Journal\n"
        "from atoll.search.store.events import Started\n"
        "for n in range(150):\n"
        "    Journal(Path(sys.argv[1])).append(Started(study=sys.argv[2], trial=f't{n}', node='x' * 5000))\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), study]) for study in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    events, _ = Journal(path).read()
    for study in "ab":
        assert [getattr(one, "trial", None) for one in events if one.study == study] == [
            f"t{n}" for n in range(150)
        ]


def test_the_fingerprint_tells_journals_apart(tmp_path):
    first, second = written(tmp_path / "a", 1), Journal(tmp_path / "b")
    assert second.fingerprint() == ""
    second.append(event(1))
    assert first.fingerprint() != second.fingerprint()
    before = first.fingerprint()
    first.append(event(5))
    assert first.fingerprint() == before
    assert before == json.loads(first.path.read_text().splitlines()[0])["crc32"]
