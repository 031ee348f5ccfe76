"""`atoll predict`, `atoll calibrate` and `atoll devices`, from words to figures."""

import csv
import json

import pytest
from atoll.hw_models.devices.device_folder import device_folder, device_names
from atoll.hw_models.devices.samples import measurements_path
from atoll.search.commands.cli import main

OWN = str(measurements_path("coral-dev-board"))


@pytest.fixture
def atoll(capsys):
    def run(*words):
        status = main(list(words))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_predict_prints_one_object(atoll):
    recipe = "tensor_train(rank=4) -> quantize(bits=8)"
    status, out, _ = atoll("predict", recipe, "--network", "baseline_cnn", "--input", "64x64x3",
                           "--classes", "11", "--device", "coral-dev-board", "--format", "json")  # fmt: skip
    assert status == 0
    found = json.loads(out)
    assert list(found) == ["latency_ms", "peak_memory_bytes", "model_bytes", "minimum_runtime"]
    runtime = found.pop("minimum_runtime")
    assert (runtime["value"], runtime["status"]) == ("2.1.0", "FULLY_CONNECTED of version 6, by rule")
    for figure in found.values():
        assert list(figure) == ["value", "low", "high", "status", "setup"]
        assert 0 < figure["low"] <= figure["value"] <= figure["high"]
    # QuanTT of the papers: 12.89 ms, 76.7 kB; ours has other mode sizes
    assert found["latency_ms"]["value"] == pytest.approx(12.89, rel=0.1)
    assert 55_000 < found["model_bytes"]["value"] < 80_000


def test_predict_says_why_it_extrapolates(atoll):
    status, out, err = atoll("predict", "quantize(bits=4)")
    assert status == 0
    assert "extrapolated" in out
    assert "kernel that was never measured" in err
    assert "tflite-2.14 does not load it: FULLY_CONNECTED with int4 weights of a scale a channel" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("quantise",), "did you mean 'quantize'"),
        (("baseline", "--device", "coral-dev-bord"), "did you mean 'coral-dev-board'"),
        (("baseline", "--network", "baseline"), "did you mean 'baseline_cnn'"),
        (("baseline", "--input", "64x"), "--input: got '64x', allowed is HEIGHTxWIDTHxCHANNELS"),
        (("baseline", "--setup", "pub9"), "unknown set-up 'pub9'"),
        (("quantize(bits=8) -> distill(student=compact_cnn)",), "first step"),
        (("--artifact", "x.tflite", "--classes", "11"), "go with a RECIPE; a file or trial has its own"),
        (("--trial", "best", "--input", "64x64x3"), "go with a RECIPE; a file or trial has its own"),
        (("--trial", "best", "--network", "baseline_cnn"), "go with a RECIPE; a file or trial has its own"),
    ],
)
def test_predict_refuses_in_one_sentence(atoll, words, message):
    status, out, err = atoll("predict", *words)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_calibrate_lists_every_row_of_both_quantities(atoll):
    status, out, _ = atoll("calibrate", OWN, "--exclude", "p1_baseline,p2_tt1", "--format", "json")
    assert status == 0
    found = json.loads(out)
    with open(OWN, encoding="utf-8") as stream:
        ids = sorted(row["id"] for row in csv.DictReader(stream))
    for quantity, used in (("latency_ms", 22), ("peak_memory_mib", 21)):
        rows = [row for row in found["rows"] if row["quantity"] == quantity]
        assert sorted(row["id"] for row in rows) == ids
        assert found["summary"][quantity]["used"] == used
        (excluded,) = (row for row in rows if row["id"] == "p1_baseline")
        assert excluded["reason"] == "excluded by --exclude"
        assert excluded["error_pct"] == pytest.approx(0, abs=5)


def test_calibrate_leave_one_out(atoll):
    status, out, _ = atoll("calibrate", "--device", "coral-dev-board", "--leave-one-out", "--format", "json")
    assert status == 0
    assert json.loads(out)["summary"]["latency_ms"]["mape_pct"] < 3.4


def test_without_write_nothing_is_written(atoll):
    path = device_folder("coral-dev-board") / "fitted.json"
    before = path.stat().st_mtime_ns
    assert atoll("calibrate", "--device", "coral-dev-board")[0] == 0
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "neither FILE nor --device"),
        ((OWN, "--exclude", "p1_baselin"), "did you mean 'p1_baseline'"),
        (("missing.csv",), "missing.csv"),
        ((OWN, "--write"), "--device NAME alone"),
        ((OWN, "--base", "coral-dev-board"), "--base NAME goes with FILE and a new"),
        ((OWN, "--leave-one-out", "--leave-family-out"), "allowed is one of them"),
        (("--device", "coral-dev-bord"), "did you mean 'coral-dev-board'"),
    ],
)
def test_calibrate_refuses_in_one_sentence(atoll, words, message):
    status, out, err = atoll("calibrate", *words)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_devices_are_listed(atoll):
    status, out, _ = atoll("devices", "--format", "json")
    assert status == 0
    assert [row["device"] for row in json.loads(out)] == list(device_names())


@pytest.mark.parametrize("recipe", ["quantize(bits=4)", "binarize", "quantize(bits=8)"])
def test_a_file_and_its_recipe_have_one_status(atoll, tmp_path, recipe):
    from atoll.evaluators.measuring.artifact import artifact_bytes
    from atoll.hw_models.tables.planned import planned
    from atoll.spaces.recipes.recipe import Recipe

    path = tmp_path / "file.tflite"
    path.write_bytes(
        artifact_bytes(planned(Recipe.parse(recipe), "baseline_cnn", (3, 64, 64), 35), (3, 64, 64))
    )
    one = json.loads(atoll("predict", recipe, "--format", "json")[1])
    other = json.loads(atoll("predict", "--artifact", str(path), "--format", "json")[1])
    for quantity in ("latency_ms", "peak_memory_bytes"):
        assert one[quantity]["status"] == other[quantity]["status"]
        assert one[quantity]["value"] == pytest.approx(other[quantity]["value"], rel=0.01)


def test_a_lower_bound_of_the_file_has_no_upper_end(atoll):
    found = json.loads(atoll("predict", "mixed_precision", "--format", "json")[1])["model_bytes"]
    assert (found["status"], found["high"]) == ("extrapolated", None)
    assert found["low"] == found["value"] > 0


def test_a_file_without_priced_work_takes_next_to_nothing(atoll, tmp_path):
    import torch
    from atoll.evaluators.measuring.artifact import artifact_bytes
    from atoll.spaces.graph.adopt import adopt

    path = tmp_path / "relu.tflite"
    network = adopt(torch.nn.Sequential(torch.nn.ReLU()), (3, 8, 8)).eval()
    path.write_bytes(artifact_bytes(network, (3, 8, 8)))
    status, out, _ = atoll("predict", "--artifact", str(path), "--format", "json")
    assert status == 0
    assert json.loads(out)["latency_ms"]["status"] == "extrapolated"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["predict"], "predict: give one of RECIPE, --artifact FILE.tflite and --trial TRIAL"),
        (
            ["predict", "baseline", "--trial", "t1"],
            "predict: give one of RECIPE, --artifact FILE.tflite and --trial TRIAL",
        ),
        (
            ["predict", "--trial", "t1", "--classes", "3"],
            "predict: --network, --input and --classes go with a RECIPE; a file or trial has its own",
        ),
        (
            ["predict", "--artifact", "x.tflite", "--study", "s"],
            "predict: --study goes with a RECIPE or --trial; a file has its own network",
        ),
        (["calibrate"], "calibrate: got neither FILE nor --device, allowed is either or both"),
        (
            ["calibrate", "--device", "host", "--leave-one-out", "--leave-family-out"],
            "calibrate: got --leave-one-out and --leave-family-out, allowed is one of them",
        ),
        (
            ["calibrate", "--measure", "--device", "coral-dev-board"],
            "--measure times this machine: allowed beside it are FILE and --device host",
        ),
        (
            ["calibrate", "--measure", "--write"],
            "--measure times this machine: allowed beside it are FILE and --device host",
        ),
        (
            ["calibrate", "--device", "host", "--exclude", "a", "--write"],
            "--write fits all of a device's own measurements: give --device NAME alone with it",
        ),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(atoll, words, sentence):
    assert atoll(*words) == (2, "", f"atoll: {sentence}\n")
