"""`atoll calibrate FILE --device NAME`: devices of a user's own."""

import csv
import json
import random

import pytest
from atoll.hw_models.devices.device import Device
from atoll.hw_models.devices.samples import measurements_path
from atoll.hw_models.fitting.measurements import COLUMNS
from atoll.search.commands.cli import main
from atoll.spaces.errors import AtollError
from atoll.spaces.machine.processor import this_processor

OWN = measurements_path("coral-dev-board")


@pytest.fixture
def atoll(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("ATOLL_DEVICES", str(tmp_path / "devices"))

    def run(*words):
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def predicted(atoll, device, *words):
    status, out, _ = atoll(
        "predict", "baseline", "--classes", 11, "--device", device, *words, "--format", "json"
    )
    assert status == 0
    return json.loads(out)


@pytest.fixture
def anchor(tmp_path):
    """One row of a board that is three times as slow as the papers'."""
    path = tmp_path / "anchor.csv"
    row = "mine,bench,baseline_cnn,,64x64x3,11,68.6,9.2,yes,yes"
    path.write_text(f"{','.join(COLUMNS)}\n{row}\n", encoding="utf-8")
    return path


def test_one_anchor_row_shifts_a_new_device(atoll, anchor):
    status, out, err = atoll("calibrate", anchor, "--device", "my-board", "--format", "json")
    assert status == 0
    assert "set-up bench rests on one anchor row" in err
    ids = [row["id"] for row in json.loads(out)["rows"] if row["quantity"] == "latency_ms"]
    assert ids.count("mine") == 1 and len(ids) == 29
    mine, papers = predicted(atoll, "my-board"), predicted(atoll, "coral-dev-board")
    assert mine["latency_ms"]["setup"] == "bench"
    assert mine["latency_ms"]["value"] == pytest.approx(68.6, rel=0.05)
    # a network that was not measured there is shifted as much
    int8 = json.loads(
        atoll("predict", "quantize(bits=8)", "--device", "my-board:bench", "--format", "json")[1]
    )
    there = json.loads(atoll("predict", "quantize(bits=8)", "--format", "json")[1])
    ratio = mine["latency_ms"]["value"] / papers["latency_ms"]["value"]
    assert int8["latency_ms"]["value"] / there["latency_ms"]["value"] == pytest.approx(ratio, rel=0.01)


def test_ones_own_device_is_listed_and_studies_may_name_it(atoll, anchor):
    from atoll.search.study.study_checks import check_device

    atoll("calibrate", anchor, "--device", "my-board")
    rows = json.loads(atoll("devices", "--format", "json")[1])
    assert {row["device"]: row["measurements"] for row in rows}["my-board"] == 29
    check_device("my-board:bench")


def test_own_figures_take_a_built_in_devices_place(atoll, tmp_path):
    with open(OWN, encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row["latency_ms"] = str(2 * float(row["latency_ms"]))
    path = tmp_path / "twice.csv"
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    before = predicted(atoll, "coral-dev-board", "--setup", "pub1")
    status, _, err = atoll("calibrate", path, "--device", "coral-dev-board")
    assert status == 0 and "wrote" in err
    after = predicted(atoll, "coral-dev-board", "--setup", "pub1")
    assert after["latency_ms"]["value"] == pytest.approx(2 * before["latency_ms"]["value"], rel=0.02)


def test_without_device_nothing_is_written(atoll, anchor, tmp_path):
    assert atoll("calibrate", anchor)[0] == 0
    assert not (tmp_path / "devices").exists()


def test_few_rows_of_their_own_have_no_honest_interval(atoll, anchor):
    _, _, err = atoll("calibrate", anchor)
    assert "1 row; with fewer than 9 no honest 90 % interval exists" in err


@pytest.mark.parametrize(
    ("name", "message"),
    [("My Board", "allowed are lower-case letters"), ("../up", "allowed are lower-case letters")],
)
def test_names_that_are_no_folders_are_refused(atoll, anchor, name, message):
    status, _, err = atoll("calibrate", anchor, "--device", name)
    assert status == 2
    assert message in err


def test_an_id_of_the_base_is_refused(atoll, anchor):
    anchor.write_text(anchor.read_text(encoding="utf-8").replace("mine,", "p1_baseline,"), encoding="utf-8")
    status, _, err = atoll("calibrate", anchor, "--device", "my-board")
    assert status == 2
    assert "'p1_baseline' comes twice or is one of the device it builds on" in err


@pytest.fixture
def latency_only(tmp_path):
    path = tmp_path / "latency.csv"
    path.write_text(
        f"{','.join(COLUMNS)}\nmine,bench,baseline_cnn,,64x64x3,11,68.6,,yes,yes\n", encoding="utf-8-sig"
    )
    return path


def test_a_set_up_without_memory_says_so_and_is_no_study_s(atoll, latency_only):
    """Spreadsheets begin a CSV file with a byte-order mark: it is read all the same."""
    from atoll.search.study.study_checks import check_device

    assert atoll("calibrate", latency_only, "--device", "my-board")[0] == 0
    _, out, err = atoll("predict", "baseline", "--device", "my-board", "--setup", "bench", "--format", "json")
    assert list(json.loads(out)) == ["latency_ms", "model_bytes", "minimum_runtime"]
    assert "peak_memory_bytes was never measured in set-up bench" in err
    with pytest.raises(AtollError, match="peak_memory_bytes was never measured there"):
        check_device("my-board")


def test_a_row_alone_is_not_predicted_without_itself(atoll, anchor):
    found = json.loads(atoll("calibrate", anchor, "--leave-one-out", "--format", "json")[1])
    for row in found["rows"]:
        assert (row["predicted"], row["reason"]) == (None, "without it nothing is left to fit")
    assert found["summary"]["latency_ms"]["mape_pct"] is None


@pytest.fixture
def measured_file(tmp_path):
    """What the board's script writes: a row with its file, and no network."""
    from atoll.evaluators.measuring.artifact import artifact_bytes
    from atoll.hw_models.tables.planned import planned
    from atoll.spaces.recipes.recipe import Recipe

    (tmp_path / "files").mkdir()
    rows: list[str] = []
    for name in ("baseline", "quantize(bits=8)", "quantize(bits=4)"):
        network = planned(Recipe.parse(name), "compact_cnn", (3, 32, 32), 10)
        path = tmp_path / "files" / f"{len(rows)}.tflite"
        path.write_bytes(artifact_bytes(network, (3, 32, 32)))
        rows.append(f"row{len(rows)},bench,,,32x32x3,10,3.{len(rows)},4.0,yes,yes,files/{path.name}")
    file = tmp_path / "board.csv"
    file.write_text("\n".join([f"{','.join(COLUMNS)},artifact", *rows]) + "\n", encoding="utf-8")
    return file


def test_a_device_keeps_the_files_that_it_was_measured_with(atoll, measured_file):
    import shutil

    assert atoll("calibrate", measured_file, "--device", "my-board")[0] == 0
    before = predicted(atoll, "my-board")
    shutil.rmtree(measured_file.parent / "files")
    measured_file.unlink()
    assert atoll("calibrate", "--device", "my-board", "--write")[0] == 0
    after = predicted(atoll, "my-board")
    assert after["latency_ms"]["setup"] == "bench"
    assert after["latency_ms"]["value"] == pytest.approx(before["latency_ms"]["value"], rel=1e-5)


def test_a_refit_that_would_lose_a_set_up_is_refused(atoll, measured_file, tmp_path):
    import shutil

    atoll("calibrate", measured_file, "--device", "my-board")
    shutil.rmtree(tmp_path / "devices" / "my-board" / "artifacts")
    status, _, err = atoll("calibrate", "--device", "my-board", "--write")
    assert status == 2
    assert "no row of the set-ups bench can be used any more" in err


def test_a_damaged_device_is_said_and_hides_no_other(atoll, anchor, tmp_path):
    atoll("calibrate", anchor, "--device", "my-board")
    (tmp_path / "devices" / "my-board" / "fitted.json").write_text('{"format": 2}', encoding="utf-8")
    status, _, err = atoll("predict", "baseline", "--device", "my-board")
    assert status == 2 and "a part is missing or damaged" in err
    rows = json.loads(atoll("devices", "--format", "json")[1])
    assert "damaged" in next(row["title"] for row in rows if row["device"] == "my-board")
    assert {"coral-dev-board", "host"} <= {row["device"] for row in rows}


@pytest.mark.parametrize("file", ["fitted.json", "fitted.sha256"])
def test_any_byte_of_a_fit_flipped_or_cut_off_is_said(atoll, anchor, tmp_path, file):
    atoll("calibrate", anchor, "--device", "my-board")
    path, rng = tmp_path / "devices" / "my-board" / file, random.Random(0)
    whole = path.read_bytes()
    places = rng.sample(range(len(whole)), 60)
    flipped = [whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :] for at in places]
    for damaged in (*flipped, *(whole[:at] for at in places), whole + b" ", b"[" * 99_999):
        path.write_bytes(damaged)
        with pytest.raises(AtollError, match=r"my-board.*`atoll calibrate --device my-board --write`"):
            Device.load("my-board")
    path.write_bytes(whole)
    assert Device.load("my-board").name == "my-board"


def test_a_fit_without_a_digest_as_older_ones_are_is_read(atoll, anchor, tmp_path):
    atoll("calibrate", anchor, "--device", "my-board")
    (tmp_path / "devices" / "my-board" / "fitted.sha256").unlink()
    assert Device.load("my-board").name == "my-board"


def test_measuring_into_no_folder_is_refused_before_it_begins(atoll, tmp_path):
    status, _, err = atoll("calibrate", tmp_path / "none" / "x.csv", "--measure")
    assert status == 2 and "is no folder" in err


def test_a_host_that_was_measured_here_is_this_machine(atoll, monkeypatch, tmp_path):
    with open(measurements_path("host"), encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    monkeypatch.setattr("atoll.search.commands.host_measuring.measure_this_machine", lambda: rows[:12])
    before = Device.load("host")
    assert atoll("calibrate", "--device", "host", "--measure")[0] == 0
    host = Device.load("host")
    assert before.about.processor != host.about.processor == this_processor()
    assert host.remark == ""
    # a file of somebody's rows says nothing of where they were measured
    file = tmp_path / "devices" / "host" / "measurements.csv"
    assert atoll("calibrate", file, "--device", "host")[0] == 0
    assert Device.load("host").about.processor == ""


def test_few_rows_do_not_take_a_built_in_devices_place(atoll, anchor):
    status, _, err = atoll("calibrate", anchor, "--device", "host")
    assert status == 2
    assert "host is there already" in err and "--base host" in err


def test_an_anchor_that_cannot_be_met_is_said(atoll, anchor):
    text = anchor.read_text(encoding="utf-8").replace("9.2", "5.0")  # less than file and tensors take
    anchor.write_text(text, encoding="utf-8")
    err = atoll("calibrate", anchor, "--device", "my-board")[2]
    assert "peak_memory_mib: the one row of set-up bench is missed by +" in err
