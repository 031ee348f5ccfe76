"""`atoll verify`: an untouched export holds; a changed byte anywhere is found and named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.tasks.task import Task
from atoll.search.cli import main
from atoll.search.export import card_digest, export_trial
from atoll.search.runner import run_here
from atoll.search.selection import choose_study, choose_trial
from atoll.search.single import evaluate_single
from atoll.search.store import Store
from atoll.search.study import Study
from atoll.search.verification import verify_export
from atoll.spaces.errors import AtollError
from atoll.spaces.recipe import Recipe

FILES = ("model.tflite", "model.safetensors", "recipe.json", "card.json", "MODEL_CARD.md")


@pytest.fixture(scope="module")
def exported(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `atoll export` wrote; nobody may change it."""
    study = Study.create({"task": "tiny", "epochs_per_step": 1.0, "constraints": ["quality_drop <= 0.9"]})
    store = Store(tmp_path_factory.mktemp("store") / "atoll.duckdb")
    recipe = Recipe.parse("prune_channels(ratio=0.25) -> quantize(bits=8)")
    run_here(study, store, lambda campaign: evaluate_single(campaign, recipe, lambda text: None))
    row, folder = choose_study(store, None), tmp_path_factory.mktemp("export")
    export_trial(store, row, choose_trial(store, row, "best"), folder)
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "export"))


def different(folder: Path) -> list[str]:
    return [row["figure"] for row in verify_export(folder) if not row["same"]]


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
    assert all(row["same"] for row in rows)
    figures = {row["figure"] for row in rows}
    assert {f"SHA-256 of {name}" for name in FILES if name != "card.json"} <= figures
    assert {"SHA-256 of the figures in card.json", "SHA-256 of the weights"} <= figures
    assert {"model.tflite written anew from the weights", "quality of the network"} <= figures
    assert {"agreement of the file", "model_bytes of the file", "payload_bytes of the network"} <= figures


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
    assert main(["verify", str(folder)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert name in error


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
    assert main(["verify", str(folder)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_file_that_is_not_the_card_s_is_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged flatbuffer may crash the runtime."""
    (folder / "model.tflite").write_bytes(b"\x00" * 1000)
    monkeypatch.setattr(
        "atoll.search.verification.report_artifact", lambda *arguments: pytest.fail("it was run")
    )
    assert different(folder) == ["SHA-256 of model.tflite"]


def raise_quality(card: dict[str, Any]) -> None:
    card["artifact"]["quality"] += 0.01


def raise_network_quality(card: dict[str, Any]) -> None:
    card["metrics"]["quality"] += 0.01


def shrink(card: dict[str, Any]) -> None:
    card["artifact"]["model_bytes"] -= 1


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        (raise_quality, "quality of the file"),
        (raise_network_quality, "quality of the network"),
        (shrink, "model_bytes of the file"),
    ],
)
def test_a_card_that_flatters_is_told_by_what_the_files_give(
    folder: Path, change: Callable[[dict[str, Any]], None], figure: str
) -> None:
    """Also where it was sealed anew: the figures are computed again."""
    change_card(folder, change)
    assert different(folder) == ["SHA-256 of the figures in card.json"]
    change_card(folder, lambda card: None, sealed=True)
    assert different(folder) == ["SHA-256 of MODEL_CARD.md", figure]


def test_time_on_the_host_is_another_every_time(folder: Path) -> None:
    """It is part of the card, but no figure that is held to it."""
    assert not [row for row in verify_export(folder) if "latency" in row["figure"]]


@pytest.mark.parametrize("content", ["[]", "{}", '{"files": 3}', '{"files": {"nothing": "0"}}'])
def test_a_card_of_something_else_is_no_export(folder: Path, content: str) -> None:
    (folder / "card.json").write_text(content)
    with pytest.raises(AtollError, match=f"no export in {folder}: .*a folder that `atoll export` wrote"):
        verify_export(folder)


def test_a_folder_that_is_not_there_is_no_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path / "none")]) == 2
    assert f"no export in {tmp_path / 'none'}" in capsys.readouterr().err
