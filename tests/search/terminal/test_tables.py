"""Tables in their three formats."""

import csv
import io
import json

import numpy as np
import pytest
from atoll.evaluators.ranking.figures import FIGURE
from atoll.search.terminal.tables import Column, print_record, print_table
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
    assert " ms\n" in out
    assert "predicted: latency_ms\n" in out
    assert ROWS[0]["name"] in out
    assert "1.23 " in out and "1.2345" not in out


def test_large_numbers_with_fractions_are_no_powers_of_ten(capsys):
    row = {"bytes": 21968.0, "mean": -1277344.3, "share": 0.123456, "huge": 1e300}
    print_table([row], [Column(name) for name in row])
    assert capsys.readouterr().out.splitlines()[-1].split() == ["21968", "-1277344", "0.1235", "1e+300"]


def test_a_long_text_is_folded_and_loses_nothing(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table([{"name": "quantize(bits=8) -> " * 30}], [Column("name"), Column("x")])
    out = capsys.readouterr().out
    assert out.count("quantize(bits=8) ->") == 30
    assert max(len(line) for line in out.splitlines()) <= 160


@pytest.mark.parametrize("columns", ["30", "60"])
def test_columns_variable_limits_the_width_and_loses_nothing(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    print_table([{"name": "x" * 100}], [Column("name")])
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines()) <= max(int(columns), 31)
    assert out.count("x") == 100


def test_a_narrow_table_keeps_every_number(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    names = [f"metric_{n}" for n in range(6)]
    print_table([dict.fromkeys(names, 12345.678)], [Column(name, spec=".3f") for name in names])
    out = capsys.readouterr().out
    assert out.count("12345.678") == 6
    assert all(name in out for name in names)


@pytest.mark.parametrize("columns", ["1", "2", "19", "0", "-3", "²", "wide", "9" * 5000])
def test_a_width_that_no_screen_has_is_no_reason_to_fail(capsys, monkeypatch, columns):
    texts = []
    for width in (columns, "20" if columns in ("1", "2", "19") else "160"):
        monkeypatch.setenv("COLUMNS", width)
        print_table(ROWS, COLUMNS)
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


def test_a_figure_is_shown_in_a_larger_unit_and_kept_in_its_own(capsys):
    column = Column("model_bytes", "B", "predicted", ",.1f", "file", "kB", 1000)
    print_table([{"model_bytes": 23_696}], [column])
    shown = capsys.readouterr().out
    assert "23.7" in shown and "kB" in shown and "predicted: file" in shown
    print_table([{"model_bytes": 23_696}], [column], "json")
    assert json.loads(capsys.readouterr().out) == [{"model_bytes": 23_696}]


def test_a_figure_of_the_table_makes_both_columns():
    memory, quality = FIGURE["peak_memory_bytes"], FIGURE["quality"]
    exact, brief = Column.exact(memory), Column.brief(memory)
    row = {"peak_memory_bytes": 3 * 2**19}
    assert (exact.label, exact.cell(row)) == ("peak_memory_bytes [B, predicted]", "1,572,864")
    assert (brief.header, brief.cell(row)) == ("memory\nMiB", "1.50")
    assert exact.name == brief.name == "peak_memory_bytes"
    assert exact.unit == brief.unit == "B"
    assert Column.exact(quality, "quality_of_network", "accuracy") == Column(
        "quality_of_network", "accuracy", "measured", ",.4f"
    )
    assert Column.brief(quality, "accuracy").header == "quality\naccuracy"


def test_counted_figures_are_said_below_the_table(capsys):
    print_table([{"macs": 2_500_000}], [Column.brief(FIGURE["macs"])])
    out = capsys.readouterr().out
    assert "2.50" in out and "M MAC" in out and "counted: work\n" in out


def test_a_record_is_one_line_a_figure(capsys):
    columns = [Column("name"), Column("latency_ms", "ms", "predicted", ".2f"), Column("missing")]
    print_record({"name": "a", "latency_ms": 1.234}, columns, title="one")
    assert capsys.readouterr().out.splitlines() == [
        "one",
        "  name                        a",
        "  latency_ms [ms, predicted]  1.23",
    ]


def test_unknown_format():
    with pytest.raises(AtollError, match=r"unknown format 'jsn': did you mean 'json'\?"):
        print_table([], COLUMNS, "jsn")
