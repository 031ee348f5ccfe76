"""Tables in their three formats."""

import csv
import io
import json

import numpy as np
import pytest
from atoll.search.tables import Column, print_table
from atoll.spaces.errors import AtollError

COLUMNS = (Column("name"), Column("latency_ms", "ms", "predicted", ".2f"), Column("ok"))
ROWS = [
    {"name": "prune_channels(ratio=0.5) -> quantize(bits=8) [a]", "latency_ms": 1.23456, "ok": True, "x": 1},
    {"name": "baseline", "latency_ms": float("nan")},
    {"name": "numpy", "latency_ms": np.float64(2.0), "ok": np.bool_(False)},
]


def test_json_is_one_list_of_rows_with_all_digits(capsys):
    print_table(ROWS, COLUMNS, "json", title="not printed")
    assert json.loads(capsys.readouterr().out) == [
        {"name": ROWS[0]["name"], "latency_ms": 1.23456, "ok": True},
        {"name": "baseline", "latency_ms": None, "ok": None},
        {"name": "numpy", "latency_ms": 2.0, "ok": False},
    ]


def test_json_of_nothing_is_an_empty_list(capsys):
    print_table([], COLUMNS, "json")
    assert json.loads(capsys.readouterr().out) == []


def test_csv(capsys):
    print_table(ROWS, COLUMNS, "csv")
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows == [
        ["name", "latency_ms", "ok"],
        [ROWS[0]["name"], "1.23456", "True"],
        ["baseline", "", ""],
        ["numpy", "2.0", "False"],
    ]


def test_table_shows_unit_kind_and_brackets(capsys):
    print_table(ROWS, COLUMNS, title="Trials")
    out = capsys.readouterr().out
    assert "Trials" in out
    assert "[ms, predicted]" in out
    assert ROWS[0]["name"] in out
    assert "1.23 " in out and "1.2345" not in out


def test_table_in_a_pipe_is_never_cut(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    long = "quantize(bits=8) -> " * 30
    print_table([{"name": long}], [Column("name"), Column("x")])
    out = capsys.readouterr().out
    assert long.strip() in out
    assert max(len(line) for line in out.splitlines()) < len(long) + 20


def test_columns_variable_limits_the_width_and_loses_nothing(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    print_table([{"name": "x" * 100}], [Column("name")])
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines()) <= 30
    assert out.count("x") == 100


def test_unknown_format():
    with pytest.raises(AtollError, match=r"unknown format 'jsn': did you mean 'json'\?"):
        print_table([], COLUMNS, "jsn")
