"""`atoll rebuild`: the file that was exported comes out again; another one is told with its bytes."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from atoll.evaluators.card.bundle import save_bundle
from atoll.evaluators.card.rebuild import rebuild
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training.settings import Training
from atoll.search.commands.cli import main
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.networks import build_network
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing.random_images import RandomImages

SHAPE = (3, 8, 8)
TEXT = "prune_channels(ratio=0.25) -> tensor_train(rank=2, fit_steps=0) -> quantize(bits=4)"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundle, artifact and as much of a card as names it; nobody may change it."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("export")
    network, decisions = adopt(build_network("compact_cnn", 10, SHAPE), SHAPE), []
    for step in Recipe.parse(TEXT):
        network, decided = step.apply(network, RandomImages(SHAPE, 10))
        decisions.append(decided)
    task = Task("tiny", lambda: None, "compact_cnn", SHAPE, 10, Training(1e-3, 32), 0.5)  # type: ignore[arg-type,return-value]
    save_bundle(folder, network, task, Recipe.parse(TEXT), decisions)
    content = artifact_bytes(network.eval(), SHAPE)
    (folder / "model.tflite").write_bytes(content)
    found = rebuild(folder)
    (folder / "card.json").write_text(json.dumps({"files": {"model.tflite": found.digest}}))
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "export"))


def test_the_same_file_comes_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder.parent / "again.tflite"
    assert main(["rebuild", str(folder), "--output", str(out), "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert out.read_bytes() == (folder / "model.tflite").read_bytes()
    about = json.loads((folder / "recipe.json").read_text())
    assert row["identical"] is True
    assert row["sha256"] == row["expected_sha256"]
    assert row["weights_digest"] == about["weights_digest"]
    assert (row["recipe"], row["model_bytes"]) == (TEXT, out.stat().st_size)
    assert 0 < row["nonzero_parameters"] <= row["parameters"]


_WITHOUT_PICKLE = """
import pickle, sys
import torch
from atoll.search.commands.cli import main
def refused(*arguments, **named):
    raise SystemExit("pickle was used")
pickle.load = pickle.loads = torch.load = torch.serialization._load = refused
sys.exit(main(["rebuild", sys.argv[1]]))
"""


def test_another_process_rebuilds_it_without_pickle(folder: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", _WITHOUT_PICKLE, str(folder)], capture_output=True, text=True
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert "identical" in found.stdout


def test_a_file_that_lies_there_changed_is_told_with_its_bytes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray((folder / "model.tflite").read_bytes())
    for place in (100, 200, 300):
        content[place] ^= 1
    (folder / "model.tflite").write_bytes(content)
    assert main(["rebuild", str(folder)]) == 1
    said = capsys.readouterr().err
    assert f"3 of {len(content):,} bytes differ, from offset 100 to 300 of model.tflite" in said
    (folder / "model.tflite").write_bytes(content[:-1])
    assert main(["rebuild", str(folder)]) == 1
    sizes = f"has {len(content) - 1:,} bytes, the rebuilt one {len(content):,}"
    assert sizes in capsys.readouterr().err


def test_another_file_than_the_card_names_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "card.json").write_text(json.dumps({"files": {"model.tflite": "0" * 64}}))
    assert main(["rebuild", str(folder)]) == 1
    assert f"another file came out than {folder} names" in capsys.readouterr().err


def test_another_recipe_than_the_card_names_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = (folder / "recipe.json").read_bytes()
    files = json.loads((folder / "card.json").read_text())["files"]
    files["recipe.json"] = hashlib.sha256(content).hexdigest()
    (folder / "card.json").write_text(json.dumps({"files": files}))
    assert main(["rebuild", str(folder)]) == 0
    capsys.readouterr()
    about = json.loads(content) | {"recipe": "baseline"}
    (folder / "recipe.json").write_text(json.dumps(about))
    assert main(["rebuild", str(folder)]) == 2
    said = capsys.readouterr().err
    assert "recipe.json is another file than card.json names" in said and said.count("\n") == 1


def test_a_bundle_alone_is_rebuilt_and_said_to_be_compared_with_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "card.json").unlink()
    assert main(["rebuild", str(folder)]) == 0  # with the file that lies there
    capsys.readouterr()
    (folder / "model.tflite").unlink()
    assert main(["rebuild", str(folder)]) == 0
    assert "neither card nor model.tflite to compare with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), "no bundle in "),
        (lambda folder: (folder / "card.json").write_text("[]"), "card.json is no card of `atoll export`"),
        (lambda folder: shutil.rmtree(folder), "no bundle in "),
    ],
)
def test_what_cannot_be_rebuilt_is_one_sentence(
    folder: Path, change, message: str, capsys: pytest.CaptureFixture[str]
) -> None:  # type: ignore[no-untyped-def]
    change(folder)
    assert main(["rebuild", str(folder)]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_a_place_that_cannot_be_written_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rebuild", str(folder), "--output", str(folder / "no" / "where.tflite")]) == 2
    assert "where.tflite: No such file or directory" in capsys.readouterr().err
