"""One recipe tried on a task of one's own: the study file says which, `--trust` lets its code run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from atoll.evaluators.cache_dir import cache_dir
from atoll.evaluators.tasks import load_task
from atoll.evaluators.tasks.prepared import prepared_task
from atoll.search.commands.cli import main
from atoll.search.store.store import Store
from atoll.search.store.stored_study import StoredStudy
from atoll.spaces.errors import AtollError

NETS = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 36, 4))
"""
METRICS = """
def recall(outputs, targets):
    return (outputs.argmax(1) == targets).float().mean()
"""
STUDY = """
task:
  network: nets.py:build
  data: data.npz
  input: {mean: 0.5, std: 0.5}
  quality: {function: metrics.py:recall, higher_is_better: true}
  epochs_per_step: 3
device: host
"""
RECIPE = "quantize(bits=8) -> cluster(clusters=16)"


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in {"nets.py": NETS, "metrics.py": METRICS, "parts.yaml": STUDY}.items():
        (folder / name).write_text(text)
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), np.uint8)
    np.savez(folder / "data.npz", x=images, y=np.arange(40) % 4)
    monkeypatch.chdir(tmp_path)
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    status = main([*words, "--format", "json"])
    printed = capsys.readouterr()
    return status, json.loads(printed.out) if printed.out else None, printed.err


def test_evaluate_takes_a_study_file(capsys: pytest.CaptureFixture[str], replayed: None) -> None:
    file = "project/parts.yaml"
    status, rows, _ = run(capsys, "evaluate", RECIPE, "--study", file, "--seed", "3", "--epochs", "0.5")
    assert status == 0 and rows[0]["study"].startswith("parts-3-")
    stored = Store(Path("atoll.duckdb")).studies()[0]["definition"]
    assert (stored["device"], stored["seed"], stored["epochs_per_step"]) == ("host", 3, 0.5)
    assert stored["task"].startswith("parts@")
    assert "loss" not in stored
    _, distilled, _ = run(capsys, "evaluate", RECIPE, "--study", file, "--loss", "distilled")
    definitions = {one["study"]: one["definition"] for one in Store(Path("atoll.duckdb")).studies()}
    assert definitions[distilled[0]["study"]]["loss"] == "distilled"
    # by its name it is the same study, and its trial is not run again
    assert run(capsys, "evaluate", RECIPE, "--study", rows[0]["study"])[1] == rows
    status, _, said = run(capsys, "evaluate", RECIPE, "--study", rows[0]["study"], "--seed", "4")
    assert status == 2 and "is a study of the store, with its own seed" in said
    status, _, said = run(capsys, "evaluate", RECIPE, "--study", file, "--task", "digits")
    assert status == 2 and "has a task of its own" in said
    status, _, said = run(capsys, "evaluate", RECIPE, "--study", "project/prats.yaml")
    assert status == 2 and "study 'project/prats.yaml': there is no such file" in said


def test_code_that_this_machine_never_ran_is_run_by_trust_alone(
    capsys: pytest.CaptureFixture[str], replayed: None
) -> None:
    study = run(capsys, "evaluate", RECIPE, "--study", "project/parts.yaml")[1][0]["study"]
    (cache_dir() / "trusted").unlink()
    prepared_task.cache_clear()
    status, _, said = run(capsys, "evaluate", "cluster", "--study", study)
    assert status == 2 and "needs metrics.py: --trust runs it" in said
    assert len(Store(Path("atoll.duckdb")).trials()) == 2, "nothing was begun"
    assert run(capsys, "evaluate", "cluster", "--study", study, "--trust")[0] == 0
    assert run(capsys, "evaluate", "quantize", "--study", study)[0] == 0, "once is enough"


def test_predict_prices_the_studys_network_on_its_device(
    capsys: pytest.CaptureFixture[str], replayed: None
) -> None:
    file = ["--study", "project/parts.yaml"]
    assert main(["predict", "baseline", *file]) == 0
    printed = capsys.readouterr().out
    assert "baseline of parts-0-" in printed and "on host" in printed
    # 2 channels of 3x3 at 6x6, dense 72 x 4
    assert f"{2 * 9 * 36 + 72 * 4:,} multiply-accumulates" in printed
    study = run(capsys, "evaluate", RECIPE, *file)[1][0]["study"]
    of_file, of_store = (run(capsys, "predict", RECIPE, "--study", given)[1] for given in (file[1], study))
    assert of_file == of_store
    assert run(capsys, "predict", "--trial", "t0002", "--study", study)[1] == of_file
    board = run(capsys, "predict", RECIPE, *file, "--device", "coral-dev-board")[1]
    assert board["latency_ms"]["value"] != of_file["latency_ms"]["value"], "an explicit --device counts"
    for words in (["--classes", "3"], ["--network", "baseline_cnn"]):
        status, _, said = run(capsys, "predict", RECIPE, *file, *words)
        assert status == 2 and "a study has its own network" in said
    status, _, said = run(capsys, "predict", "--artifact", "x.tflite", *file)
    assert status == 2 and "--study goes with a RECIPE or --trial" in said


def test_a_study_file_brings_its_task_to_another_machine(
    capsys: pytest.CaptureFixture[str], replayed: None, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = run(capsys, "evaluate", RECIPE, "--study", "project/parts.yaml")[1][0]["study"]
    exported: list[str] = []

    def export_trial(_store: Store, stored: StoredStudy, trial: Any, _out: Path, **_: Any) -> Any:
        exported.append(f"{stored.name} {trial['trial']} {load_task(stored.task).num_classes}")
        raise AtollError("far enough")

    monkeypatch.setattr("atoll.search.api.exports.export_trial", export_trial)
    monkeypatch.setenv("ATOLL_CACHE", str(project.parent / "elsewhere"))
    prepared_task.cache_clear()
    for words in ([], ["--study", study], ["--study", study, "--trust"]):
        status, _, said = run(capsys, "export", "t0002", *words)
        assert status == 2 and "is not on this machine" in said
        assert "name that file (`atoll export --study study.yaml`)" in said
    (project / "parts.yaml").rename(project / "renamed.yaml")  # its name decides nothing
    assert "far enough" in run(capsys, "export", "t0002", "--study", "project/renamed.yaml")[2]
    assert exported == [f"{study} t0002 4"]
    (project / "metrics.py").write_text(METRICS.replace("mean()", "mean() / 2"))
    status, _, said = run(capsys, "export", "t0002", "--study", "project/renamed.yaml")
    assert status == 2 and "makes the task renamed@" in said and "there are parts@" in said
