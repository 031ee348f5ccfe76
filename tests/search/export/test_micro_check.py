"""`atoll verify DIR --device litert-micro`: by the rules, and by the interpreter where there is one."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators.card.bundle import save_bundle
from atoll.evaluators.litert.micro_run import MicroRun
from atoll.evaluators.litert.operators import relu
from atoll.evaluators.litert.writer import TfliteModel
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.evaluators.tasks.given_network import given_network
from atoll.evaluators.tasks.task import Task
from atoll.search.commands.cli import main
from atoll.search.export import micro_check as module
from atoll.search.export.micro_check import OperatorInMicro, micro_check
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.structure import input_shape_of
from atoll.spaces.recipes.recipe import Recipe
from torch import nn


@pytest.fixture
def folder(tiny_task: Task, tmp_path: Path) -> Path:
    network = adopt(given_network(tiny_task), tiny_task.input_shape).eval()
    save_bundle(tmp_path, network, tiny_task, Recipe(), [])
    (tmp_path / "model.tflite").write_bytes(artifact_bytes(network, input_shape_of(network)))
    return tmp_path


@pytest.fixture
def no_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_interpreter", lambda: False)


def interpreter(
    monkeypatch: pytest.MonkeyPatch, refusal: str = "", away: float = 0.5, recorded: int | None = 90
) -> list[int]:
    """One that gives what LiteRT gives, or refuses; returns how many inputs it was given."""
    given: list[int] = []

    def run(content: bytes, inputs: np.ndarray) -> MicroRun:
        given.append(len(inputs))
        if refusal:
            return MicroRun(refusal, 100)
        runner = module.LiteRtRunner(content, delegate=False)
        return MicroRun("", 100, recorded, (runner.run(inputs) + away,), (None,))

    monkeypatch.setattr(module, "has_interpreter", lambda: True)
    monkeypatch.setattr(module, "run_in_micro", run)
    return given


@pytest.mark.usefixtures("no_interpreter")
def test_the_rules_alone_where_the_interpreter_is_not_installed(folder: Path) -> None:
    found = micro_check(folder)
    assert found.passed and found.flash_bytes == (folder / "model.tflite").stat().st_size
    assert {row["runs_on"] for row in found.rows()} == {"LiteRT Micro"}
    assert any(one.layer for one in found.operators)
    rules, tried = found.sentences()
    assert rules.startswith("LiteRT Micro runs all operators, by its rules; arena ")
    assert tried == "its interpreter was not asked, since tflite-micro is not installed (the extra `micro`)"


def test_the_interpreter_accepts_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = interpreter(monkeypatch)
    assert main(["verify", str(folder), "--device", "litert-micro", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["interpreter"]
    assert told["accepted"] and told["recorded_bytes"] == 90 and given == [8]
    assert told["largest_difference_lsb"] == pytest.approx(0.5)


def test_the_interpreter_s_refusal_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interpreter(monkeypatch, refusal="Node CONV_2D failed to prepare")
    assert main(["verify", str(folder), "--device", "litert-micro"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "its interpreter refused it in that arena: Node CONV_2D failed to prepare" in said


def test_what_cannot_be_told_of_a_run_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interpreter(monkeypatch, away=float("nan"), recorded=None)
    assert "recorded nothing that is understood" in micro_check(folder).sentences()[1]
    assert "outputs are not all finite" in micro_check(folder).sentences()[1]
    assert main(["verify", str(folder), "--device", "litert-micro", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["interpreter"]
    assert told["largest_difference_lsb"] is None and told["recorded_bytes"] is None


def test_inputs_are_not_drawn_because_a_file_says_how_many(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, model = interpreter(monkeypatch), TfliteModel()
    model.outputs = [relu(model, model.add_input((1, 2**16, 2**16, 2**10)), "relu", None)]
    (folder / "model.tflite").write_bytes(model.to_bytes())
    assert "it takes 4,398,046,511,104 values at once" in micro_check(folder, trust=True).sentences()[1]
    assert not given


@pytest.mark.usefixtures("no_interpreter")
def test_an_operator_s_name_does_not_end_the_verdict(folder: Path) -> None:
    found = micro_check(folder)
    operator = OperatorInMicro("GELU\nLiteRT Micro runs all operators", 1, "", "it has no GELU")
    rules, _ = replace(found, operators=(operator,)).sentences()
    assert rules.startswith("LiteRT Micro does not load it: GELU\\n") and "\n" not in rules


def test_another_file_than_the_weights_give_is_not_handed_to_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tiny_task: Task
) -> None:
    given = interpreter(monkeypatch)
    others = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GELU(), nn.Flatten(), nn.Linear(72, 2))
    foreign = adopt(others, (1, 8, 8)).eval()
    (folder / "model.tflite").write_bytes(artifact_bytes(foreign, (1, 8, 8)))
    found = micro_check(folder)
    assert not found.passed and not given
    rules, tried = found.sentences()
    assert rules.startswith("LiteRT Micro does not load it: GELU: it has no GELU, by its rules")
    assert "the weights give another model.tflite (--trust" in tried
    assert micro_check(folder, trust=True).run is not None


def test_a_folder_without_an_export_is_told(tmp_path: Path) -> None:
    with pytest.raises(AtollError, match="no export in"):
        micro_check(tmp_path)
