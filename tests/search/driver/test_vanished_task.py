"""A prepared task that vanishes in mid-search: the search stops in a sentence, and no trial fails for it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators.steps import evaluate
from atoll.evaluators.steps.work import Work
from atoll.evaluators.tasks import own_functions
from atoll.evaluators.tasks.prepared import data_folder, prepared_folder, prepared_task
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.work import STOPPED, carry_out
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.search.study.study_file import read_study
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe

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
  epochs_per_step: 0.1
finalist_seeds: 1
"""


def new_process() -> None:
    """Forgets what a process reads once."""
    for kept in (prepared_task, evaluate._pipeline, own_functions._loaded):
        kept.cache_clear()


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    for name, text in {"nets.py": NETS, "metrics.py": METRICS, "parts.yaml": STUDY}.items():
        (tmp_path / name).write_text(text)
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), np.uint8)
    np.savez(tmp_path / "data.npz", x=images, y=np.arange(40) % 4)
    return read_study(tmp_path / "parts.yaml")


def no_data(task: str) -> None:
    shutil.rmtree(data_folder(task))


def no_split(task: str) -> None:
    (data_folder(task) / "train.arrow").unlink()


def half_a_split(task: str) -> None:
    path = data_folder(task) / "train.arrow"
    path.write_bytes(path.read_bytes()[:1000])


def no_task(task: str) -> None:
    shutil.rmtree(prepared_folder(task))


def no_weights(task: str) -> None:
    (prepared_folder(task) / "weights.safetensors").unlink()


def other_weights(task: str) -> None:
    path = prepared_folder(task) / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def no_code(task: str) -> None:
    (prepared_folder(task) / "code" / "metrics.py").unlink()


@pytest.mark.parametrize(
    ("vanish", "message"),
    [
        (no_data, "the data of task 'parts@.*' are gone: search its study file again"),
        (no_split, "the decoded data in .* cannot be opened .No such file"),
        (half_a_split, "train.arrow has not the .* bytes it had"),
        (no_task, "task 'parts@.*' is not on this machine: search its study file here"),
        (no_weights, "cannot read the weights in .*: search its study file again"),
        (other_weights, "holds other weights than task.json names: search its study file again"),
        (no_code, "metrics.py of the task is gone from .*: search its study file again"),
    ],
)
def test_it_stops_the_search_and_fails_no_trial(
    study: Study, vanish: Callable[[str], None], message: str, tmp_path: Path
) -> None:
    store = Store(tmp_path / "atoll.duckdb")
    with store.lock():
        campaign = Campaign(study, store)
        trial = campaign.next()
        assert trial is not None
        vanish(study.task)
        new_process()
        outcome = carry_out(campaign.work(trial).to_json())
        assert outcome.status == STOPPED
        with pytest.raises(AtollError, match=f"stopped at trial t0001: .*{message}"):
            campaign.end(trial.name, outcome)
        assert trial.status == "running", "it is run again when the search goes on"
    new_process()
    assert read_study(tmp_path / "parts.yaml").task == study.task
    new_process()
    work = Work(study.trial_settings(1), Recipe(), keep=False)
    assert carry_out(work.to_json()).status == "finished", "its study file makes it whole again"
