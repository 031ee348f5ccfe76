"""`atoll sql`: the formats of an answer, where it goes, and where the statement comes from."""

import csv
import io
import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from atoll.search.commands import cli
from atoll.search.shell.statement import MOST_BYTES

ONE = "SELECT study, recipe, quality, 2::HUGEINT AS n FROM trials"
ROW = {"study": "a|b", "recipe": "prune_channels(ratio=0.5) -> binarize", "quality": 0.875, "n": 2}


@pytest.fixture
def sql(store, capsys):
    """Runs `atoll sql`; returns exit status, stdout and stderr."""

    def run(*words):
        status = cli.main(["sql", *map(str, words), "--store", str(store.path)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def process(store, *words, stdin=b""):
    command = [sys.executable, "-m", "atoll.search.commands.cli", "sql", *words, "--store", str(store.path)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


def test_markdown_shows_what_comes_from_outside_as_it_is(sql):
    status, out, _ = sql(ONE, "--format", "markdown")
    assert status == 0
    assert out.splitlines() == [
        "| study | recipe | quality | n |",
        "| --- | --- | ---: | ---: |",
        "| a\\|b | prune_channels(ratio=0.5) -> binarize | 0.875 | 2 |",
    ]


@pytest.mark.parametrize("ending", ["json", "csv", "parquet", "md", "txt"])
def test_a_file_is_written_in_the_format_of_its_ending(sql, tmp_path, ending):
    path = tmp_path / f"rows.{ending}"
    path.write_text("what was there")
    assert sql(ONE, "--output", path) == (0, "", "")
    if ending == "json":
        assert json.loads(path.read_text()) == [ROW]
    elif ending == "csv":
        assert list(csv.DictReader(io.StringIO(path.read_text()))) == [
            {name: str(value) for name, value in ROW.items()}
        ]
    elif ending == "parquet":
        assert parquet.read_table(path).to_pylist() == [ROW]
    else:
        assert path.read_text() == sql(ONE, "--format", "markdown" if ending == "md" else "table")[1]
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_a_format_that_is_named_counts_more_than_the_ending(sql, tmp_path):
    path = tmp_path / "rows.txt"
    assert sql(ONE, "--output", path, "--format", "parquet")[0] == 0
    assert parquet.read_table(path).num_rows == 1


def test_parquet_names_columns_apart_and_keeps_types(sql, tmp_path):
    path = tmp_path / "rows.parquet"
    statement = "SELECT 1::UTINYINT AS a, 'x' AS a, [1.5] AS l, TIMESTAMPTZ '2026-01-31 01:02:03+02' AS t"
    assert sql(statement, "--output", path)[0] == 0
    schema = parquet.read_schema(path)
    assert schema.names == ["a", "a_1", "l", "t"]
    assert schema.field("a").type == pa.uint8()
    assert schema.field("t").type == pa.timestamp("us", "UTC")


def test_a_dash_stands_for_what_is_piped_in(store):
    done = process(store, "-", "--format", "json", stdin=ONE.encode())
    assert (done.returncode, json.loads(done.stdout)) == (0, [ROW])


def test_parquet_may_be_piped_on_and_a_statement_piped_in(store):
    done = process(store, "--format", "parquet", stdin=ONE.encode())
    assert (done.returncode, done.stderr) == (0, b"")
    assert parquet.read_table(io.BytesIO(done.stdout)).to_pylist() == [ROW]


def test_a_statement_may_be_in_a_file(sql, tmp_path):
    path = tmp_path / "question.sql"
    path.write_text(f"-- what is there?\n{ONE};\n")
    assert json.loads(sql("--file", path, "--format", "json")[1]) == [ROW]


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error(store):
    statement = "SELECT i, repeat('x', 50) AS x FROM range(100000) t(i)"
    for format in ("markdown", "parquet"):
        words = ["sql", statement, "--format", format, "--store", str(store.path)]
        command = [sys.executable, "-m", "atoll.search.commands.cli", *words]
        reader, writer = os.pipe()
        with subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE) as asked:
            os.close(writer)
            os.read(reader, 10)
            os.close(reader)
            assert asked.communicate(timeout=60)[1] == b""
        assert asked.returncode == cli.PIPE_CLOSED


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((ONE, "--file", "q.sql"), "got a statement and --file"),
        (("--file", "none.sql"), "none.sql: No such file"),
        (("--file", "latin.sql"), "latin.sql has no UTF-8 text"),
        (("--file", "long.sql"), f"allowed are {MOST_BYTES:,} at most"),
        ((ONE, "--output", "no/rows.csv"), "cannot write no/rows.csv: No such file"),
        ((ONE, "--output", "atoll.duckdb"), "atoll.duckdb belongs to the store"),
        ((ONE, "--output", "atoll.journal.jsonl"), "atoll.journal.jsonl belongs to the store"),
        ((ONE, "--format", "xml"), "'xml' is not one of 'table', 'json', 'csv', 'parquet', 'markdown'"),
    ],
)
def test_wrong_inputs_are_one_sentence(sql, store, monkeypatch, words, message):
    monkeypatch.chdir(store.path.parent)
    (store.path.parent / "latin.sql").write_bytes("SELECT 'ä'".encode("latin-1"))
    (store.path.parent / "long.sql").write_text("SELECT 1" + " " * MOST_BYTES)
    before = store.trials()
    status, out, err = sql(*words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert store.trials() == before


def test_what_is_not_written_whole_leaves_what_was_there(sql, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("what was there")
    assert sql("SELECT DATE 'infinity' AS day", "--output", path)[0] == 2
    assert path.read_text() == "what was there"
    assert not list(tmp_path.glob(".rows*"))
