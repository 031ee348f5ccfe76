"""What a process does again at each opening of a store, and what it does only when the file changed."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from atoll.search.store import schema
from atoll.search.store.events import StudyDescribed
from atoll.search.store.opening import open_store
from atoll.search.store.store import Store
from atoll.spaces.errors import AtollError

EVERYTHING = {"schema_version", *schema.TABLES, *schema.VIEWS}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with a study."""
    store = Store(tmp_path / "atoll.duckdb")
    store.journal.append(StudyDescribed(study="s"))
    assert store.fold()
    return store


def change(path: Path, statement: str) -> None:
    with closing(duckdb.connect(str(path))) as connection:
        connection.execute(statement)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose contents are checked from now on, each time."""
    seen: list[Path] = []
    contents = schema.contents

    def counted(connection: duckdb.DuckDBPyConnection, place: Path) -> schema.Contents:
        seen.append(place)
        return contents(connection, place)

    monkeypatch.setattr(schema, "contents", counted)
    return seen


def test_a_file_is_checked_again_only_when_it_changed(store: Store, checks: list[Path]) -> None:
    for _ in range(3):
        assert [row["study"] for row in store.studies()] == ["s"]
    assert len(checks) == 1
    store.journal.append(StudyDescribed(study="t"))
    assert [row["study"] for row in store.studies()] == ["s", "t"]
    seen = len(checks)
    assert seen > 1
    store.studies()
    assert len(checks) == seen


@pytest.mark.parametrize(
    "statement", ["ALTER TABLE step_rows DROP COLUMN notes", "DROP TABLE test_look_rows CASCADE"]
)
def test_a_file_that_was_good_is_refused_once_it_is_not(store: Store, statement: str) -> None:
    store.studies()
    change(store.path, statement)
    with pytest.raises(AtollError, match="is no store of Atoll: column"):
        store.studies()


def test_another_file_of_the_same_name_is_checked(store: Store, tmp_path: Path) -> None:
    store.studies()
    change(tmp_path / "other.duckdb", "CREATE TABLE x (i INTEGER)")
    (tmp_path / "other.duckdb").rename(store.path)
    with pytest.raises(AtollError, match="no store of Atoll"):
        store.studies()


def test_a_change_that_lies_in_the_log_alone_is_seen(store: Store) -> None:
    store.studies()
    code = (
        "import duckdb, os, sys\n"
        "connection = duckdb.connect(sys.argv[1])\n"
        "connection.execute(\"SET checkpoint_threshold = '1GB'\")\n"
        "connection.execute('ALTER TABLE step_rows DROP COLUMN notes')\n"
        "os._exit(0)\n"
    )
    before = store.path.stat()
    subprocess.run([sys.executable, "-c", code, str(store.path)], check=True)
    assert (store.path.stat().st_size, store.path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    with pytest.raises(AtollError, match="column notes of table step_rows"):
        store.studies()


@pytest.mark.parametrize(
    ("statement", "made"),
    [
        ("SELECT * FROM trials WHERE study = ?", {"trials"}),
        ("WITH x AS (FROM Steps) SELECT * FROM x, trial_rows", {"steps", "trial_rows"}),
        ("EXPLAIN SELECT 1 FROM memory.main.studies", {"studies"}),
        ("DESCRIBE trials", {"trials"}),
        ("FROM query_table('trials')", {"trials"}),
        # what a macro looks at comes with it
        ("FROM waterfall('t0001')", {"steps"}),
        ("SELECT 1 FROM Leaderboard() JOIN trials USING (trial)", {"profiles", "recipes", "trials"}),
        # what asks for the catalogue, names nothing of ours or is no SQL
        ("SHOW TABLES", EVERYTHING),
        ("SELECT table_name FROM information_schema.tables", EVERYTHING),
        ("FROM query_table('tri' || 'als')", EVERYTHING),
        ("SELECT 1", EVERYTHING),
        ("FROM nowhere", EVERYTHING),
        ("SELECT len2(trial) FROM trials", EVERYTHING),
        ("selec * from trials", EVERYTHING),
    ],
)
def test_the_views_that_a_statement_names_are_made(store: Store, statement: str, made: set[str]) -> None:
    with closing(open_store(store.path, read_only=True)) as connection:
        schema.make_views(connection, schema.contents(connection, store.path), statement, in_memory=False)
        found = connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE database_name = 'memory' AND NOT internal"
        )
        assert {name for (name,) in found.fetchall()} == made


def test_views_in_memory_say_what_those_of_the_file_say(store: Store) -> None:
    for view in schema.VIEWS:
        with closing(duckdb.connect(str(store.path), read_only=True)) as connection:
            of_the_file = connection.execute(f"DESCRIBE {view}").fetchall()
        described = store.user_query(f"DESCRIBE {view}")
        assert [tuple(row.values()) for row in described.to_pylist()] == of_the_file


def test_a_fold_imports_no_pandas(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from atoll.search.store.events import StudyDescribed\n"
        "from atoll.search.store.store import Store\n"
        "store = Store(sys.argv[1])\n"
        "store.journal.append(StudyDescribed(study='s'))\n"
        "store.fold()\n"
        "print(len(store.studies()), 'pandas' in sys.modules)\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "atoll.duckdb")]
    assert subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout == "1 False\n"
