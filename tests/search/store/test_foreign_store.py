"""A store made by somebody else is data: no path, no code, no terminal control; one sentence if odd."""

import json
import os
from contextlib import closing

import duckdb
import pytest
from atoll.search.commands import cli
from atoll.search.proposer.trial_scores import total_violation
from atoll.search.store.events import event_from_json
from atoll.search.store.opening import open_store
from atoll.search.store.schema import columns_of, expected_columns
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError

SECRET = "TOP-SECRET-LINE"
ESCAPE = "x\x1b[31m\x1b]0;owned\x07\x9b1m\u202ey"
TABLES = ("study_rows", "trial_rows", "step_rows")
FIGURES = {
    "quality": 0.9,
    "quality_name": "accuracy",
    "model_bytes": 1000,
    "packed_bytes": 900,
    "payload_bytes": 800,
    "macs": 100,
    "latency_ms": 2.0,
    "peak_memory_bytes": 5000,
}
DEFINITION = {
    "task": "digits",
    "device": "coral-dev-board",
    "seed": 0,
    "epochs_per_step": 1.0,
    "profile": "balanced",
    "constraints": ["quality_drop <= 0.05"],
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A store with a baseline and a recipe, without its journal; commands run in a folder below it."""
    store = Store(tmp_path / "atoll.duckdb")
    store.journal.append(
        event_from_json(
            {
                "type": "study",
                "study": "s",
                "created_at": "2026-11-05T12:00:00Z",
                "definition": DEFINITION,
                "baseline": FIGURES | {"model_bytes": 4000},
            }
        )
    )
    for number, recipe in enumerate(("baseline", "quantize(bits=8)")):
        key = {
            "study": "s",
            "trial": f"t{number}",
            "recipe_digest": recipe,
            "seed": 0,
            "epochs_per_step": 1.0,
        }
        origin = "baseline" if recipe == "baseline" else "search"
        store.journal.append(event_from_json({"type": "proposed", "recipe": recipe, "origin": origin} | key))
        steps = [{"position": 1, "step": recipe, "technique": "quantize", "seconds": 1.0}]
        ended = {"type": "ended", "status": "finished", "metrics": FIGURES, "steps": steps, "seconds": 1.0}
        store.journal.append(event_from_json(ended | key | {"recipe": recipe}))
    assert store.fold()
    store.journal_path.unlink()
    (tmp_path / "secret.txt").write_text(SECRET)
    home = tmp_path / "deep" / "er"
    home.mkdir(parents=True)
    monkeypatch.chdir(home)
    return store.path


@pytest.fixture
def atoll(place, capsys):
    """Runs a command on the store; returns exit status, stdout and stderr."""

    def run(*words):
        status = cli.main([words[0], "--store", str(place), *words[1:]])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def change(path, *statements):
    with closing(duckdb.connect(str(path))) as connection:
        for statement, *values in statements:
            connection.execute(statement, values)


def renamed(name):
    return [(f"UPDATE {table} SET study = ?", name) for table in TABLES]


COMMANDS = (
    ["leaderboard"],
    ["leaderboard", "--all"],
    ["leaderboard", "--format", "csv"],
    ["leaderboard", "--format", "json"],
    ["leaderboard", "--study", "nope"],
    ["report"],
    ["report", "--format", "md"],
    ["predict", "--trial", "best"],
    ["predict", "--trial", "nope"],
    ["resume", "nope"],
    ["sql", "SELECT * FROM studies"],
    ["sql", "SELECT * FROM trials", "--format", "csv"],
)


def test_the_store_itself_is_a_good_one(atoll):
    for words in COMMANDS:
        status, _, err = atoll(*words)
        assert status == (2 if "nope" in words else 0), err


@pytest.mark.parametrize(
    "name", ["../../ESCAPED", "/../../../ESCAPED", "ESCAPED/..", "..", ".", "a\0b", "n" * 300]
)
def test_names_do_not_decide_where_a_report_is_written(place, atoll, tmp_path, name):
    change(place, *renamed(name.replace("\0", "\x01")))
    before = {path for path in tmp_path.rglob("*")}
    status, out, _ = atoll("report")
    assert status == 0
    made = {path for path in tmp_path.rglob("*")} - before
    reports = tmp_path / "deep" / "er" / "reports"
    assert {path.parent for path in made if path.is_file()} == {next(reports.iterdir())}
    assert next(reports.iterdir()).name.startswith("name-")
    assert "reports/name-" in out


@pytest.mark.parametrize("name", ["../../ESCAPED", "/../../../ESCAPED", "-x/../y"])
def test_names_do_not_decide_where_an_export_is_written(place, atoll, tmp_path, monkeypatch, name):
    from atoll.search.api import exports
    from atoll.spaces.errors import AtollError

    folders = []

    def exported(_store, _study, _trial, out, **_):
        folders.append(out)
        raise AtollError("far enough")

    monkeypatch.setattr(exports, "export_trial", exported)
    change(place, ("UPDATE trial_rows SET trial = ? WHERE recipe <> 'baseline'", name), *renamed(name))
    for trial in ("best", name):
        atoll("export", f"--study={name}", "--", trial)
    assert folders
    for folder in folders:
        assert folder.resolve().parent == tmp_path / "deep" / "er" / "exports"


@pytest.mark.parametrize("words", COMMANDS)
@pytest.mark.parametrize("view", ["studies", "trials", "steps", "test_looks"])
def test_views_of_the_store_are_never_looked_at(place, atoll, tmp_path, words, view):
    columns = [
        name
        for (name, *_) in duckdb.connect(str(place), read_only=True).execute(f"DESCRIBE {view}").fetchall()
    ]
    shown = ", ".join(f"content AS {name}" for name in columns)
    change(
        place,
        (f"DROP VIEW {view}",),
        (f"CREATE VIEW {view} AS SELECT {shown} FROM read_text('{tmp_path}/secret.txt')",),
    )
    status, out, err = atoll(*words)
    assert status == (2 if "nope" in words else 0)
    assert SECRET not in out + err


def test_a_view_that_reads_files_fails_in_one_sentence(place, atoll, tmp_path):
    change(place, (f"CREATE VIEW mine AS SELECT * FROM read_text('{tmp_path}/secret.txt')",))
    status, out, err = atoll("sql", "SELECT * FROM store.main.mine")
    assert (status, out) == (2, "")
    assert "the store alone can be read" in err and err.count("\n") == 1


def test_a_view_in_place_of_a_table_is_refused(place, atoll, tmp_path):
    change(
        place,
        ("DROP VIEW steps",),
        ("DROP TABLE step_rows",),
        (f"CREATE VIEW step_rows AS SELECT content AS step FROM read_text('{tmp_path}/secret.txt')",),
    )
    for words in COMMANDS:
        status, out, err = atoll(*words)
        assert (status, out) == (2, "")
        assert "table step_rows" in err and err.count("\n") == 1


def test_macros_of_the_store_have_no_say_in_what_a_name_means(place, atoll):
    change(
        place, *((f"CREATE MACRO {name}(x) AS 'owned'",) for name in ("len", "coalesce_", "lower", "count_"))
    )
    status, out, _ = atoll("sql", "SELECT len('abc') AS n, lower('A') AS a", "--format", "json")
    assert (status, json.loads(out)) == (0, [{"n": 3, "a": "a"}])
    assert json.loads(atoll("sql", "SELECT step_count FROM trials", "--format", "json")[1])[0] == {
        "step_count": 0
    }


def test_tables_of_the_user_are_there_beside_ours(place, atoll):
    change(place, ("CREATE TABLE notes AS SELECT 42 AS answer",))
    assert json.loads(atoll("sql", "FROM notes", "--format", "json")[1]) == [{"answer": 42}]
    assert "notes" in atoll("sql", "SHOW TABLES")[1]


@pytest.mark.parametrize("name", ['a.b"c', "it's", "select", "Trial Rows", "ß;--"])
def test_a_table_of_the_user_may_have_any_name(place, atoll, name):
    quoted = '"' + name.replace('"', '""') + '"'
    change(place, (f"CREATE TABLE {quoted} AS SELECT 42 AS {quoted}",))
    assert json.loads(atoll("sql", f"FROM {quoted}", "--format", "json")[1]) == [{name: 42}]


def test_columns_are_what_duckdb_itself_says_of_them(place):
    with closing(open_store(place, read_only=True)) as connection:
        said = connection.execute(
            "SELECT column_name, data_type, is_nullable FROM duckdb_columns() "
            "WHERE database_name = 'store' AND table_name = 'trial_rows' ORDER BY column_index"
        ).fetchall()
        found = columns_of(connection, "trial_rows")
    assert [(name, *found[name]) for name in found] == said


@pytest.mark.parametrize("words", COMMANDS)
def test_nothing_that_a_store_says_steers_the_terminal(place, atoll, words):
    texts = [
        (f"UPDATE {table} SET {column} = ?", ESCAPE)
        for table, column in (
            ("trial_rows", "trial"),
            ("trial_rows", "reason"),
            ("trial_rows", "quality_name"),
            ("trial_rows", "latency_status"),
            ("step_rows", "technique"),
        )
    ]
    changed = DEFINITION | {"task": ESCAPE, "device": ESCAPE, "constraints": ["quality_drop <= 0.05"]}
    change(
        place,
        ("ALTER TABLE trial_rows ADD COLUMN IF NOT EXISTS x VARCHAR",),
        *(text for text in texts if "trial_rows SET trial" not in text[0]),
        ("UPDATE trial_rows SET trial = trial || ?", ESCAPE),
        ("UPDATE study_rows SET definition = ?", json.dumps(changed)),
        *renamed(ESCAPE),
    )
    _, out, err = atoll(*words)
    for line in (out + err).split("\n"):
        assert line.isprintable(), ascii(line)
    if words[-1] == "json":
        assert json.loads(out)[0]["trial"].endswith(ESCAPE)


def test_the_names_of_a_statement_s_columns_do_not_steer_it_either(atoll):
    for form in ("table", "csv", "json"):
        _, out, _ = atoll("sql", f"SELECT '{ESCAPE}' AS \"{ESCAPE}\"", "--format", form)
        assert all(line.isprintable() for line in out.split("\n"))
    assert json.loads(out) == [{ESCAPE: ESCAPE}]


def test_a_report_is_markdown_of_ours_alone(place, atoll, tmp_path):
    evil = "a|b `c` <script>alert(1)</script> [x](http://evil.example)\n# new"
    changed = DEFINITION | {"task": evil, "device": evil}
    change(
        place,
        ("UPDATE study_rows SET definition = ?", json.dumps(changed)),
        ("UPDATE trial_rows SET recipe = ? WHERE recipe <> 'baseline'", evil),
        *renamed(evil),
    )
    assert atoll("report", "--format", "md")[0] == 0
    from markdown_it import MarkdownIt

    [path] = (tmp_path / "deep" / "er" / "reports").glob("*/README.md")
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(path.read_text())
    inline = [child for token in tokens if token.type == "inline" for child in token.children]
    assert {child.type for child in inline} <= {"text", "text_special", "code_inline", "softbreak"}
    assert sum(token.type == "heading_open" for token in tokens) == 1
    heads = sum(token.type == "th_open" for token in tokens)
    assert sum(token.type == "td_open" for token in tokens) == 2 * heads


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "ALTER TABLE trial_rows ALTER quality TYPE VARCHAR",
            "quality of table trial_rows has to be DOUBLE, got VARCHAR",
        ),
        ("ALTER TABLE study_rows ALTER created_at TYPE DATE", "has to be TIMESTAMP WITH TIME ZONE, got DATE"),
        (
            "ALTER TABLE trial_rows DROP COLUMN node",
            "column node of table trial_rows has to be VARCHAR, got none",
        ),
        ("DROP TABLE test_look_rows CASCADE", "table test_look_rows"),
        ("UPDATE schema_version SET version = 99", "has schema version 99"),
        ("UPDATE study_rows SET definition = '5'", "definition"),
        ("UPDATE study_rows SET definition = '[1]'", "definition"),
        ("""UPDATE study_rows SET definition = '{"constraints": 5}'""", "constraints"),
        ("""UPDATE study_rows SET definition = '{"profile": 5}'""", "profile"),
        ("""UPDATE study_rows SET baseline = '{"quality": "x"}'""", "quality"),
        ("UPDATE trial_rows SET model_bytes = NULL", "model_bytes"),
        ("UPDATE study_rows SET created_at = 'infinity'", "date value out of range"),
    ],
)
def test_an_odd_store_is_one_sentence(place, atoll, statement, message):
    change(place, (statement,))
    status, out, err = atoll("leaderboard")
    assert (status, out) == (2, ""), err
    assert message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "definition",
    ["NULL", "'{}'", """'{"task": "nope"}'""", """'{"device": 5}'""", """'{"max_steps": "x"}'"""],
)
@pytest.mark.parametrize(
    "words",
    [
        ["report"],
        ["predict", "--trial", "t1"],
        ["resume", "s"],
        ["evaluate", "--study", "s", "baseline"],
        ["export", "t1"],
    ],
    ids=lambda words: words[0],
)
def test_a_definition_that_is_lost_or_odd_is_one_sentence(place, atoll, definition, words):
    change(place, (f"UPDATE study_rows SET definition = {definition}",))
    status, out, err = atoll(*words)
    assert (status, out) == (2, ""), err
    assert err.count("\n") == 1 and ("definition" in err or "study 's'" in err or "'nope'" in err)


COLUMNS = [
    (table, name) for table in TABLES for name, (_, nullable) in expected_columns()[table].items() if nullable
]


@pytest.fixture
def no_work(monkeypatch):
    """Commands that train or search end where that would begin; `resume` takes the trials over before."""
    from atoll.search.api import searches
    from atoll.search.driver.campaign import Campaign
    from atoll.search.export import export

    def stop(*_):
        raise AtollError("far enough")

    def begin(study, store, *_):
        with store.lock():
            assert store.recover()
            Campaign(study, store).next()
        stop()

    monkeypatch.setattr(export, "trial_pipeline", stop)
    monkeypatch.setattr(searches, "launch", begin)


READERS = (
    ["leaderboard"],
    ["leaderboard", "--all", "--format", "json"],
    ["report"],
    ["predict", "--trial", "best"],
    ["predict", "--trial", "t1"],
    ["resume"],
    ["export", "t1"],
)


@pytest.mark.long
@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_null_where_a_value_is_meant_is_no_internal_error(place, atoll, no_work, table, column):
    change(place, (f"UPDATE {table} SET {column} = NULL",))
    for words in READERS:
        status, _, err = atoll(*words)
        assert status in (0, 2), (words, err)


@pytest.mark.parametrize(
    ("command", "changed", "message"),
    [
        ("resume", {"task": None}, "study 's' of the store: task: got None, allowed is the name of a task"),
        (
            "export t1",
            {"device": 5},
            "device in the definition of study 's' of the store is 5, it has to be a text",
        ),
        ("export t1", {"finalists": "x"}, "study 's' of the store: finalists: Input should be"),
        ("resume", {"task": "nope"}, "unknown task 'nope'"),
        ("predict --trial t1", {"task": None}, "the definition of study 's' of the store has no task"),
        ("predict --trial t1", {"task": "nope"}, "unknown task 'nope'"),
        ("evaluate baseline --study s", {"techniques": ["nope"]}, "unknown technique 'nope'"),
    ],
)
def test_a_definition_that_no_study_has_is_one_sentence(place, atoll, no_work, command, changed, message):
    change(place, ("UPDATE study_rows SET definition = ?", json.dumps(DEFINITION | changed)))
    status, out, err = atoll(*command.split())
    assert (status, out) == (2, "")
    assert message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("violation", "got"),
    [('{"a": "x"}', '"x" for a'), ('{"a": [1]}', "[1] for a"), ('{"a": true}', "true for a"), ("[1]", "[1]")],
)
def test_violations_that_are_no_numbers_are_one_sentence(place, atoll, no_work, violation, got):
    whole = json.dumps(Study.of_definition("s", DEFINITION).definition())
    change(
        place,
        ("UPDATE study_rows SET definition = ?", whole),
        ("UPDATE trial_rows SET violation = ?", violation),
    )
    status, out, err = atoll("resume", "s")
    assert (status, out) == (2, "") and f"column violation holds {got}, " in err and err.count("\n") == 1


def test_a_violation_that_no_number_holds_is_one(place, atoll, no_work):
    """The journal has null for what is infinite."""
    whole = json.dumps(Study.of_definition("s", DEFINITION).definition())
    change(
        place,
        ("UPDATE study_rows SET definition = ?", whole),
        ("UPDATE trial_rows SET violation = ?", '{"a": null, "b": -1}'),
    )
    assert "far enough" in atoll("resume", "s")[2]
    [trial, *_] = Store(place).trials("s")
    assert total_violation(trial["violation"]) == float("inf")
    assert (total_violation({"a": 0.5, "b": -1.0}), total_violation(None)) == (0.5, 0.0)


@pytest.mark.parametrize("definition", ["{}", None])
def test_a_study_without_a_definition_is_still_ranked(place, atoll, definition):
    change(place, ("UPDATE study_rows SET definition = ?", definition))
    assert atoll("leaderboard")[0] == 0
    status, _, err = atoll("report")
    assert status == 2 and "the definition of study 's' of the store has no" in err


def test_a_budget_that_is_no_number_is_still_ranked(place, atoll):
    change(place, ("UPDATE trial_rows SET epochs_per_step = 'nan'",))
    status, out, _ = atoll("leaderboard", "--format", "json")
    assert (status, len(json.loads(out))) == (0, 2)


@pytest.mark.parametrize("name", ["", "x", "t", "t1x", "t" + "9" * 5000])
def test_a_trial_of_a_name_that_no_study_gives_is_left_aside(place, atoll, no_work, caplog, name):
    from atoll.search.study.study import Study

    whole = json.dumps(Study.of_definition("s", DEFINITION).definition())
    change(
        place,
        ("UPDATE study_rows SET definition = ?", whole),
        ("UPDATE trial_rows SET trial = ? WHERE recipe <> 'baseline'", name),
    )
    status, _, err = atoll("resume")
    assert status == 2 and "far enough" in err
    assert "is left aside: its name is" in caplog.text


def test_a_row_without_a_recipe_is_no_trial(place, atoll):
    """As for a fold, which removes such rows."""
    change(place, ("UPDATE trial_rows SET recipe = NULL WHERE recipe <> 'baseline'",))
    status, _, err = atoll("predict", "--trial", "t1")
    assert status == 2 and "no trial 't1' in study 's'" in err
    assert [row["recipe"] for row in json.loads(atoll("leaderboard", "--format", "json")[1])] == ["baseline"]


@pytest.mark.parametrize(
    "put", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)], ids=["pipe", "device"]
)
@pytest.mark.parametrize("which", ["path", "journal_path", "lock_path"])
def test_a_pipe_or_device_in_a_file_s_place_is_not_waited_for(place, put, which):
    store = Store(place)
    getattr(store, which).unlink(missing_ok=True)
    put(getattr(store, which))
    told = []
    for use in (store.studies, store.recover, store.lock().__enter__, lambda: store.journal.append(_LOOK)):
        try:
            use()
        except AtollError as error:
            told.append(str(error))
    assert told and set(told) == {
        f"{getattr(store, which)} is no regular file (a pipe, socket or device), allowed is one"
    }


_LOOK = event_from_json({"type": "test_look", "study": "s", "trial": "t1"})
