"""The journal: what was appended is read again, whatever was torn off or damaged."""

import errno
import json
import math
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
from atoll.search.journal import END_STATUSES, Journal
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
EVENTS = st.lists(
    st.builds(
        lambda extra: {**extra, "type": "study", "study": "s"}, st.dictionaries(st.text(), JSON_VALUES)
    ),
    max_size=6,
)


def event(number):
    return {"type": "started", "study": "s", "trial": f"t{number:04d}", "worker_pid": number}


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
        assert journal.read(offset) == (events[number:], offsets[-1])


def test_a_limit_stops_at_a_line_and_the_rest_follows(path):
    journal = written(path, 5)
    first, offset = journal.read(limit=2)
    rest, _ = journal.read(offset)
    assert first + rest == [event(number) for number in range(5)]
    assert len(first) == 2


def test_lines_are_plain_json_for_other_tools(path):
    written(path, 2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == [event(0), event(1)]


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
        assert f"{path}: skipped a damaged line at byte {start}" in caplog.text


def test_numbers_that_json_cannot_say_become_null_and_numpy_scalars_numbers(path):
    journal = Journal(path)
    metrics = {"quality": math.nan, "macs": [math.inf, np.float32("nan")], "bytes": np.int64(7)}
    journal.append({"type": "study", "study": "s", "metrics": metrics, "folder": path.parent})
    [read], _ = journal.read()
    assert read["metrics"] == {"quality": None, "macs": [None, None], "bytes": 7}
    assert read["folder"] == str(path.parent)


def test_nothing_to_read_where_nothing_was_written(path):
    assert Journal(path).read() == ([], 0)
    assert not path.exists()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"type": "begun", "study": "s"}, "unknown event type 'begun'.*Known: ended, measured, proposed"),
        (
            {"type": "proposed", "study": "s", "trial": "t1"},
            "needs recipe, recipe_digest, seed, epochs_per_s",
        ),
        ({"type": "ended", "study": "s", "trial": "t1", "status": "ok"}, ", ".join(END_STATUSES) + ".*'ok'"),
    ],
)
def test_refuses_events_that_say_nothing(path, bad, message):
    with pytest.raises(ValueError, match=message):
        Journal(path).append(bad)
    assert not path.exists()


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
        "import sys; from pathlib import Path; from atoll.search.journal import Journal\n"
        "for n in range(150):\n"
        "    Journal(Path(sys.argv[1])).append("
        "{'type': 'started', 'study': sys.argv[2], 'trial': f't{n}', 'pad': 'x' * 5000})\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), study]) for study in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    events, _ = Journal(path).read()
    for study in "ab":
        assert [one["trial"] for one in events if one["study"] == study] == [f"t{n}" for n in range(150)]


def test_the_fingerprint_tells_journals_apart(tmp_path):
    first, second = written(tmp_path / "a", 1), Journal(tmp_path / "b")
    assert second.fingerprint() == ""
    second.append(event(1))
    assert first.fingerprint() != second.fingerprint()
    before = first.fingerprint()
    first.append(event(5))
    assert first.fingerprint() == before
