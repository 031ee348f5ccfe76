"""A user's own task under Ray: from the study file to a verified export, near and on another machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from atoll.search.api.exports import export, verify
from atoll.search.api.searches import run
from atoll.search.store.selection import choose_study
from atoll.search.store.store import Store
from atoll.spaces.errors import AtollError

pytestmark = pytest.mark.slow
NETS = """
from torch import nn

def build():
    print("not a result")
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 4))
"""
METRICS = """
import torch
from helper import share

def recall(outputs, targets):
    return share(outputs.argmax(1) == targets)

def loss(outputs, targets):
    return torch.nn.functional.cross_entropy(outputs, targets)
"""
STUDY = """
task:
  network: nets.py:build
  data: data.npz
  input: {mean: 0.5, std: 0.5}
  quality: {function: metrics.py:recall, higher_is_better: true}
  loss: metrics.py:loss
  batch_size: 16
  epochs_per_step: 6
  learning_rate: 0.01
techniques: [quantize, prune_weights]
max_steps: 2
constraints: []
finalists: 1
finalist_seeds: 1
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four kinds of images, each bright in another corner."""
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "here"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "nets.py").write_text(NETS)
    (folder / "metrics.py").write_text(METRICS)
    (folder / "helper.py").write_text("def share(hits):\n    return hits.float().mean()\n")
    (folder / "parts.yaml").write_text(STUDY)
    labels = np.arange(120) % 4
    images = np.random.default_rng(0).integers(0, 100, (120, 1, 8, 8), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[0, 4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 150
    np.savez(folder / "data.npz", x=images, y=labels)
    return folder


def test_a_study_file_goes_to_a_verified_export(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store.duckdb")
    result = run(project / "parts.yaml", store, ensembles=1, workers=1)
    assert result.end_reason is not None
    assert capsys.readouterr().err.count("one epoch takes about") == 1
    best = result.leaderboard()[0]
    assert best["quality_name"] == "recall" and best["quality"] > 0.8
    shutil.rmtree(project)
    made = export("best", store, tmp_path / "shipped")
    assert verify(made.folder, trust=True).passed
    capsys.readouterr()
    untrusting = verify(made.folder)
    assert untrusting.passed
    unrun = {row.figure for row in untrusting.rows if "--trust runs it" in row.why}
    assert {"metrics.quality", "artifact.quality"} <= unrun, "verify runs no code of its own accord"
    with pytest.raises(AtollError, match=r"--test judges by helper.py, metrics.py: --trust runs it"):
        verify(made.folder, test=True, store=store)
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "elsewhere"))
    from atoll.evaluators.tasks.prepared import prepared_task

    prepared_task.cache_clear()
    elsewhere = verify(made.folder)
    assert elsewhere.passed
    rows = {row.figure: row for row in elsewhere.rows}
    assert rows["model.tflite written anew from the weights"].verdict == "same"
    assert "is not on this machine" in rows["metrics.quality"].why


#: a cluster of processes that keep their files elsewhere, and a search there by a driver without the project
ON_A_CLUSTER = """
import os, shutil, sys
from pathlib import Path
from ray.cluster_utils import Cluster
from atoll.search.driver.runner import run_study
from atoll.search.store.store import Store
from atoll.search.study.study_file import read_study

folder, here = Path(sys.argv[1]), os.environ["ATOLL_CACHE"]
os.environ["ATOLL_CACHE"] = str(folder / "there")
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
os.environ["ATOLL_CACHE"] = here
try:
    study = read_study(folder / "project" / "parts.yaml", {"limits": {"ensembles": 1, "workers": 1}})
    shutil.rmtree(folder / "project")
    run_study(study, Store(folder / "store.duckdb"), address=cluster.address)
finally:
    cluster.shutdown()
"""


def test_a_cluster_without_the_users_files_gets_them(project: Path, tmp_path: Path) -> None:
    # by a process of its own: how Ray's processes show each other a token is settled once a process
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-c", ON_A_CLUSTER, str(tmp_path)]
    subprocess.run(command, env=environment, check=True, timeout=300)
    store = Store(tmp_path / "store.duckdb")
    study = choose_study(store, None)
    trials = store.trials(study.name)
    # of two layers binarize keeps first and last, and neither is large enough for a tensor train
    idle = {
        trial["recipe"].partition("(")[0]: trial["reason"]
        for trial in trials
        if trial["status"] != "finished"
    }
    assert len(trials) == 8 and set(idle) == {"binarize", "tensor_train"}
    assert all("touches no layer of this network" in reason for reason in idle.values())
    assert {trial["quality_name"] for trial in trials if trial["status"] == "finished"} == {"recall"}
    there, here = tmp_path / "there", tmp_path / "here"
    assert (there / "tasks" / study.task.partition("@")[2] / "code" / "helper.py").is_file()
    assert list(there.glob("data/*/train.arrow")) and list(there.glob("??/*/entry.json"))
    assert not list(here.glob("??/*/entry.json")), "nothing was trained here"
