"""The same trial, exported by other processes, gives the same bytes: from the cache, and trained again."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from atoll.evaluators.cache_dir import cache_dir
from atoll.evaluators.tasks import given_network
from atoll.evaluators.tasks.task import Task
from atoll.search.driver.runner import run_here
from atoll.search.driver.single_trial import evaluate_single
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.spaces.recipes.recipe import Recipe

RECIPE = "tensor_train(rank=2, fit_steps=5) -> prune_channels(ratio=0.25) -> quantize(bits=8)"
SHIPPED = ("model.tflite", "model.safetensors", "recipe.json", "waterfall.svg", "confusion.svg")

#: `atoll …` in a process that knows the tiny task of the tests
SCRIPT = """
import sys
from pathlib import Path
import torch
from atoll.evaluators import tasks
from atoll.evaluators.datasets.dataset import ImagesInMemory, Split
from atoll.evaluators.tasks import given_network
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training.settings import Training
from atoll.search.commands.cli import main

data, weights, *words = sys.argv[1:]
splits = [Split(images, labels) for images, labels in torch.load(data)]
dataset = ImagesInMemory("tiny", *splits, tuple("0123456789"), "1")
training = Training(1e-3, 32)
tasks.TASKS = (Task("tiny", lambda: dataset, "compact_cnn", dataset.input_shape, 10, training, 0.5),)
given_network.WEIGHTS_FOLDER = Path(weights)
sys.exit(main(words))
"""

#: other kernels than this processor's, other threads than the trial's, other hashes, another place and clock
ELSEWHERE = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "OMP_NUM_THREADS": "2",
    "PYTHONHASHSEED": "7",
    "TZ": "Asia/Tokyo",
}

Export = Callable[..., dict[str, str]]


@pytest.fixture(scope="module")
def export(tiny_task: Task, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Exports the one trial of a store in a fresh process; returns the digests of what it wrote."""
    study = Study.create({"task": "tiny", "epochs_per_step": 0.5})
    store = Store(tmp_path_factory.mktemp("store") / "atoll.duckdb")
    run_here(study, store, lambda c: evaluate_single(c, Recipe.parse(RECIPE), lambda text: None))
    dataset = tiny_task.dataset()
    data = tmp_path_factory.mktemp("data") / "tiny.pt"
    torch.save([(s.images, s.labels) for s in (dataset.train, dataset.validation, dataset.test)], data)

    def run(folder: Path, **environment: str) -> dict[str, str]:
        words = ["export", RECIPE, "--store", str(store.path), "--output", str(folder)]
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(data), str(given_network.WEIGHTS_FOLDER), *words],
            env={**os.environ, "ATOLL_CACHE": str(cache_dir()), **environment},
            capture_output=True,
            check=True,
        )
        return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in SHIPPED}

    return run


@pytest.fixture(scope="module")
def exported(export: Export, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder that one process wrote, and its digests."""
    folder = tmp_path_factory.mktemp("export")
    return folder, export(folder)


@pytest.mark.slow
def test_fresh_processes_write_the_same_bytes(
    exported: tuple[Path, dict[str, str]], export: Export, tmp_path: Path
) -> None:
    """Of what ships; the card alone holds a date and a time on this machine, and their digest."""
    folder, digests = exported
    assert export(tmp_path, **ELSEWHERE) == digests
    cards = [json.loads((place / "card.json").read_text()) for place in (folder, tmp_path)]
    for card in cards:
        del card["exported_at"], card["card_digest"], card["text_digest"]
        del card["artifact"]["latency_host_ms"]
    assert cards[0] == cards[1]


@pytest.mark.slow
def test_weights_that_are_trained_again_are_the_same_bytes(
    exported: tuple[Path, dict[str, str]], export: Export, tmp_path: Path
) -> None:
    """On the same machine, with the trial's own threads whatever the environment says."""
    cache = tmp_path / "cache"
    assert export(tmp_path / "out", ATOLL_CACHE=str(cache), OMP_NUM_THREADS="2") == exported[1]
    assert any(cache.iterdir())
