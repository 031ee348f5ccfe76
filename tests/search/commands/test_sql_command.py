"""`atoll sql`: answers while a search runs in another process, and does nothing but read."""

import json
import os
import subprocess
import sys
import time

import pytest
from atoll.search.commands import cli
from atoll.search.store.events import event_from_json
from atoll.search.store.opening import QueryLimits
from atoll.search.store.store import Store
from atoll.spaces.errors import AtollError

KEY = {"study": "s", "trial": "t0001", "recipe_digest": "d", "seed": 0, "epochs_per_step": 1.0}


def append(store, event):
    store.journal.append(event_from_json(event))


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "atoll.duckdb")
    append(store, {"type": "study", "study": "s", "baseline": {"model_bytes": 100}})
    append(store, {"type": "proposed", "recipe": "prune_channels(ratio=0.5) -> binarize"} | KEY)
    metrics = {"quality": 0.875, "model_bytes": 25}
    append(store, {"type": "ended", "status": "finished", "metrics": metrics} | KEY)
    return store


@pytest.fixture
def sql(store, capsys):
    """Runs `atoll sql`; returns exit status, stdout and stderr."""

    def run(statement, *options):
        status = cli.main(["sql", statement, "--store", str(store.path), *options])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_json_is_one_list_of_objects(sql):
    status, out, err = sql("SELECT recipe, compression_ratio, reason FROM trials", "--format", "json")
    assert (status, err) == (0, "")
    recipe = "prune_channels(ratio=0.5) -> binarize"
    assert json.loads(out) == [{"recipe": recipe, "compression_ratio": 4.0, "reason": None}]


def test_csv_and_table(sql):
    assert sql("SELECT trial, quality FROM trials", "--format", "csv")[1] == "trial,quality\nt0001,0.875\n"
    table = sql("SELECT trial, quality FROM trials")[1].split()
    assert [word for word in table if not word.startswith("─")] == ["trial", "quality", "t0001", "0.875"]


def test_no_rows_are_an_empty_list(sql):
    assert json.loads(sql("SELECT * FROM trials WHERE seed = 5", "--format", "json")[1]) == []


def test_columns_of_one_name_are_told_apart(sql):
    out = sql("SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a", "--format", "json")[1]
    assert json.loads(out) == [{"a": 1, "a_2": 2, "a_1": 3, "a_3": 4}]


def test_every_type_prints_as_json(sql):
    values = "[1, 2] AS l, {'a': 1} AS s, DATE '2026-11-05' AS d, 1.5::DECIMAL(4, 2) AS n, 'nan'::DOUBLE AS x"
    [row] = json.loads(sql(f"SELECT {values}", "--format", "json")[1])
    assert row == {"l": [1, 2], "s": {"a": 1}, "d": "2026-11-05", "n": 1.5, "x": None}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("9007199254740993", 9007199254740993),
        ("sum(9007199254740993)", 9007199254740993),
        ("170141183460469231731687303715884105727::HUGEINT", 2**127 - 1),
        ("(-170141183460469231731687303715884105727)::HUGEINT", 1 - 2**127),
        ("340282366920938463463374607431768211455::UHUGEINT", 2**128 - 1),
        ("18446744073709551615::UBIGINT", 2**64 - 1),
        (
            "123456789012345678901234567890123456789012345::BIGNUM",
            123456789012345678901234567890123456789012345,
        ),
        ("[170141183460469231731687303715884105727::HUGEINT]", [2**127 - 1]),
        ("1::UTINYINT", 1),
        ("1.50", 1.5),
        ("2.00", 2),
        ("0.1", 0.1),
        ("0.1::DOUBLE", 0.1),
        ("'inf'::DOUBLE", None),
        ("[1.5, NULL]", [1.5, None]),
        ("{'a': sum(1), 'b': [{'c': 0.25}]}", {"a": 1, "b": [{"c": 0.25}]}),
        ("MAP {'a': 1.5}", {"a": 1.5}),
        ("MAP {1: 'x'}", {"1": "x"}),
        ("DATE '2026-01-31'", "2026-01-31"),
        ("[DATE '2026-01-31']", ["2026-01-31"]),
        ("TIMESTAMP '2026-01-31 01:02:03.5'", "2026-01-31T01:02:03.500000"),
        ("TIMESTAMPTZ '2026-01-31 01:02:03+02'", "2026-01-30T23:02:03+00:00"),
        ("{'t': TIMESTAMPTZ '2026-01-31 01:02:03+02'}", {"t": "2026-01-30T23:02:03+00:00"}),
        ("TIMESTAMP_NS '2026-01-31 01:02:03.123456789'", "2026-01-31 01:02:03.123456789"),
        ("TIME '01:02:03'", "01:02:03"),
        ("'01:02:03+02'::TIMETZ", "01:02:03+02"),
        ("INTERVAL '1 day 2 hours'", "1 day 02:00:00"),
        ("'12345678-1234-1234-1234-123456789012'::UUID", "12345678-1234-1234-1234-123456789012"),
        ("'\\xAAb'::BLOB", "\\xAAb"),
        ("'0101'::BIT", "0101"),
        ("'x'::ENUM('x', 'y')", "x"),
        ("true", True),
        ("NULL", None),
    ],
)
def test_a_number_is_a_json_number_and_a_date_is_iso(sql, value, wanted):
    status, out, err = sql(f"SELECT {value} AS x", "--format", "json")
    assert (status, err) == (0, "")
    [row] = json.loads(out)
    assert (row["x"], type(row["x"])) == (wanted, type(wanted))


def test_decimals_keep_their_digits_in_table_and_csv(sql):
    statement = "SELECT 12345678.50 AS d, 0.00000001::DECIMAL(18, 8) AS e"
    assert sql(statement, "--format", "csv")[1] == "d,e\n12345678.50,0.00000001\n"
    assert "12345678.50  0.00000001" in sql(statement)[1]


def test_a_date_that_python_lacks_is_one_sentence(sql):
    status, out, err = sql("SELECT DATE 'infinity' AS day")
    assert (status, out) == (2, "")
    assert "column 'day'" in err and "cast it to VARCHAR" in err and err.count("\n") == 1


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_answers_about_time_do_not_depend_on_the_zone(store, zone):
    begun = "2026-11-05T23:30:00+00:00"
    store.journal.append(event_from_json({"type": "study", "study": "z", "created_at": begun}))
    store.fold()
    statement = (
        "SELECT created_at, created_at::DATE AS day, created_at < '2026-11-05 23:31:00' AS before, "
        "now() - created_at < INTERVAL 1 SECOND AS recent FROM studies WHERE study = 'z'"
    )
    command = [sys.executable, "-m", "atoll.search.commands.cli", "sql", statement, "--format", "json"]
    environment = os.environ | {"TZ": zone, "ATOLL_STORE": str(store.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    [row] = json.loads(done.stdout)
    assert row["created_at"] == begun
    assert (row["day"], row["before"]) == ("2026-11-05", True)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM range(100000000000) a, range(1000) b",
        "SELECT sum(i) FROM range(100000000000) t(i)",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
    ],
)
def test_a_statement_without_an_end_is_ended_with_a_sentence(sql, statement):
    started = time.monotonic()
    status, out, err = sql(statement, "--time-limit", "0.2")
    assert (status, out) == (2, "")
    assert "ran for 0.2 s without an end" in err and "--time-limit" in err
    assert err.count("\n") == 1
    assert time.monotonic() - started < 20  # not 60


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELECT list(i) FROM range(1000000000) t(i)", "needs more than 50 MB"),
        ("SELECT i FROM range(100000000) t(i)", "the answer has more than 5 MB"),
        ("SELECT repeat('x', 6000000)", "the answer has more than 5 MB"),
    ],
)
def test_a_statement_that_takes_much_memory_is_ended_with_a_sentence(sql, statement, message):
    status, out, err = sql(statement, "--memory-limit", "50")
    assert (status, out) == (2, "")
    assert message in err and "--memory-limit" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("limit", ["inf", "1e12", "nan", "-1"])
@pytest.mark.parametrize("option", ["--memory-limit", "--time-limit"])
def test_a_limit_that_nobody_can_count_is_refused(sql, option, limit):
    status, out, err = sql("SELECT 1", option, limit)
    assert (status, out) == (2, "")
    assert option in err and err.count("\n") == 1 and "move it away" not in err


def test_the_settings_are_those_of_the_limits_and_locked(store):
    row = store.user_query(
        "SELECT current_setting('memory_limit') AS memory, "
        "current_setting('enable_external_access') AS files, "
        "current_setting('lock_configuration') AS locked, current_setting('TimeZone') AS zone",
        QueryLimits(memory_mb=100),
    ).to_pylist()
    assert row == [{"memory": "95.3 MiB", "files": False, "locked": True, "zone": "UTC"}]


@pytest.mark.parametrize(
    "statement", ["DESCRIBE trials", "SHOW TABLES", "FROM trials", "EXPLAIN FROM trials"]
)
def test_other_statements_that_only_read_are_answered(sql, statement):
    status, out, _ = sql(statement, "--format", "json")
    assert status == 0
    assert json.loads(out)


def test_the_store_may_come_from_the_environment(store, monkeypatch, capsys):
    monkeypatch.setenv("ATOLL_STORE", str(store.path))
    assert cli.main(["sql", "SELECT trial FROM trials", "--format", "csv"]) == 0
    assert capsys.readouterr().out == "trial\nt0001\n"


ONE_STATEMENT = "one statement that only reads is allowed"
NO_FILES = "the store alone can be read"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("COPY trials TO '{folder}/out.csv'", f"kind COPY, {ONE_STATEMENT}"),
        ("COPY (SELECT 1) TO '{folder}/out.parquet'", f"kind COPY, {ONE_STATEMENT}"),
        ("EXPORT DATABASE '{folder}/out'", ONE_STATEMENT),
        ("ATTACH '{folder}/new.duckdb'", f"kind ATTACH, {ONE_STATEMENT}"),
        ("INSTALL httpfs", ONE_STATEMENT),
        ("LOAD httpfs", ONE_STATEMENT),
        ("PRAGMA memory_limit='1GB'", f"kind SET, {ONE_STATEMENT}"),
        ("PRAGMA database_list", f"kind PRAGMA, {ONE_STATEMENT}"),
        ("SET enable_external_access=true", f"kind SET, {ONE_STATEMENT}"),
        ("SET lock_configuration=false", f"kind SET, {ONE_STATEMENT}"),
        ("RESET enable_external_access", ONE_STATEMENT),
        ("INSERT INTO study_rows (study) VALUES ('x')", f"kind INSERT, {ONE_STATEMENT}"),
        ("UPDATE trial_rows SET seed = 9", f"kind UPDATE, {ONE_STATEMENT}"),
        ("DELETE FROM trial_rows", f"kind DELETE, {ONE_STATEMENT}"),
        ("DROP VIEW trials", f"kind DROP, {ONE_STATEMENT}"),
        ("CREATE TEMP TABLE t AS SELECT 1", f"kind CREATE, {ONE_STATEMENT}"),
        ("BEGIN", f"kind TRANSACTION, {ONE_STATEMENT}"),
        ("CALL pragma_version()", f"kind CALL, {ONE_STATEMENT}"),
        ("CHECKPOINT", ONE_STATEMENT),
        ("SELECT 1; DROP VIEW trials", f"got 2 statements, {ONE_STATEMENT}"),
        ("", f"got 0 statements, {ONE_STATEMENT}"),
        ("EXPLAIN ANALYZE COPY trials TO '{folder}/out.csv'", NO_FILES),
        ("EXPLAIN ANALYZE DELETE FROM trial_rows", "base table"),
        ("EXPLAIN ANALYZE DELETE FROM store.main.trial_rows", "read-only"),
        ("SELECT * FROM duckdb_secrets(), duckdb_extensions()", NO_FILES),
        ("SELECT * FROM read_csv('{folder}/secret.csv')", NO_FILES),
        ("SELECT * FROM read_text('{folder}/secret.csv')", NO_FILES),
        ("SELECT * FROM read_parquet('http://127.0.0.1:9/x.parquet')", NO_FILES),
        ("SELECT * FROM glob('{folder}/*')", NO_FILES),
        ("SELECT * FROM '{folder}/secret.csv'", NO_FILES),
        ("SELECT * FROM query('COPY trials TO ''{folder}/out.csv''')", "SELECT"),
        ("SELEC 1", "syntax error"),
        ("SELECT nothing FROM trials", '"nothing" not found'),
        ("SELECT * FROM trial", "did you mean 'trials'?"),
        ("SELECT 1/0::INTEGER + 'a'::INTEGER", "Could not convert"),
        ("SELECT ?", "1"),
    ],
)
def test_all_else_is_refused_in_one_line_and_changes_nothing(sql, store, tmp_path, statement, message):
    (tmp_path / "secret.csv").write_text("secret\n42\n")
    before = store.trials()
    files = sorted(tmp_path.iterdir())
    status, out, err = sql(statement.format(folder=tmp_path))
    assert (status, out) == (2, "")
    assert err.startswith("atoll: SQL: ")
    assert err.count("\n") == 1
    assert message in err
    assert store.trials() == before
    assert sorted(tmp_path.iterdir()) == files


def test_no_name_in_a_statement_means_a_python_variable(store):
    [row] = store.user_query("SELECT current_setting('python_enable_replacements') AS on").to_pylist()
    assert row == {"on": False}


def test_nothing_spills_to_the_disk(store):
    [row] = store.user_query("SELECT current_setting('temp_directory') AS folder").to_pylist()
    assert row == {"folder": ""}


def test_no_store_is_one_message(tmp_path, capsys):
    assert cli.main(["sql", "SELECT 1", "--store", str(tmp_path / "none.duckdb")]) == 2
    assert f"no store at {tmp_path}/none.duckdb" in capsys.readouterr().err


def test_an_unreadable_store_is_one_message(tmp_path, capsys):
    (tmp_path / "bad.duckdb").write_text("no database" * 1000)
    assert cli.main(["sql", "SELECT 1", "--store", str(tmp_path / "bad.duckdb")]) == 2
    error = capsys.readouterr().err
    assert "bad.duckdb cannot be used" in error
    assert error.count("\n") == 1


SEARCH = """
import sys, time
from pathlib import Path
from atoll.search.store.events import Ended, Proposed
from atoll.search.store.folding import Folder
from atoll.search.store.store import Store

store = Store(Path(sys.argv[1]))
folder = Folder(store, every_s=0.02)
with store.lock():
    store.recover()
    print("driving", flush=True)
    for n in range(2, 10_000):
        key = {"study": "s", "trial": f"t{n:04d}", "recipe_digest": f"d{n}", "seed": 0, "epochs_per_step": 1}
        store.journal.append(Proposed(recipe=f"cluster(clusters={n})", **key))
        store.journal.append(Ended(status="finished", metrics={"quality": 0.5}, **key))
        print(key["trial"], flush=True)
        folder.tick(2)
        time.sleep(0.005)
        if Path(sys.argv[2]).exists():
            break
    print(n, folder.close())
"""


def searching(store, stop):
    """Starts the search and returns it once it drives."""
    command = [sys.executable, "-c", SEARCH, str(store.path), str(stop)]
    search = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert search.stdout is not None and search.stdout.readline() == "driving\n"
    return search


def test_answers_while_a_search_folds_in_another_process(sql, store, tmp_path):
    store.trials()
    stop = tmp_path / "stop"
    search = searching(store, stop)
    counts, deadline = [1], time.monotonic() + 60
    while (len(counts) < 10 or counts[-1] == 1) and time.monotonic() < deadline:
        status, out, err = sql("SELECT count(*) AS n FROM trials", "--format", "json")
        assert (status, err) == (0, "")
        counts.append(json.loads(out)[0]["n"])
    stop.touch()
    last, folded = search.communicate(timeout=60)[0].splitlines()[-1].split()
    assert search.returncode == 0
    assert counts == sorted(counts)
    assert 1 < counts[-1] <= int(last)
    assert folded == "True"
    assert len(store.trials("s")) == int(last)


def test_every_end_that_a_killed_search_announced_is_there(sql, store, tmp_path):
    search = searching(store, tmp_path / "never")
    announced = [search.stdout.readline().strip() for _ in range(40)]
    search.kill()
    announced += search.communicate()[0].split()
    statement = "SELECT trial, status, reason FROM trials ORDER BY length(trial), trial"
    rows = json.loads(sql(statement, "--format", "json")[1])
    states = {row["trial"]: (row["status"], row["reason"]) for row in rows}
    assert {states[trial] for trial in announced} == {("finished", None)}
    # At most one was under way, and one ended without having been announced.
    left = set(states) - {"t0001", *announced}
    assert len(left) <= 1
    assert {states[trial] for trial in left} <= {("finished", None), ("failed", "interrupted")}


def test_the_refusal_is_an_error_for_the_reader(store):
    with pytest.raises(AtollError, match="got a statement of the kind DROP"):
        store.user_query("DROP TABLE trial_rows")
