"""`atoll verify DIR --runtime NAME`: the installed LiteRT stands in for the release, or one that fails."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators.litert.file_run import FileRun
from atoll.evaluators.runtimes.run import Refusal
from atoll.evaluators.tasks.task import Task
from atoll.hw_models.runtimes.wheels import Wheel
from atoll.search.commands.cli import main
from atoll.search.driver.runner import run_here
from atoll.search.driver.single_trial import evaluate_single
from atoll.search.export import runtime_check as module
from atoll.search.export.export import export_trial
from atoll.search.store.selection import choose_study, choose_trial
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.spaces.recipes.recipe import Recipe

RECIPE = "quantize(bits=8)"
RUN = module.run_in


@pytest.fixture(scope="module")
def exported(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `atoll export` wrote; nobody may change it."""
    study = Study.create({"task": "tiny", "epochs_per_step": 0.2, "constraints": ["quality_drop <= 0.99"]})
    store = Store(tmp_path_factory.mktemp("store") / "atoll.duckdb")
    run_here(study, store, lambda campaign: evaluate_single(campaign, Recipe.parse(RECIPE), lambda _: None))
    row, folder = choose_study(store, None), tmp_path_factory.mktemp("export") / "it"
    export_trial(store, row, choose_trial(store, row, RECIPE), folder, any_agreement=True)
    return folder


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This environment's packages in place of what would be installed."""
    wheel = Wheel("ai-edge-litert", "0", "ai_edge_litert.interpreter")
    monkeypatch.setattr(module, "packages_of", lambda name, say: Path(np.__file__).parents[1])
    monkeypatch.setattr(module, "run_in", lambda packages, _, *rest: RUN(packages, wheel, *rest))
    yield


def test_a_file_that_runs_is_compared_with_its_network(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(exported), "--runtime", "litert-1", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    card = json.loads((exported / "card.json").read_text())
    assert told["passed"] and told["package"]["version"] == "1.4.0" and told["images"] == 200
    default, plain = told["runs"]
    assert (default["kernels"], plain["kernels"]) == ("default", "plain")
    # the same runtime as the export's own look at the file
    assert default["agreement"] == card["artifact"]["agreement"]
    assert default["quality"] == card["artifact"]["quality"]
    assert default["largest_difference"] == pytest.approx(card["artifact"]["largest_difference"])
    assert told["minimum_runtime"] == card["metrics"]["minimum_runtime"]


def test_what_ran_and_what_the_table_says_is_told(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(exported), "--runtime", "tflite-2.14"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "tflite-runtime 2.14.0, numpy 1.26.4 (tflite-2.14) was given the file and 200" in told
    needed = "the file needs TensorFlow Lite 2.1.0 (FULLY_CONNECTED of version 6, by rule)"
    assert f"as the table of releases says: {needed}" in told


def test_a_refusal_is_told_in_the_runtime_s_words(
    exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> FileRun:
        raise Refusal("Node number 0 (CONV_2D) failed to prepare.\x1b[2J")

    monkeypatch.setattr(module, "run_in", refuse)
    assert main(["verify", str(exported), "--runtime", "tflite-2.14"]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "its default kernels: refused; its plain kernels: refused" in told
    assert "why: Node number 0 (CONV_2D) failed to prepare.\\x1b[2J (operation 0, " in told
    assert "against the table of releases says" in told and "\x1b" not in told


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_another_result_does_not_pass(
    exported: Path, monkeypatch: pytest.MonkeyPatch, value: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """One answer for all images is on a tenth of them right."""

    def wrong(packages: Path, wheel: Wheel, kernels: str, *rest: object) -> FileRun:
        found = RUN(packages, replace(wheel, module="ai_edge_litert.interpreter"), kernels, *rest)
        return replace(found, outputs=(np.full_like(found.outputs[0], value),))

    monkeypatch.setattr(module, "run_in", wrong)
    assert main(["verify", str(exported), "--runtime", "tflite-2.14", "--format", "json"]) == 1
    [default, _] = json.loads(capsys.readouterr().out)["runs"]
    assert default["outcome"] == "computes something else"
    assert ("by nan" in default["reason"]) == bool(np.isnan(value))


def test_what_is_not_run_is_one_sentence(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / "export"))
    content = bytearray((folder / "model.tflite").read_bytes())
    content[-1] ^= 1
    (folder / "model.tflite").write_bytes(content)
    for words, sentence in (
        (["--runtime", "tflite-2.14"], "the weights give another model.tflite (--trust runs it)"),
        (["--runtime", "tflite-2.9"], "no package for Python 3.11 is known; run can be tflite-2.12"),
        (["--runtime", "tf"], "unknown runtime 'tf'"),
        (["--runtime", "tflite-2.14", "--device", "litert-micro"], "--runtime with --device or --test"),
    ):
        assert main(["verify", str(folder), *words]) == 2
        assert sentence in " ".join(capsys.readouterr().err.split())
