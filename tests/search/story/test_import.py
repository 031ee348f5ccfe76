"""`atoll import`: everything of the other store comes in once, and that one stays as it was."""

import json
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from atoll.search.commands import cli
from atoll.search.store.schema import SCHEMA_VERSION
from atoll.search.store.store import Store

STORES = Path(__file__).parents[1] / "store" / "stores"
PRUNE, QUANTIZE, SVD = "prune_channels(ratio=0.5)", "quantize(bits=8)", "svd(rank=0.5)"
ROWS = (
    "SELECT * FROM trials ORDER BY ALL",
    "SELECT * FROM steps ORDER BY ALL",
    "SELECT * FROM studies ORDER BY ALL",
)


@pytest.fixture
def here(tmp_path):
    return Store(tmp_path / "here" / "atoll.duckdb")


@pytest.fixture
def there(tmp_path):
    return Store(tmp_path / "there" / "atoll.duckdb")


@pytest.fixture
def bring(here, capsys):
    """Runs `atoll import`; returns exit status, rows as [study, name, new, known], and stderr."""

    def run(source, *words):
        status = cli.main(["import", str(source), "--store", str(here.path), "--format", "json", *words])
        captured = capsys.readouterr()
        found = [list(row.values()) for row in json.loads(captured.out)] if captured.out else []
        return status, found, captured.err

    return run


def whole(store):
    return [store.query(statement).to_pylist() for statement in ROWS]


def test_everything_comes_in_once_and_the_other_stays_as_it_was(store, here, bring):
    before = {path: path.read_bytes() for path in store.path.parent.iterdir()}
    assert bring(store.path.parent) == (0, [["s", "s", 9, 0]], "")
    assert whole(here) == whole(store)
    assert bring(store.path) == (0, [["s", "s", 0, 9]], "")
    assert whole(here) == whole(store)
    assert {path: path.read_bytes() for path in store.path.parent.iterdir()} == before


def test_without_its_journal_a_store_comes_in_as_its_tables_tell(store, there, here, bring, writer):
    there.path.parent.mkdir()
    there.journal_path.write_bytes(store.journal_path.read_bytes())
    told = {"trial": "t0003", "recipe_digest": f"{PRUNE} -> {QUANTIZE}", "seed": 0, "epochs_per_step": 2.0}
    other = writer(there, "of files")
    other.propose(QUANTIZE)
    other.study, other.trials = "s", 20
    other.tell(type="measured", model_bytes_measured=99_000, test_quality=0.85, **told)
    other.tell(
        type="test_look", trial="t0003", quality=0.85, looked_at="2026-11-05T13:00:00Z", command="export"
    )
    other.tell(type="ended", status="interrupted", **other.propose(SVD))
    assert there.fold()
    there.journal_path.unlink()
    status, found, _ = bring(there.path)
    assert (status, found) == (0, [["of files", "of files", 1, 0], ["s", "s", 10, 0]])
    assert whole(here) == whole(there)
    looks = "SELECT study, trial, command, quality, looked_at FROM test_looks"
    assert here.query(looks).to_pylist() == there.query(looks).to_pylist()


def test_one_study_in_two_stores_is_joined(here, there, bring, writer):
    one, two = writer(here), writer(there)
    for study in (one, two):
        study.finish(origin="baseline")
    one.finish((PRUNE, 0.88, 400_000, False))  # t0002, and so is the next
    two.finish((SVD, 0.87, 500_000, False))
    two.finish((PRUNE, 0.10, 400_000, False))  # t0003 there: ours counts
    one.tell(type="ended", status="interrupted", **one.propose(QUANTIZE))
    two.finish((QUANTIZE, 0.89, 250_000, False))
    status, found, _ = bring(there.path)
    assert (status, found) == (0, [["s", "s", 2, 2]])
    rows = {row["trial"]: (row["recipe"], row["status"], row["quality"]) for row in here.trials("s")}
    assert rows == {
        "t0001": ("baseline", "finished", 0.9),
        "t0002": (PRUNE, "finished", 0.88),
        "t0003": (QUANTIZE, "finished", 0.89),
        "t0004": (SVD, "finished", 0.87),
    }
    [brought] = [row for row in here.trials("s") if row["trial"] == "t0004"]
    assert (brought["origin"], brought["proposal"]) == ("evaluate", None)
    assert [step["step"] for step in here.steps("s", "t0004")] == [SVD]


def test_trials_that_are_joined_get_names_of_their_own(here, there, bring, writer):
    one, two = writer(here), writer(there)
    for study, bits in ((one, range(2, 6)), (two, range(6, 10))):
        study.finish(origin="baseline")
        for number in bits:
            study.finish((f"quantize(bits={number})", 0.88, 400_000, False))
    assert bring(there.path)[:2] == (0, [["s", "s", 4, 1]])
    rows = {row["trial"]: row["recipe"] for row in here.trials("s")}
    assert list(rows) == [f"t{number:04d}" for number in range(1, 10)] and len(set(rows.values())) == 9


def test_another_study_of_the_name_needs_another_name(here, there, bring, writer):
    writer(here).finish(origin="baseline")
    other = writer(there)
    other.tell(type="study", digest="another", definition={"task": "digits"})
    there.journal_path.write_bytes(b"".join(there.journal_path.read_bytes().splitlines(True)[1:]))
    other.finish(origin="baseline")
    status, found, err = bring(there.path)
    assert (status, found, err.count("\n")) == (2, [], 1)
    assert "has another study 's', of another definition" in err and "--study s --as NAME" in err
    assert len(here.trials()) == 1
    assert bring(there.path, "--as", "theirs")[:2] == (0, [["s", "theirs", 1, 0]])
    assert [(row["study"], row["trial"]) for row in here.trials()] == [("s", "t0001"), ("theirs", "t0001")]


@pytest.mark.parametrize("version", [1, 4, SCHEMA_VERSION - 1])
def test_a_store_of_an_older_version_comes_in(here, there, bring, version):
    there.path.parent.mkdir()
    with closing(duckdb.connect(str(there.path))) as connection:
        connection.execute((STORES / f"schema_{version}.sql").read_text())
        connection.execute("INSERT INTO schema_version VALUES (?)", [version])
        connection.execute("INSERT INTO study_rows (study, digest, definition) VALUES ('s', 'd', '{}')")
        connection.execute(
            "INSERT INTO trial_rows (study, recipe_digest, seed, epochs_per_step, trial, status, recipe, "
            "origin, quality) VALUES ('s', 'd', 0, 1, 't0001', 'finished', 'binarize', 'search', 0.5)"
        )
    before = there.path.read_bytes()
    assert bring(there.path)[:2] == (0, [["s", "s", 1, 0]])
    assert [(row["trial"], row["quality"]) for row in here.trials("s")] == [("t0001", 0.5)]
    assert there.path.read_bytes() == before


@pytest.mark.parametrize(
    ("source", "words", "message"),
    [
        ("none.duckdb", (), "no store at "),
        (".", (), "no store at "),
        ("text.duckdb", (), "text.duckdb cannot be used"),
        ("here/atoll.duckdb", (), "is the store that it would be brought into"),
        ("there", ("--study", "z"), "no study 'z' in "),
        ("there", ("--as", "a/b"), "--as a/b: allowed are letters, digits, . _ and -"),
        ("there", ("--as", "x"), "--as names one study, "),
    ],
)
def test_wrong_inputs_are_one_sentence(here, there, bring, writer, tmp_path, source, words, message):
    writer(here)
    writer(there, "a")
    writer(there, "b")
    (tmp_path / "text.duckdb").write_text("no database" * 1000)
    status, found, err = bring(tmp_path / source, *words)
    assert (status, found, err.count("\n")) == (2, [], 1)
    assert message in err
    assert [row["study"] for row in here.studies()] == ["s"]


def test_nothing_is_brought_from_or_into_a_store_that_a_search_writes(here, there, bring, writer):
    writer(there)
    with there.lock():
        assert "a search runs in" in bring(there.path)[2]
    here.path.parent.mkdir(exist_ok=True)
    with here.lock():
        assert "already drives a search in this store" in bring(there.path)[2]
    assert not here.journal_path.exists()


def test_what_a_new_journal_does_not_tell_comes_in_from_the_tables(there, here, bring, writer):
    old = writer(there)
    old.finish(origin="baseline")
    old.finish((PRUNE, 0.88, 400_000, False))
    assert there.fold()
    there.journal_path.unlink()
    new = writer(there)
    new.trials = 10
    new.finish((SVD, 0.87, 500_000, False))
    assert bring(there.path)[:2] == (0, [["s", "s", 3, 0]])
    assert whole(here) == whole(there)
    assert bring(there.path)[:2] == (0, [["s", "s", 0, 3]])


@pytest.mark.parametrize(
    "change",
    [
        "trial_rows SET trial = '../' || chr(27)",
        "trial_rows SET status = 'won'",
        "trial_rows SET epochs_per_step = 'nan'::DOUBLE",
        "trial_rows SET reason = repeat('x', 200000)",
        "study_rows SET study = repeat('x', 300)",
    ],
)
def test_tables_that_atoll_does_not_write_are_one_sentence(there, here, bring, writer, change):
    writer(there).finish(origin="baseline")
    assert there.fold()
    there.journal_path.unlink()
    with closing(duckdb.connect(str(there.path))) as connection:
        connection.execute(f"UPDATE {change}")
    status, found, err = bring(there.path)
    assert (status, found, err.count("\n")) == (2, [], 1)
    assert str(there.path) in err and len(err) < 500
    assert here.journal.size_bytes() == 0


LOOKS = "SELECT study, trial, command, quality, looked_at FROM test_looks ORDER BY ALL"


def look(study, trial, key, at="2026-11-05T13:00:00Z"):
    study.tell(type="test_look", command="verify", quality=0.85, looked_at=at, **{**key, "trial": trial})


def test_looks_at_the_test_split_of_trials_that_are_here_come_in_once(here, there, bring, writer):
    one, two = writer(here), writer(there)
    for study, recipes in ((one, (PRUNE, QUANTIZE)), (two, (QUANTIZE,))):  # t0003 here is t0002 there
        study.finish(origin="baseline")
        for recipe in recipes:
            study.finish((recipe, 0.88, 400_000, False))
    key = {"recipe_digest": QUANTIZE, "seed": 0, "epochs_per_step": 2.0, "recipe": QUANTIZE}
    look(one, "t0003", key)
    look(two, "t0002", key)  # the same, copied some day
    look(two, "t0002", key, "2026-11-06T13:00:00+00:00")
    assert bring(there.path)[:2] == (0, [["s", "s", 0, 2]])
    seen = here.query(LOOKS).to_pylist()
    assert [(row["trial"], row["looked_at"].day) for row in seen] == [("t0003", 5), ("t0003", 6)]
    said = here.journal.size_bytes()
    assert bring(there.path)[:2] == (0, [["s", "s", 0, 2]])
    assert here.journal.size_bytes() == said
    assert there.fold()
    there.journal_path.unlink()  # the tables tell the same looks in other words
    assert bring(there.path)[:2] == (0, [["s", "s", 0, 2]])
    assert here.query(LOOKS).to_pylist() == seen


def test_a_look_alone_in_a_new_journal_leaves_the_trial_to_the_tables(here, there, bring, writer):
    old = writer(there)
    old.finish(origin="baseline")
    old.finish((PRUNE, 0.88, 400_000, False))
    assert there.fold()
    there.journal_path.unlink()
    look(old, "t0002", {"recipe_digest": PRUNE, "seed": 0, "epochs_per_step": 2.0})
    assert there.fold()
    assert bring(there.path)[:2] == (0, [["s", "s", 2, 0]])
    assert whole(here) == whole(there)
    assert len(here.query(LOOKS)) == 1


@pytest.mark.parametrize("is_joined", [False, True])
def test_a_trial_named_beyond_all_numbers_gets_a_name_that_can_be_counted_on_from(
    here, there, bring, writer, is_joined
):
    other = writer(there)
    other.trials = 999_999_998
    other.finish((SVD, 0.87, 500_000, False))
    other.trials = 0
    other.finish(origin="baseline")
    if is_joined:
        writer(here).finish(origin="baseline")
    assert bring(there.path)[0] == 0
    assert {row["trial"]: row["recipe"] for row in here.trials("s")} == {"t0001": "baseline", "t0002": SVD}
