"""`atoll verify`: an untouched export holds; a changed byte or figure anywhere is found and named."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.card.card import card_digest
from atoll.evaluators.card.model_card import card_markdown
from atoll.evaluators.measuring.artifact import FILE_VERSION
from atoll.evaluators.measuring.artifact_report import file_quality
from atoll.evaluators.tasks import load_task
from atoll.evaluators.tasks.task import Task
from atoll.hw_models.devices.device_folder import device_folder
from atoll.search.commands.cli import main
from atoll.search.driver.runner import run_here
from atoll.search.driver.single_trial import evaluate_single
from atoll.search.export import verification
from atoll.search.export.checked import Checked, least_compared
from atoll.search.export.export import export_trial
from atoll.search.export.verification import read_card, verify_export
from atoll.search.store.selection import choose_study, choose_trial
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe

SHIPPED = ("model.tflite", "model.safetensors", "recipe.json", "waterfall.svg", "confusion.svg")
FILES = (*SHIPPED, "card.json", "MODEL_CARD.md")
FLOATS = "prune_channels(ratio=0.25)"
INTEGERS = f"{FLOATS} -> quantize(bits=8)"
SEAL = "SHA-256 of card.json's figures"


@pytest.fixture(scope="module")
def store(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with two finished trials; nobody may change it."""
    study = Study.create({"task": "tiny", "epochs_per_step": 1.0, "constraints": ["quality_drop <= 0.9"]})
    store = Store(tmp_path_factory.mktemp("store") / "atoll.duckdb")

    def carry_out(campaign: Any) -> None:
        for recipe in (FLOATS, INTEGERS):
            evaluate_single(campaign, Recipe.parse(recipe), lambda text: None)

    run_here(study, store, carry_out)
    return store


@pytest.fixture(scope="module")
def exported(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `atoll export` wrote; nobody may change it."""
    row, folder = choose_study(store, None), tmp_path_factory.mktemp("export")
    export_trial(store, row, choose_trial(store, row, INTEGERS), folder)
    return folder


@pytest.fixture
def of_floats(store: Store, tmp_path: Path) -> Path:
    """An export whose file rounds otherwise than its network."""
    row = choose_study(store, None)
    export_trial(store, row, choose_trial(store, row, FLOATS), tmp_path / "floats")
    return tmp_path / "floats"


@pytest.fixture(scope="module")
def rows(exported: Path) -> list[Checked]:
    """What an untouched export gives."""
    return verify_export(exported)


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "export"))


def different(folder: Path) -> list[str]:
    return [row.figure for row in verify_export(folder) if row.verdict == "differs"]


def change_card(folder: Path, change: Callable[[dict[str, Any]], None], sealed: bool = False) -> None:
    """Changes the card's figures; one that seals it anew makes its digest fit."""
    card = json.loads((folder / "card.json").read_text())
    change(card)
    if sealed:
        card["card_digest"] = card_digest(card)
    (folder / "card.json").write_text(json.dumps(card))


def test_an_untouched_export_holds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(folder), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(row["verdict"] != "differs" for row in rows)
    same = {row["figure"] for row in rows if row["verdict"] == "same"}
    assert {f"SHA-256 of {name}" for name in FILES if name != "card.json"} <= same
    assert {SEAL, "SHA-256 of the weights", "waterfall.svg drawn anew from the card"} <= same
    assert {"model.tflite written anew from the weights", "metrics.quality", "artifact.agreement"} <= same
    assert {"artifact.model_bytes", "metrics.payload_bytes", "waterfall.1.latency_ms_high"} <= same
    assert {
        "predictions.coral-dev-board.latency_ms.value",
        "baseline.macs",
        "baseline.payload_bytes",
        "metrics.latency_status",
    } <= same


def numbers(value: Any) -> int:
    """How many numbers there are in a JSON value."""
    if isinstance(value, dict):
        return sum(numbers(item) for name, item in value.items() if name not in ("notes", "matrix"))
    if isinstance(value, list):
        return sum(numbers(item) for item in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def test_every_number_of_the_card_has_its_row(exported: Path, rows: list[Checked]) -> None:
    card = json.loads((exported / "card.json").read_text())
    sections = (
        "metrics",
        "baseline",
        "waterfall",
        "predictions",
        "artifact",
        "samples",
        "noise",
        "test_looks",
    )
    figures = [row for row in rows if isinstance(row.card, int | float)]
    assert len(figures) == sum(numbers(card[name]) for name in sections) > 80


def test_an_error_in_a_small_unit_is_compared_by_its_own_size(exported: Path) -> None:
    card = read_card(exported)
    assert least_compared("metrics.quality", card) == least_compared("metrics.macs", card) == 1.0
    terms = {"quality_unit": "m", "quality_higher_is_better": False}
    small = replace(card, metrics=card.metrics | terms, baseline=card.baseline | {"quality": 4e-6})
    least = least_compared("waterfall.1.quality", small)
    verdicts = [Checked.of("metrics.quality", 5e-6, now, least).verdict for now in (5.0001e-6, 5.01e-6)]
    assert verdicts == ["same", "differs"]
    assert least_compared("metrics.latency_ms", small) == 1.0


def test_what_the_files_cannot_tell_is_said(rows: list[Checked]) -> None:
    """Quality before the last step, training, loyalty to the baseline, and time on the host."""
    untold = {row.figure for row in rows if row.verdict == "not compared"}
    assert {"waterfall.0.quality", "waterfall.1.quality", "baseline.quality"} <= untold
    assert {"metrics.train_epochs", "metrics.label_loyalty", "artifact.latency_host_ms"} <= untold
    ends = ("quality", "packed_bytes", "payload_bytes", "epochs", "seconds", "loyalty", "latency_host_ms")
    others = {figure for figure in untold if not figure.endswith(ends)}
    assert others <= {f"waterfall.{n}.position" for n in range(3)} | {"baseline.nonzero_parameters"}


def test_it_holds_in_another_place(exported: Path, tmp_path: Path) -> None:
    assert different(Path(shutil.copytree(exported, tmp_path / "elsewhere" / "far away"))) == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.25, 0.75])
def test_a_changed_byte_is_named_in_whichever_file(
    folder: Path, name: str, place: float, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray((folder / name).read_bytes())
    at = int(place * len(content))
    while not chr(content[at]).isalnum():  # blanks of a JSON file mean nothing
        at += 1
    content[at] = ord("8") if content[at] == ord("7") else ord("7")
    (folder / name).write_bytes(bytes(content))
    assert main(["verify", str(folder)]) in ((1, 2) if name == "card.json" else (1,))
    *others, error = capsys.readouterr().err.splitlines()
    assert name in error
    # a changed digest of the card's, or what is known of its text
    assert all("has another fit here" in line or "MODEL_CARD.md: " in line for line in others)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / name).unlink()
    assert main(["verify", str(folder)]) == 2
    error = capsys.readouterr().err
    assert f"no export in {folder}" in error
    assert name in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_found_out(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    assert main(["verify", str(folder)]) == (2 if name == "card.json" else 1)
    *others, error = capsys.readouterr().err.splitlines()
    assert name in error
    assert others == (
        ["atoll: MODEL_CARD.md: changed since it was written"] if name == "MODEL_CARD.md" else []
    )


def test_no_file_that_is_not_the_card_s_is_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged flatbuffer may crash the runtime."""
    (folder / "model.tflite").write_bytes(b"\x00" * 1000)
    monkeypatch.setattr(
        "atoll.search.export.recomputed.report_samples", lambda *arguments: pytest.fail("it was run")
    )
    assert different(folder) == ["SHA-256 of model.tflite"]


def raise_quality(card: dict[str, Any]) -> None:
    card["artifact"]["quality"] += 0.01


def raise_network_quality(card: dict[str, Any]) -> None:
    card["metrics"]["quality"] += 0.01


def shrink(card: dict[str, Any]) -> None:
    card["artifact"]["model_bytes"] -= 1


def cheapen_a_step(card: dict[str, Any]) -> None:
    card["waterfall"][1]["macs"] -= 1


def take_for_right(card: dict[str, Any]) -> None:
    card["samples"]["matrix"][0][0] += 1


def rename_a_class(card: dict[str, Any]) -> None:
    card["classes"][0] = "another"


def shift_an_input(card: dict[str, Any]) -> None:
    card["interface"]["inputs"][0]["zero_point"] = 7


def halve_an_interval(card: dict[str, Any]) -> None:
    card["predictions"][0]["high"] *= 0.5


def quieten_a_layer(card: dict[str, Any]) -> None:
    card["noise"]["(outputs)"] += 0.1


@pytest.mark.parametrize(
    ("change", "figure", "picture"),
    [
        (raise_quality, "artifact.quality", ""),
        (raise_network_quality, "metrics.quality", ""),
        (shrink, "artifact.model_bytes", ""),
        (cheapen_a_step, "waterfall.1.macs", "waterfall"),
        (quieten_a_layer, "noise.(outputs)", ""),
        (halve_an_interval, "predictions.coral-dev-board.latency_ms.high", ""),
        (take_for_right, "samples.matrix", "confusion"),
        (rename_a_class, "names of classes", "confusion"),
        (shift_an_input, "inputs, outputs and operators of model.tflite", ""),
    ],
)
def test_a_card_that_flatters_is_told_by_what_the_files_give(
    folder: Path, change: Callable[[dict[str, Any]], None], figure: str, picture: str
) -> None:
    """Also where it was sealed anew: the figures are computed again."""
    change_card(folder, change, sealed=True)
    drawn = {f"{picture}.svg drawn anew from the card"} if picture else set()
    assert set(different(folder)) == {"SHA-256 of MODEL_CARD.md", figure, *drawn}


def test_the_worst_samples_are_compared_and_drawn_anew(of_floats: Path) -> None:
    drawn = "disagreements.svg drawn anew from the card"
    same = {row.figure for row in verify_export(of_floats) if row.verdict == "same"}
    assert {"SHA-256 of disagreements.svg", drawn, "samples.disagreements.4.difference"} <= same

    def further(card: dict[str, Any]) -> None:
        card["samples"]["disagreements"][0]["difference"] += 1.0

    change_card(of_floats, further, sealed=True)
    assert different(of_floats) == ["SHA-256 of MODEL_CARD.md", drawn, "samples.disagreements.0.difference"]

    def beyond(card: dict[str, Any]) -> None:
        card["samples"]["disagreements"][0]["sample"] = 10**6

    change_card(of_floats, beyond, sealed=True)
    with pytest.raises(AtollError, match=r"samples: got sample 1000000, allowed are 0 to 199"):
        verify_export(of_floats)


def test_a_changed_figure_is_told_beside_the_broken_seal(folder: Path) -> None:
    change_card(folder, shrink)
    assert different(folder) == [SEAL, "SHA-256 of MODEL_CARD.md", "artifact.model_bytes"]


@pytest.mark.parametrize("damaged", [True, False])
def test_only_a_card_with_a_broken_seal_is_called_damaged(
    folder: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    def mistaken(*_: object) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(verification, "load_bundle", mistaken)
    if damaged:
        card = json.loads((folder / "card.json").read_text())
        (folder / "card.json").write_text(json.dumps(card | {"exported_at": "another day"}))
    message = "card.json is damaged: KeyError" if damaged else "can be computed: KeyError.*mistake in Atoll"
    with pytest.raises(AtollError, match=message) as caught:
        verify_export(folder)
    assert ("damaged" in str(caught.value)) == damaged


def test_another_version_s_picture_is_not_compared_and_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def age(card: dict[str, Any]) -> None:
        card["versions"]["matplotlib"] = "0.1"

    change_card(folder, age, sealed=True)
    card = json.loads((folder / "card.json").read_text())
    (folder / "MODEL_CARD.md").write_text(card_markdown(card))
    assert main(["verify", str(folder)]) == 0
    assert "made with matplotlib 0.1, here is " in capsys.readouterr().err
    drawn = next(row for row in verify_export(folder) if "drawn anew" in row.figure)
    assert drawn.verdict == "not compared"


def test_an_export_of_an_older_file_writer_is_explained(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert json.loads((folder / "card.json").read_text())["versions"]["files"] == str(FILE_VERSION)
    assert main(["verify", str(folder)]) == 0
    assert "made with files" not in capsys.readouterr().err

    def age(card: dict[str, Any]) -> None:  # as cards were before they named it
        del card["versions"]["files"]
        card["metrics"]["model_bytes"] += 16

    change_card(folder, age, sealed=True)
    assert main(["verify", str(folder)]) == 1
    assert f"made with files 1, here is {FILE_VERSION}: Atoll writes" in capsys.readouterr().err


@pytest.fixture
def own_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's devices."""
    monkeypatch.setenv("ATOLL_DEVICES", str(tmp_path / "devices"))
    return tmp_path / "devices"


def calibrate(devices: Path, name: str, forget: str = "") -> None:
    """Gives the user an own fit of a device, which does not predict the quantity `forget`."""
    shutil.copytree(device_folder(name), devices / name)
    path = devices / name / "fitted.json"
    stored = json.loads(path.read_text())
    stored["fits"] = [fit for fit in stored["fits"] if fit["quantity"] != forget]
    path.write_text(json.dumps(stored, indent=2))


@pytest.mark.parametrize("forget", ["", "peak_memory_bytes"])
def test_predictions_of_another_fit_are_not_compared(
    folder: Path, own_devices: Path, forget: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As behind `atoll calibrate --device host`; those of the other devices are compared as ever."""
    calibrate(own_devices, "host", forget)
    assert main(["verify", str(folder)]) == 0
    error = capsys.readouterr().err
    assert error == "atoll: host has another fit here than the card's: its predictions are not compared\n"
    rows = {row.figure: row for row in verify_export(folder)}
    of_host = [row for figure, row in rows.items() if figure.startswith("predictions.host.")]
    assert {(row.verdict, row.recomputed) for row in of_host} == {("not compared", None)}
    assert len(of_host) == 8
    assert all(f"{row.why}\n" in error for row in of_host)
    others = [row for figure, row in rows.items() if figure.startswith("predictions.coral")]
    assert {row.verdict for row in others} == {"same"}


def test_what_a_study_s_device_predicts_is_not_compared_where_it_has_another_fit(
    folder: Path, own_devices: Path
) -> None:
    """What is counted is; the Edge TPU leaves the rest to that device."""
    calibrate(own_devices, "coral-dev-board", "peak_memory_bytes")
    rows = {row.figure: row.verdict for row in verify_export(folder)}
    for figure in ("metrics.latency_ms", "waterfall.1.peak_memory_bytes_low", "baseline.latency_status"):
        assert rows[figure] == "not compared"
    assert rows["predictions.coral-edge-tpu.latency_ms.value"] == "not compared"
    for figure in (
        "metrics.macs",
        "metrics.edge_tpu_mappable",
        "waterfall.1.model_bytes",
        "predictions.host.latency_ms.value",
    ):
        assert rows[figure] == "same"


def test_a_device_that_is_not_here_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def rename(card: dict[str, Any]) -> None:
        for row in card["predictions"]:
            row["device"] = row["device"].replace("host", "my-board")
        card["fit_digests"]["my-board"] = card["fit_digests"].pop("host")

    change_card(folder, rename, sealed=True)
    card = json.loads((folder / "card.json").read_text())
    (folder / "MODEL_CARD.md").write_text(card_markdown(card))
    assert main(["verify", str(folder)]) == 0
    assert "my-board is no device here: its predictions are not compared\n" in capsys.readouterr().err


def test_a_prediction_that_the_card_lacks_moves_no_other(folder: Path) -> None:
    change_card(folder, lambda card: card["predictions"].pop(0), sealed=True)
    assert different(folder) == ["SHA-256 of MODEL_CARD.md"]


def test_a_form_that_fails_now_differs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def deliver(card: dict[str, Any]) -> None:
        form = {"form": "torch_export", "file": "model.pt2", "beside": [], "bytes": 3, "holds": "it"}
        card["deliveries"] = [{**form, "figures": {"agreement": 1.0}, "versions": {}}]

    change_card(folder, deliver, sealed=True)
    sentence = "model.pt2: the file agrees with the network on 12.0 %"
    again = [{"bytes": 3, "figures": {}, "failure": sentence}]
    monkeypatch.setattr("atoll.search.export.verification.measure_again", lambda *_: again)
    monkeypatch.setattr(
        "atoll.search.export.verification.card_markdown", lambda _: (folder / "MODEL_CARD.md").read_text()
    )
    assert main(["verify", str(folder)]) == 1
    error = capsys.readouterr().err
    assert f"atoll: {sentence}\n" in error
    assert "is not what its card says: deliveries: torch_export differ" in error


@pytest.mark.parametrize("content", ["[]", "{}", "3", '{"files": {"nothing": "0"}}'])
def test_a_card_of_something_else_is_no_export(folder: Path, content: str) -> None:
    (folder / "card.json").write_text(content)
    with pytest.raises(AtollError, match=f"no export in {folder}: .*a folder that `atoll export` wrote"):
        verify_export(folder)


def test_a_folder_that_is_not_there_is_no_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path / "none")]) == 2
    assert f"no export in {tmp_path / 'none'}" in capsys.readouterr().err


# A further look at the test split ------------------------------------------------------------------------


@pytest.fixture
def copied_store(store: Store, tmp_path: Path) -> Store:
    shutil.copytree(store.path.parent, tmp_path / "store")
    return Store(tmp_path / "store" / "atoll.duckdb")


def test_a_look_at_the_test_split_is_written_down_and_counted(
    folder: Path, copied_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["verify", str(folder), "--test", "--store", str(copied_store.path), "--format", "json"]
    quality = file_quality((folder / "model.tflite").read_bytes(), load_task("tiny").dataset().test)
    for times in (1, 2):
        assert main(words) == 0
        captured = capsys.readouterr()
        assert "written into the card and counted in" in captured.err
        row = next(row for row in json.loads(captured.out) if row["figure"] == "test_looks.0.quality")
        assert (row["card"], row["recomputed"], row["verdict"]) == (quality, quality, "same")
        looks = json.loads((folder / "card.json").read_text())["test_looks"]
        assert [look["quality"] for look in looks] == [quality] * times
        assert copied_store.studies()[-1]["test_looks"] == times
        assert different(folder) == []
    assert main(["verify", str(folder), "--format", "json"]) == 0
    row = next(row for row in json.loads(capsys.readouterr().out) if row["figure"] == "test_looks.1.quality")
    assert (row["verdict"], looks[1]["at"] in row["why"]) == ("not compared", True)
    text = (folder / "MODEL_CARD.md").read_text()
    assert f"looked at 2 times with this model: {100 * quality:.2f} % ({looks[0]['at'][:10]})" in text


def test_a_look_far_from_the_store_is_written_into_the_card_alone(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "none.duckdb"
    assert main(["verify", str(folder), "--test", "--store", str(place)]) == 0
    assert f"written into the card alone: {place} does not know the trial" in capsys.readouterr().err
    assert not place.exists()
    assert len(json.loads((folder / "card.json").read_text())["test_looks"]) == 1


@pytest.mark.parametrize("which", ["card.json", "MODEL_CARD.md"])
def test_a_look_that_cannot_be_written_leaves_the_card_as_it_was(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write = os.fsync

    def full(descriptor: int) -> None:
        if which in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert main(["verify", str(folder), "--test", "--store", str(tmp_path / "none.duckdb")]) == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_first_look_that_flattered_is_told(folder: Path, tmp_path: Path) -> None:
    words = ["verify", str(folder), "--test", "--store", str(tmp_path / "none.duckdb")]
    assert main(words) == 0

    def flatter(card: dict[str, Any]) -> None:
        card["test_looks"][0]["quality"] += 0.1

    change_card(folder, flatter, sealed=True)
    card = json.loads((folder / "card.json").read_text())
    (folder / "MODEL_CARD.md").write_text(card_markdown(card))
    assert different(folder) == []
    assert main(words) == 1


def test_the_test_split_is_not_looked_at_for_files_that_differ(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_card(folder, raise_quality)
    before = (folder / "card.json").read_bytes()
    assert main(["verify", str(folder), "--test", "--store", str(tmp_path / "none.duckdb")]) == 1
    assert (folder / "card.json").read_bytes() == before
    captured = capsys.readouterr()
    assert captured.err.endswith("artifact.quality differ; the test split was not looked at\n")
    digest = json.loads(before)["files"]["model.tflite"]
    assert f"{digest[:12]}…" in captured.out
    assert digest not in captured.out


@pytest.mark.parametrize(
    ("way", "why"),
    [
        (
            "by another version",
            "as it was written, says card.json: by a version of Atoll that words it otherwise",
        ),
        ("of old", "changed, or written by another version of Atoll: this card.json of old does not tell"),
        ("changed", "changed since it was written"),
    ],
)
def test_a_text_of_another_version_is_not_called_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], way: str, why: str
) -> None:
    if way == "changed":
        with (folder / "MODEL_CARD.md").open("a") as stream:
            stream.write("The best of all.")
    else:
        monkeypatch.setattr(verification, "card_markdown", lambda card: card_markdown(card) + "Anew.")
    if way == "of old":
        change_card(folder, lambda card: card.pop("text_digest"), sealed=True)
    assert main(["verify", str(folder)]) == 1
    err = capsys.readouterr().err
    assert f"MODEL_CARD.md: {why}" in " ".join(err.split())
    assert "SHA-256 of MODEL_CARD.md differ" in " ".join(err.split())
