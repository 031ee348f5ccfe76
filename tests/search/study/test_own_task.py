"""A study of a user's own task: where its mistakes stand, what the store keeps, and what is never run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from atoll.evaluators.tasks import load_task
from atoll.search.study.study import Study
from atoll.search.study.study_file import create_study, read_study
from atoll.spaces.errors import AtollError

NETS = """
from pathlib import Path
from torch import nn

def build():
    (Path(__file__).parent / "ran").touch()
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 36, 4))
"""
TASK = """
task:
  network: nets.py:build
  data: data.npz
  input:
    mean: 0.5
    std: 0.5
  epochs_per_step: 3
max_steps: 2
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "nets.py").write_text(NETS)
    (folder / "parts.yaml").write_text(TASK)
    generator = np.random.default_rng(0)
    np.savez(
        folder / "data.npz",
        x=generator.integers(0, 256, (40, 1, 8, 8), np.uint8),
        y=np.arange(40) % 4,
    )
    return folder


def test_a_study_file_says_it_all(project: Path) -> None:
    study = read_study(project / "parts.yaml")
    assert study.task.startswith("parts@") and study.epochs_per_step == 3
    assert study.study_name.startswith("parts-0-")
    assert load_task(study.task).num_classes == 4
    assert read_study(project / "parts.yaml") == study
    assert read_study(project / "parts.yaml", {"seed": 1}).task == study.task


def test_the_store_keeps_a_name_from_which_nothing_is_run(project: Path) -> None:
    study = read_study(project / "parts.yaml")
    (project / "ran").unlink()
    again = Study.from_stored(study.study_name, study.definition(), {})
    assert again.task == study.task and again.digest == study.digest
    assert not (project / "ran").exists()


@pytest.mark.parametrize("task", ["nets.py:build", {"network": "nets.py:build", "data": "data.npz"}])
def test_a_task_of_somebody_elses_store_is_not_run(
    task: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    definition = {**Study(task="digits").definition(), "task": task}
    with pytest.raises(AtollError, match=r"task: got .*nets.py:build.*, allowed is the name of a task"):
        Study.of_definition("theirs", definition)
    assert not (project / "ran").exists()


def test_a_task_that_is_not_here_says_how_it_gets_here(project: Path) -> None:
    name = f"parts@{'0' * 32}"
    with pytest.raises(AtollError, match=f"task '{name}' is not on this machine: search its study file here"):
        Study(task=name)
    for bad in ("parts@../../etc", "parts@ABC", "parts@"):
        with pytest.raises(AtollError, match="allowed is NAME@"):
            Study(task=bad)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("  data:", "  dta:", 4, "unknown key 'dta'.*data"),
        ("    mean: 0.5", "    maen: 0.5", 6, "unknown key 'maen'.*mean"),
        ("    std: 0.5", "    std: 0", 5, "deviations above 0"),
        ("data.npz", "nowhere", 4, "nowhere is not there"),
        ("data.npz", "\n    path: data.npz\n    shares: [0.5, 0.5, 0.5]", 6, "shares is .*which make 1"),
        ("data.npz", "\n    path: data.npz\n    seed: -1", 6, "seed is -1"),
        ("  data: data.npz", "  classes: [a, a]\n  data: data.npz", 4, "no name twice"),
        ("nets.py:build", "nets.py:bild", 3, "nets.py has no bild"),
        ("epochs_per_step: 3", "epochs_per_step: many", 8, "task.epochs_per_step: got 'many'"),
        ("epochs_per_step: 3", "learning_rate: 0", 8, "learning_rate is 0"),
        ("max_steps: 2", "max_stps: 2", 9, "unknown key 'max_stps'"),
        ("task:\n  network: nets.py:build", "task: 3\nx:\n  network: 3", 3, "unknown key 'x'"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, line: int, message: str, project: Path) -> None:
    assert old in TASK
    (project / "parts.yaml").write_text(TASK.replace(old, new))
    with pytest.raises(AtollError, match=message) as told:
        read_study(project / "parts.yaml")
    assert str(told.value).startswith(f"{project / 'parts.yaml'}, line {line}: ")


def test_a_study_that_is_wrong_elsewhere_runs_nothing(project: Path) -> None:
    (project / "parts.yaml").write_text(TASK.replace("max_steps: 2", "device: nowhere"))
    with pytest.raises(AtollError, match="line 9: unknown device"):
        read_study(project / "parts.yaml")
    assert not (project / "ran").exists()


@pytest.mark.parametrize("task", [3, None, ["digits"]])
def test_what_is_no_task_is_named(task: Any) -> None:
    with pytest.raises(AtollError, match="task"):
        create_study({"task": task}, "here")
