"""The script for boards: its form, its rows, going on after an interruption; never its speed."""

import ast
import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators.litert import operators
from atoll.evaluators.litert.writer import TfliteModel
from atoll.hw_models.board import bench
from atoll.hw_models.fitting.measurements import COLUMNS, read_measurements

SOURCE = Path(bench.__file__).read_text(encoding="utf-8")


def dense_file(path, inputs=8, outputs=4):
    """Writes a dense layer of ones on 1 x 1 images."""
    model = TfliteModel()
    x = model.add_input((1, 1, 1, inputs))
    weight = model.add_constant(np.ones((outputs, inputs)), "float32")
    model.outputs = [operators.fully_connected(model, x, weight)]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(model.to_bytes())
    return str(path)


@pytest.fixture
def quick(monkeypatch):
    """Two short rounds."""
    monkeypatch.setattr(bench, "ROUNDS", 2)
    monkeypatch.setattr(bench, "ROUND_SECONDS", 0.0)


def run(folder, *arguments):
    """Runs the command in this process; returns its exit status and the rows of its CSV file."""
    target = folder / "m.csv"
    status = bench.main([*arguments, "--runs", "4", "--setup", "here", "--output", str(target)])
    rows = list(csv.DictReader(target.open())) if target.exists() else []
    return status, rows


def test_it_is_python_3_7():
    ast.parse(SOURCE, feature_version=(3, 7))


def test_it_needs_nothing_but_litert():
    allowed = {*sys.stdlib_module_names, "numpy", "ai_edge_litert", "tflite_runtime", "tensorflow"}
    found: set[str] = set()
    for node in ast.walk(ast.parse(SOURCE)):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "the file is copied alone"
            found.add(node.module.split(".")[0])
    assert found <= allowed


def test_calibrate_reads_its_rows(tmp_path, quick):
    one = dense_file(tmp_path / "one.tflite")
    shipped = dense_file(tmp_path / "small" / "model.tflite", 16)
    about = {"network": "compact_cnn", "recipe": "quantize(bits=8)", "num_classes": 7}
    (tmp_path / "small" / "recipe.json").write_text(json.dumps(about))
    status, rows = run(tmp_path, one, shipped)
    assert status == 0
    assert set(COLUMNS) <= set(rows[0])
    assert [row["artifact"] for row in rows] == ["one.tflite", "small/model.tflite"]
    assert [row["runs"] for row in rows] == ["4", "4"]
    first, second = read_measurements(tmp_path / "m.csv")
    assert (first.id, first.setup, first.input_shape, first.num_classes) == ("one", "here", (8, 1, 1), 4)
    assert (second.id, second.network, second.recipe) == ("small-model", "compact_cnn", "quantize(bits=8)")
    assert second.num_classes == 7
    assert all(row.measured["latency_ms"] > 0 for row in (first, second))


def test_what_was_measured_is_not_measured_again(tmp_path, quick, capsys):
    one, two = dense_file(tmp_path / "one.tflite"), dense_file(tmp_path / "two.tflite", 16)
    run(tmp_path, one)
    status, rows = run(tmp_path, one, two)
    assert status == 0
    assert [row["id"] for row in rows] == ["one", "two"]
    assert "one.tflite: measured before" in capsys.readouterr().err


def test_an_interruption_keeps_what_was_measured(tmp_path, quick, monkeypatch):
    files = [dense_file(tmp_path / f"{n}.tflite", n) for n in (8, 16)]
    loaded = []

    def load(path, *rest):
        loaded.append(path)
        if len(loaded) == 4:  # the second turn of the second file
            raise KeyboardInterrupt
        return real(path, *rest)

    real = bench.load
    monkeypatch.setattr(bench, "load", load)
    _, rows = run(tmp_path, *files)
    assert [(row["id"], row["notes"]) for row in rows] == [("8", ""), ("16", "1 rounds")]


def test_a_file_that_does_not_run_is_named_and_left_out(tmp_path, quick, capsys):
    odd = tmp_path / "odd.tflite"
    odd.write_bytes(b"no file at all")
    status, rows = run(tmp_path, str(odd), dense_file(tmp_path / "one.tflite"))
    assert status == 0
    assert [row["id"] for row in rows] == ["one"]
    assert "odd.tflite does not run here: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "got no files"),
        (["none.tflite"], "no such file: none.tflite"),
        ([str(Path(bench.__file__)), "--threads", "0"], "--threads and --runs must be 1 or more"),
    ],
)
def test_wrong_input_ends_with_two_and_a_message(arguments, message, capsys):
    assert bench.main(arguments) == 2
    assert message in capsys.readouterr().err


def test_another_csv_is_left_alone(tmp_path, quick, capsys):
    (tmp_path / "m.csv").write_text("a,b\n1,2\n")
    status, _ = run(tmp_path, dense_file(tmp_path / "one.tflite"))
    assert status == 2
    assert (tmp_path / "m.csv").read_text() == "a,b\n1,2\n"
    assert "was not written by this program" in capsys.readouterr().err


def test_peak_memory_grows_with_the_weights(tmp_path):
    small, large = (bench.peak_memory_mib(dense_file(tmp_path / f"{n}.tflite", 1024, n)) for n in (4, 4096))
    weights = 1024 * 4096 * 4 / 2**20
    assert weights < large - small < 4 * weights  # the file, and at least one packed copy of it


def test_the_median_is_over_all_runs():
    middle, spread, runs = bench.latency([[1.0, 2.0, 9.0], [3.0, 3.0, 3.0]])
    assert (middle, runs) == (3.0, 6)
    assert spread == pytest.approx(100 * 0.5 * (3 - 2) / 3)
