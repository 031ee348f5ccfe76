"""The store: rows that are a function of the journal, readers and writers that do not stop each other."""

import logging
import os
import pickle
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from atoll.evaluators.ranking.metrics import Metrics
from atoll.search.store import folding, row_tables, schema
from atoll.search.store import store as store_module
from atoll.search.store.events import event_from_json
from atoll.search.store.folding import Folder
from atoll.search.store.rows import MEASURED, METRICS, Rows
from atoll.search.store.store import Store
from atoll.spaces.errors import AtollError
from hypothesis import given, settings
from hypothesis import strategies as st

TABLES = ("study_rows", "trial_rows", "step_rows", "test_look_rows")
# tables and views as each older version made them
STORES = Path(__file__).parent / "stores"


def study(**fields):
    return {"type": "study", "study": "s", "created_at": "2026-11-05T12:00:00+01:00"} | fields


def key(number=1, seed=0, epochs_per_step=1.0):
    return {
        "study": "s",
        "trial": f"t{number:04d}",
        "recipe_digest": f"digest{number}",
        "seed": seed,
        "epochs_per_step": epochs_per_step,
    }


def proposed(number=1, recipe="quantize(bits=8)", **fields):
    return {"type": "proposed", "recipe": recipe, "origin": "search"} | key(number) | fields


def started(number=1, **fields):
    return {"type": "started", "worker_pid": 41, "started_at": "2026-11-05T12:00:00Z"} | key(number) | fields


def ended(number=1, status="finished", steps=1, **fields):
    listed = [{"position": n, "step": f"step{n}", "notes": {"n": n}} for n in range(1, steps + 1)]
    return {"type": "ended", "status": status, "steps": listed} | key(number) | fields


def finished(number=1, **metrics):
    return ended(number, metrics=metrics)


def trial(number=1, *events):
    return [proposed(number), started(number), *events]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "atoll.duckdb")


def journal(store, *events):
    for event in events:
        store.journal.append(event_from_json(event))


def folded(store, *events):
    journal(store, *events)
    assert store.fold()
    return store


def dump(store):
    """Returns every row of every table but the folded offset."""
    with closing(duckdb.connect(str(store.path), read_only=True)) as connection:
        # not fetchall: DuckDB's own rows need pytz for a moment
        return {t: connection.sql(f"FROM {t} ORDER BY ALL").to_arrow_table().to_pylist() for t in TABLES}


def statuses(store):
    return {row["trial"]: (row["status"], row["reason"]) for row in store.trials("s")}


# Events of few trials in any order: restarts, repeats and ends without a beginning included.
NUMBERS = st.integers(1, 3)
QUALITIES = st.none() | st.sampled_from([0.25, 0.5])
EVENTS = st.lists(
    st.one_of(
        st.builds(lambda q: study(baseline={"model_bytes": 100} if q else None, digest=str(q)), QUALITIES),
        st.builds(lambda n, p: proposed(n, proposal=p, parameters={"p": p}), NUMBERS, st.integers(0, 2)),
        st.builds(lambda n, pid: started(n, worker_pid=pid), NUMBERS, st.integers(1, 3)),
        st.builds(
            lambda n, status, steps, q: ended(n, status, steps, metrics={"quality": q}, reason=str(q)),
            NUMBERS,
            st.sampled_from(["finished", "failed", "rejected"]),
            st.integers(0, 3),
            QUALITIES,
        ),
        st.builds(lambda n, q: {"type": "measured", "agreement": q, f"x{n}": q} | key(n), NUMBERS, QUALITIES),
        st.builds(lambda n, q: {"type": "test_look", "quality": q} | key(n), NUMBERS, QUALITIES),
    ),
    max_size=12,
)  # fmt: skip


def rows_after(events):
    rows = Rows()
    for event in events:
        rows.apply(event_from_json(event))
    return rows


@settings(max_examples=300, deadline=None)
@given(events=EVENTS, data=st.data())
def test_events_folded_again_from_any_beginning_change_no_row(events, data):
    beginning = events[: data.draw(st.integers(0, len(events)))]
    assert rows_after(beginning + events) == rows_after(events)


@settings(max_examples=5, deadline=None)  # each opens, folds and closes two real files
@given(events=EVENTS, cuts=st.sets(st.integers(0, 12), max_size=3), again=st.integers(0, 12))
def test_the_store_is_the_same_however_the_journal_was_folded(tmp_path_factory, events, cuts, again):
    events = [study(), *events]
    at_once, in_batches = (Store(tmp_path_factory.mktemp("store") / "a.duckdb") for _ in range(2))
    with at_once.lock(), in_batches.lock():  # a living driver: nothing is ended for want of one
        folded(at_once, *events)
        for number, event in enumerate([*events[:again], *events]):
            journal(in_batches, event)
            if number in cuts:
                assert in_batches.fold()
        assert in_batches.fold()
        assert in_batches.fold()
        assert dump(in_batches) == dump(at_once)


def test_the_store_can_be_made_anew_from_the_journal(store):
    before = dump(folded(store, study(), *trial(1, finished(quality=0.5)), *trial(2)))
    store.path.unlink()
    assert store.fold()
    assert dump(store) == before


def test_a_fold_killed_between_rows_and_commit_leaves_nothing_half(store):
    journal(store, study(), *trial(1, finished(quality=0.5)))
    code = (
        "import os, sys; from pathlib import Path; from atoll.search.store import row_tables, store\n"
        "write = row_tables.write\n"
        "row_tables.write = lambda connection, rows: (write(connection, rows), os._exit(9))\n"
        "store.Store(Path(sys.argv[1])).fold()\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(store.path)]).returncode == 9
    assert dump(store)["trial_rows"] == []
    assert statuses(store) == {"t0001": ("finished", None)}


def test_the_offset_is_stored_with_the_rows_and_only_new_events_are_read(store, monkeypatch):
    folded(store, study(), *trial(1))
    journal(store, finished(quality=0.5))
    applied = []
    monkeypatch.setattr(Rows, "apply", lambda self, event: applied.append(event.kind))
    store.fold()
    assert applied == ["ended"]


def test_a_journal_begun_anew_is_folded_from_its_start_and_the_old_rows_stay(store):
    folded(store, study(), *trial(1, finished(quality=0.5)))
    store.journal_path.unlink()
    folded(store, *trial(2, finished(2, quality=0.25)))
    assert statuses(store) == {"t0001": ("finished", None), "t0002": ("finished", None)}


# One key, one trial.


def test_the_same_recipe_seed_and_budget_is_one_trial_and_keeps_its_first_name(store):
    again = proposed(7, recipe_digest="digest1")
    folded(store, study(), *trial(1, finished(quality=0.5)), again)
    assert statuses(store) == {"t0001": ("finished", None)}
    assert store.study("s")["trials"] == 1


@pytest.mark.parametrize("other", [{"seed": 1}, {"epochs_per_step": 2.0}, {"recipe_digest": "another"}])
def test_another_seed_budget_or_recipe_is_another_trial(store, other):
    folded(store, study(), proposed(1), proposed(2, **{"recipe_digest": "digest1"} | other))
    assert list(statuses(store)) == ["t0001", "t0002"]


def test_events_may_name_a_trial_by_its_name_alone(store):
    folded(store, study(), proposed(1))
    short = {"study": "s", "trial": "t0001"}
    folded(store, {"type": "ended", "status": "finished", "metrics": {"quality": 0.5}} | short)
    assert statuses(store) == {"t0001": ("finished", None)}


def test_an_event_of_an_unknown_trial_is_left_out_with_a_warning(store, caplog):
    folded(store, study(), {"type": "started", "study": "s", "trial": "t0009"})
    assert store.trials("s") == []
    assert "'started' of trial s/t0009, which it never proposed" in caplog.text


def test_a_finished_trial_started_once_more_keeps_its_result_until_the_new_one(store):
    with store.lock():
        folded(store, study(), *trial(1, finished(quality=0.5), started(1)))
        assert statuses(store) == {"t0001": ("finished", None)}
        folded(store, ended(1, "failed", steps=0, reason="diverged"))
    assert statuses(store) == {"t0001": ("failed", "diverged")}
    assert store.steps("s", "t0001") == []


# A driver that died.


def test_what_was_running_when_its_driver_died_is_failed_interrupted_and_runs_again(store):
    with store.lock():
        folded(store, study(), *trial(1, finished(quality=0.5)), *trial(2), *trial(3))
        assert statuses(store)["t0002"] == ("running", None)
    assert statuses(store) == {
        "t0001": ("finished", None),
        "t0002": ("failed", "interrupted"),
        "t0003": ("failed", "interrupted"),
    }
    with store.lock():
        folded(store, started(2))
        assert statuses(store)["t0002"] == ("running", None)
        folded(store, finished(2, quality=0.5))
        assert statuses(store)["t0002"] == ("finished", None)


def test_a_driver_that_takes_over_ends_what_the_dead_one_left_running(store):
    with store.lock():
        folded(store, study(), *trial(1))
    with store.lock():
        assert store.recover()
        assert statuses(store) == {"t0001": ("failed", "interrupted")}


def test_a_reader_folds_what_a_dead_driver_left_in_the_journal(store):
    journal(store, study(), *trial(1, finished(quality=0.5)))
    assert store.query("SELECT quality FROM trials").to_pylist() == [{"quality": 0.5}]


def test_a_reader_leaves_the_fold_to_a_living_driver_and_sees_its_journal_all_the_same(store):
    folded(store, study(), *trial(1))
    with living_other_driver(store):
        folded(store, started(1))
        journal(store, finished(quality=0.5), proposed(2))
        before = store.path.read_bytes()
        assert statuses(store) == {"t0001": ("finished", None), "t0002": ("running", None)}
        assert store.path.read_bytes() == before
    assert statuses(store) == {"t0001": ("finished", None), "t0002": ("failed", "interrupted")}


def living_other_driver(store):
    """Context manager: another process holds the store's lock."""
    code = (
        "import sys, time; from pathlib import Path; from atoll.search.store.driver_lock import DriverLock\n"
        "with DriverLock(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )

    class Other:
        def __enter__(self):
            command = [sys.executable, "-c", code, str(store.lock_path)]
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert self.process.stdout.readline() == "held\n"

        def __exit__(self, *_):
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()

    return Other()


# What the rows say.


def test_compression_ratio_divides_the_studys_baseline(store):
    folded(store, study(baseline={"model_bytes": 1000}), *trial(1, finished(model_bytes=8)))
    assert store.trials("s")[0]["compression_ratio"] == 125.0


def test_compression_ratio_divides_the_baseline_trial_where_the_study_names_none(store):
    folded(
        store,
        study(),
        proposed(1, recipe="baseline", origin="baseline"),
        finished(1, model_bytes=1000),
        *trial(2, finished(2, model_bytes=250)),
    )
    rows = {row["trial"]: (row["compression_ratio"], row["step_count"]) for row in store.trials("s")}
    assert rows == {"t0001": (1.0, 0), "t0002": (4.0, 1)}


def test_metrics_come_back_as_they_were_reported(store):
    texts = {
        "quality_name": "accuracy",
        "quality_unit": "",
        "quality_higher_is_better": False,
        "latency_status": "interpolated",
        "peak_memory_status": "extrapolated",
        "minimum_runtime": "2.14.0",
        "minimum_runtime_reason": "MUL of version 7",
        "micro_status": "runs",
    }
    shares = {
        "quality": 0.875,
        "label_loyalty": 0.5,
        "probability_loyalty": 0.25,
        "edge_tpu_mappable": 0.75,
        "ethos_u_mappable": 0.5,
    }
    figures = {name: number for number, name in enumerate(METRICS, 1) if name not in texts | shares}
    low_to_high = {"peak_memory_bytes": 2, "peak_memory_bytes_low": 1, "parameters": 90}
    intervals = interval("model_bytes") | interval("latency_ms") | interval("arena_bytes")
    metrics = Metrics(**figures | low_to_high | shares | texts | intervals)
    folded(store, study(), *trial(1, finished(**metrics.to_json())))
    [row] = store.trials("s")
    assert Metrics.from_json({name: row[name] for name in METRICS}) == metrics
    assert row["metrics"] == metrics.to_json()


def interval(name):
    return {f"{name}_low": 10, name: 11, f"{name}_high": 12}


def test_who_worked_is_known_from_start_or_end(store):
    folded(store, study(), proposed(1), started(1, threads=2), proposed(2), started(2, worker_pid=None))
    folded(
        store,
        finished(1, quality=0.5) | {"weights_digest": "d"},
        finished(2) | {"worker_pid": 7, "node": "n"},
    )
    who = [
        [row[name] for name in ("worker_pid", "node", "threads", "weights_digest")] for row in store.trials()
    ]
    assert who == [[41, None, 2, "d"], [7, "n", None, None]]


def test_a_score_given_later_keeps_the_steps(store):
    folded(store, study(), *trial(1, ended(1, steps=2)))
    folded(store, ended(1, objective=3.5) | {"steps": None})
    assert store.trials("s")[0]["objective"] == 3.5
    assert len(store.steps("s", "t0001")) == 2


def test_measured_values_stand_beside_the_predicted_ones(store):
    values = {name: "interpolated" if name.endswith("_status") else 3 for name in MEASURED} | {
        "artifact": "exports/s",
        "test_quality_at": "2026-11-05T10:00Z",
    }
    measured = {"type": "measured", "samples": 500} | key(1) | values
    folded(store, study(), *trial(1, finished(model_bytes=8)), measured)
    [row] = store.trials("s")
    assert row["model_bytes"] == 8
    assert {name: row[name] for name in MEASURED} == values | {
        "test_quality_at": datetime(2026, 11, 5, 10, tzinfo=UTC)
    }
    assert row["measured"]["samples"] == 500
    folded(store, {"type": "measured", "agreement": 0.5} | key(1))
    [row] = store.trials("s")
    assert (row["agreement"], row["model_bytes_measured"], row["measured"]["samples"]) == (0.5, 3, 500)


def test_looks_at_the_test_split_are_counted_once_each(store):
    looks = [{"type": "test_look", "looked_at": f"2026-11-05T10:00:0{n}Z"} | key(1) for n in range(2)]
    folded(store, study(), *trial(1, finished(quality=0.5)), *looks, looks[0])
    assert store.study("s")["test_looks"] == 2


def test_times_are_utc(store):
    folded(store, study(), *trial(1))
    assert store.study("s")["created_at"] == datetime(2026, 11, 5, 11, tzinfo=UTC)
    assert store.trials("s")[0]["started_at"] == datetime(2026, 11, 5, 12, tzinfo=UTC)


def test_a_study_is_updated_field_by_field(store):
    folded(store, study(digest="d", definition={"task": "digits"}, limits={"trials": 5}))
    folded(store, study(limits={"trials": 9}, reference={"members": ["binarize"]}, created_at="2027-01-01"))
    row = store.study("s")
    assert row["definition"] == {"task": "digits"}
    assert row["limits"] == {"trials": 9}
    assert row["reference"] == {"members": ["binarize"]}
    assert row["created_at"] == datetime(2026, 11, 5, 11, tzinfo=UTC)
    assert store.study("other") is None
    assert [row["study"] for row in store.studies()] == ["s"]


def test_steps_are_rows_in_the_order_of_the_recipe(store):
    folded(store, study(), *trial(1, ended(1, steps=3)))
    rows = store.steps("s", "t0001")
    assert [(row["position"], row["step"], row["notes"]) for row in rows] == [
        (n, f"step{n}", {"n": n}) for n in (1, 2, 3)
    ]


def test_trials_come_in_the_order_of_their_names(store):
    folded(store, study(), *(proposed(number) for number in (10000, 2, 9999, 1)))
    assert [row["trial"] for row in store.trials("s")] == ["t0001", "t0002", "t9999", "t10000"]


@pytest.mark.parametrize("other", [{}, {"quality": "good", "macs": 2**70, "quality_name": 5}])
def test_what_a_column_cannot_hold_is_null_there_and_kept_in_the_json(store, caplog, other):
    folded(store, study(), *trial(1, finished(macs="many", model_bytes=7.6)), *trial(2, finished(2, **other)))
    first, second = store.trials("s")
    assert (first["macs"], first["model_bytes"], first["metrics"]["macs"]) == (None, 8, "many")
    assert "cannot hold 'many'" in caplog.text
    assert (second["macs"], second["quality"], second["metrics"]) == (None, None, other)
    assert second["quality_name"] == ("5" if other else None)


def test_any_duckdb_client_has_the_views(store):
    folded(store, study(), *trial(1, ended(1)))
    with closing(duckdb.connect(str(store.path), read_only=True)) as connection:
        for view in ("studies", "trials", "steps"):
            assert connection.sql(f"FROM {view}").to_arrow_table().num_rows == 1
        assert connection.sql("FROM test_looks").to_arrow_table().num_rows == 0


def test_the_view_trials_has_the_columns_that_are_promised(store):
    promised = (
        "study trial recipe seed status reason objective quality model_bytes payload_bytes compression_ratio "
        "macs latency_ms peak_memory_bytes seconds"
    )
    assert folded(store, study()).query("FROM trials").column_names[:15] == promised.split()


# Readers and writers.


def held(path, seconds=60.0, read_only=False):
    """Starts a process that holds the file open."""
    code = (
        "import duckdb, sys, time; c = duckdb.connect(sys.argv[1], read_only=sys.argv[3] == 'True')\n"
        "print('open', flush=True); time.sleep(float(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(path), str(seconds), str(read_only)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "open\n"
    return process


def test_a_forgotten_reader_makes_the_fold_wait_and_loses_nothing(store):
    folded(store, study())
    journal(store, *trial(1, finished(quality=0.5)))
    reader = held(store.path, read_only=True)
    folder = Folder(store)
    assert store.fold() is False
    assert folder.tick() is False
    reader.kill()
    reader.wait()
    assert folder.tick() is True
    assert statuses(store) == {"t0001": ("finished", None)}


def test_a_reader_waits_for_a_fold(store):
    folded(store, study())
    writer = held(store.path, seconds=0.5)
    assert store.query("SELECT study FROM studies").to_pylist() == [{"study": "s"}]
    writer.wait()


@pytest.mark.parametrize("read_only", [True, False])
def test_a_reader_sees_the_journals_end_while_another_process_holds_the_file(
    store, monkeypatch, caplog, read_only
):
    """As a notebook does: our commands see what the file cannot take yet, its own client the last fold."""
    folded(store, study(), *trial(1, finished(quality=0.5)))
    monkeypatch.setattr(store_module, "LIVE_WAIT_S", 0.05)
    holder = held(store.path, read_only=read_only)
    before = store.path.read_bytes()
    journal(store, *trial(2, finished(2, quality=0.25)), proposed(3))
    with store.lock():  # which a search has
        assert not store.fold()
        assert store.holder.startswith(f"process {holder.pid} (python")
        found = store.user_query("SELECT trial, status, quality FROM trials ORDER BY trial")
        assert found.to_pylist() == [
            {"trial": "t0001", "status": "finished", "quality": 0.5},
            {"trial": "t0002", "status": "finished", "quality": 0.25},
            {"trial": "t0003", "status": "running", "quality": None},
        ]
        assert len(store.query("FROM pareto(model_bytes, quality)")) == 0  # without a baseline
    assert statuses(store)["t0003"] == ("failed", "interrupted")
    assert ("shown is what its journal tells" in caplog.text) is not read_only
    assert store.path.read_bytes() == before
    holder.kill()
    holder.wait()
    assert statuses(store)["t0002"] == ("finished", None)
    assert store.holder is None


def test_who_holds_the_file_for_a_minute_is_named(store, monkeypatch):
    folded(store, study())
    folder = Folder(store, every_s=0.0)
    journal(store, proposed(1))
    holder = held(store.path, read_only=True)
    assert folder.tick() is False
    assert folder.held_by() is None
    monkeypatch.setattr(folding, "_HELD_S", 0.0)
    assert f"{store.path} is held by process {holder.pid} (python" in folder.held_by()
    holder.kill()
    holder.wait()
    assert folder.tick() is True
    assert folder.held_by() is None


def test_a_reader_gives_up_with_a_sentence(store, monkeypatch):
    folded(store, study())
    monkeypatch.setattr(store_module, "READ_WAIT_S", 0.05)
    store.journal_path.unlink()  # which would tell the same
    writer = held(store.path)
    message = f"{store.path} was held by process {writer.pid} .* for more than 0.05 s"
    with pytest.raises(AtollError, match=message):
        store.query("FROM trials")
    writer.kill()
    writer.wait()


def test_holds_no_connection_and_can_be_pickled(store):
    folded(store, study())
    store.query("FROM trials")
    with closing(duckdb.connect(str(store.path))):  # would be refused while a reader holds it
        pass
    assert pickle.loads(pickle.dumps(store)).studies() == store.studies()


def test_the_folder_folds_when_it_is_due_and_not_before(store):
    folder = Folder(store, every_s=1e9, every_events=3)
    journal(store, study(), proposed(1))
    assert folder.tick(2) is True  # the first is always due
    journal(store, proposed(2))
    assert folder.tick(2) is False
    assert folder.tick(1) is True
    assert [row["trial"] for row in Store(store.path).trials("s")] == ["t0001", "t0002"]
    journal(store, proposed(3))
    assert folder.tick() is False
    assert folder.close() is True
    assert len(store.trials("s")) == 3
    assert folder.tick(3) is False  # nothing new
    assert folder.close() is True
    eager = Folder(store, every_s=0.0)
    journal(store, proposed(4))
    assert eager.tick() is True


def test_store_journal_and_lock_lie_together_and_apart_from_other_stores(tmp_path):
    usual, other = Store(tmp_path / "atoll.duckdb"), Store(tmp_path / "atoll.v2")
    assert usual.journal_path.name == "atoll.journal.jsonl"
    assert usual.lock_path.name == "atoll.lock"
    assert other.journal_path.name == "atoll.v2.journal.jsonl"


# Versions and files that are no store.


def test_a_store_from_a_newer_version_is_refused_with_both_numbers(store):
    folded(store, study())
    with closing(duckdb.connect(str(store.path))) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    message = f"{store.path} has schema version 99, this Atoll supports up to {schema.SCHEMA_VERSION}: update"
    for use in (store.fold, store.studies, lambda: store.user_query("SELECT 1")):
        with pytest.raises(AtollError, match=message):
            use()


def made_by_version_3(path):
    """Makes a store as Atoll wrote it before times were moments, in the form that DuckDB 2 chose."""
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute((STORES / "schema_3.sql").read_text())
        connection.execute("INSERT INTO schema_version VALUES (3)")
        connection.execute(
            "INSERT INTO study_rows (study, definition, created_at) VALUES ('s', '{}', '2026-11-05 11:00:00')"
        )
        connection.execute(
            "INSERT INTO trial_rows (study, recipe_digest, seed, epochs_per_step, trial, status, "
            "quality, recipe, started_at) VALUES ('s', 'd', 0, 1, 't0001', 'finished', 0.5, 'binarize', "
            "'2026-11-05 12:00:00.25')"
        )
        connection.execute("CREATE TABLE mine AS SELECT 42 AS answer")


def storage_version(path):
    """Returns the version number in the file's head: 65 is DuckDB 1.2."""
    return int.from_bytes(path.read_bytes()[12:20], "little")


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_an_older_store_is_brought_forward_and_keeps_its_rows(store, monkeypatch, zone):
    made_by_version_3(store.path)
    assert storage_version(store.path) > 65
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        [row] = store.trials("s")
        [mine] = store.user_query("SELECT answer, version FROM mine, schema_version").to_pylist()
        begun = store.study("s")["created_at"]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (row["quality"], row["started_at"]) == (0.5, datetime(2026, 11, 5, 12, 0, 0, 250_000, UTC))
    assert begun == datetime(2026, 11, 5, 11, tzinfo=UTC)
    assert mine == {"answer": 42, "version": schema.SCHEMA_VERSION}
    assert storage_version(store.path) == 65
    assert [path.name for path in store.path.parent.iterdir()] == ["atoll.duckdb"]


def test_a_store_of_every_older_version_is_kept():
    versions = {int(path.stem.removeprefix("schema_")) for path in STORES.iterdir()}
    assert versions == set(range(1, schema.SCHEMA_VERSION))


@pytest.mark.parametrize("version", range(1, schema.SCHEMA_VERSION))
def test_a_store_of_every_older_version_has_every_view(store, monkeypatch, version):
    with closing(duckdb.connect(str(store.path))) as connection:
        connection.execute((STORES / f"schema_{version}.sql").read_text())
        connection.execute("INSERT INTO schema_version VALUES (?)", [version])
        connection.execute("INSERT INTO study_rows (study, definition) VALUES ('s', '{}')")
        connection.execute(
            "INSERT INTO trial_rows (study, recipe_digest, seed, epochs_per_step, trial, status, recipe, "
            "origin) VALUES ('s', 'd', 0, 1, 't0001', 'finished', 'binarize', 'search')"
        )
        connection.execute(
            "INSERT INTO step_rows (study, recipe_digest, seed, epochs_per_step, position, step) "
            "VALUES ('s', 'd', 0, 1, 1, 'binarize')"
        )
    counted = ", ".join(f"(SELECT count(*) FROM {view}) AS {view}" for view in schema.VIEWS)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)  # as a reader who may not write
        [read] = store.query(f"SELECT {counted}").to_pylist()
    assert storage_version(store.path) > 65
    assert (read["studies"], read["trials"], read["steps"]) == (1, 1, 1)
    [row] = store.query(f"SELECT {counted}").to_pylist()
    assert row == read
    assert storage_version(store.path) == 65
    assert store.steps("s", "t0001")[0]["step"] == "binarize"


def test_a_table_whose_name_became_a_view_of_ours_gets_another_name(store, caplog):
    made_by_version_3(store.path)
    with closing(duckdb.connect(str(store.path))) as connection:
        connection.execute("CREATE TABLE Events AS SELECT 7 AS answer")
    assert store.query("FROM Events_of_user").to_pylist() == [{"answer": 7}]
    assert "Events of the store is now Events_of_user" in caplog.text
    assert store.query("FROM events").column_names[:2] == ["moment", "event"]


def test_an_older_store_that_may_not_be_written_is_read_all_the_same(store, monkeypatch):
    made_by_version_3(store.path)
    before = store.path.read_bytes()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert store.trials("s")[0]["latency_host_ms"] is None
    assert store.study("s")["created_at"] == datetime(2026, 11, 5, 11, tzinfo=UTC)
    assert store.path.read_bytes() == before


def test_nothing_is_lost_when_bringing_forward_is_cut_off(store):
    made_by_version_3(store.path)
    code = (
        "import os, sys; from pathlib import Path; from atoll.search.store import schema, store\n"
        "schema.copy = lambda *_: os._exit(9)\n"
        "store.Store(Path(sys.argv[1])).fold()\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(store.path)]).returncode == 9
    assert storage_version(store.path) > 65
    assert store.trials("s")[0]["quality"] == 0.5


def test_a_link_to_an_older_store_stays_a_link_and_its_rights_stay(tmp_path):
    made_by_version_3(tmp_path / "real.duckdb")
    (tmp_path / "real.duckdb").chmod(0o600)
    (tmp_path / "link.duckdb").symlink_to("real.duckdb")
    assert Store(tmp_path / "link.duckdb").trials("s")[0]["quality"] == 0.5
    assert (tmp_path / "link.duckdb").is_symlink()
    assert storage_version(tmp_path / "real.duckdb") == 65
    assert (tmp_path / "real.duckdb").stat().st_mode & 0o777 == 0o600


def test_a_new_store_has_the_form_that_older_duckdbs_open(store):
    folded(store, study())
    assert storage_version(store.path) == 65
    folded(store, *trial(1, finished(quality=0.5)))
    assert storage_version(store.path) == 65


def test_a_store_of_the_first_version_gets_the_host_s_columns(store):
    before = dump(folded(store, study(), *trial(1, finished(quality=0.5))))
    new = [name for name in MEASURED if "_host" in name and name != "latency_host_ms_measured"]
    with closing(duckdb.connect(str(store.path))) as connection:
        for name in new:
            connection.execute(f"ALTER TABLE trial_rows DROP COLUMN {name}")
        connection.execute("UPDATE schema_version SET version = 1")
    folded(
        store, {"type": "measured", "latency_host_ms": 1.5, "latency_host_status": "interpolated"} | key(1)
    )
    [row] = store.trials("s")
    assert (row["quality"], row["latency_host_ms"], row["latency_host_status"]) == (0.5, 1.5, "interpolated")
    assert dump(store)["trial_rows"] != before["trial_rows"]
    assert len(new) == 9


def test_no_store_at_all_is_said(store):
    with pytest.raises(AtollError, match=f"no store at {store.path}: run `atoll search` first.*ATOLL_STORE"):
        store.trials("s")
    assert not store.path.exists()


def test_a_fold_without_a_journal_makes_no_file(store):
    assert store.fold()
    assert list(store.path.parent.iterdir()) == []


def text_file(path):
    path.write_text("no database\n" * 2000)


def empty_file(path):
    path.touch()


def foreign_database(path):
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute("CREATE TABLE mine (a INTEGER)")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (text_file, "cannot be used .*not a valid DuckDB database file.*name a DuckDB file of Atoll"),
        (empty_file, "cannot be used .*not a valid DuckDB database file"),
        (foreign_database, "no store of Atoll .*schema_version.*--store"),
        (Path.mkdir, "is a folder: --store names a DuckDB file"),
    ],
)
def test_a_file_that_is_no_store_is_refused_and_left_alone(store, make, message):
    make(store.path)
    before = store.path.stat()
    for use in (store.studies, store.fold):
        with pytest.raises(AtollError, match=message):
            use()
    assert store.path.stat().st_mtime_ns == before.st_mtime_ns


def test_a_damaged_store_is_named_and_comes_back_from_its_journal(store):
    before = dump(folded(store, study(), *trial(1, finished(quality=0.5))))
    damaged = bytearray(store.path.read_bytes())
    damaged[4096:] = b"x" * (len(damaged) - 4096)
    store.path.write_bytes(damaged)
    with pytest.raises(AtollError, match=f"cannot be used.*move it away.*{store.journal_path} makes it anew"):
        store.trials("s")
    store.path.rename(store.path.with_suffix(".damaged"))
    assert store.trials("s")[0]["quality"] == 0.5
    assert dump(store) == before


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "atoll.duckdb")
    with pytest.raises(AtollError, match=r"no store at .*file/atoll"):
        store.studies()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_may_only_be_read_answers_up_to_its_journals_end(store):
    folded(store, study())
    journal(store, proposed(1))
    store.path.chmod(0o444)
    before = store.path.read_bytes()
    assert statuses(store) == {"t0001": ("failed", "interrupted")}
    assert store.path.read_bytes() == before


def test_a_full_disk_while_folding_is_said(store, monkeypatch):
    def full(*_):
        raise duckdb.IOException('IO Error: Could not write file "x": No space left on device')

    journal(store, study())
    monkeypatch.setattr(row_tables, "write", full)
    with pytest.raises(
        AtollError, match=f"no space left on the disk for the store .*{store.journal_path} keep"
    ):
        store.fold()


def test_only_warnings_reach_the_log(store, caplog):
    with caplog.at_level(logging.DEBUG, logger="atoll"):
        folded(store, study(), *trial(1, finished(quality=0.5)))
        store.trials("s")
    assert caplog.records == []
