"""A network with two outputs: from the study file over two trained recipes to a verified export."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.search.api.exports import export, verify
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.runner import run_here
from atoll.search.driver.single_trial import SingleTrial, evaluate_single
from atoll.search.store.store import Store
from atoll.search.study.study_file import read_study
from atoll.spaces.recipes.recipe import Recipe

pytestmark = pytest.mark.slow
NETS = """
import torch
from torch import nn

class Spot(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.kind, self.place = nn.Linear(8 * 16, 2), nn.Linear(8 * 16, 2)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.conv(x)), 2).flatten(1)
        return {"kind": self.kind(x), "place": torch.sigmoid(self.place(x))}
"""
JUDGES = """
import torch
from torch.nn import functional as F

def quality(outputs, targets):
    right = outputs["kind"].argmax(1) == targets[:, 0]
    near = (outputs["place"] - targets[:, 1:]).abs().amax(1) < 0.25
    return (right & near).float().mean()

def loss(outputs, targets):
    kind, place = targets[:, 0].long(), targets[:, 1:]
    return F.cross_entropy(outputs["kind"], kind) + F.mse_loss(outputs["place"], place)
"""
STUDY = """
task:
  network: nets.py:Spot
  data: {path: data.npz, regression: true}
  input: {mean: 0.5, std: 0.5}
  quality: {function: judges.py:quality, unit: "%", higher_is_better: true, of_classes: [kind]}
  loss: judges.py:loss
  augment: []
  batch_size: 32
  epochs_per_step: 16
  learning_rate: 0.01
max_steps: 2
finalist_seeds: 1
"""
RECIPES = (
    "prune_channels(ratio=0.25, multiple=1, criterion=taylor) -> distill",
    "distill(kind=relation) -> quantize(bits=8)",
)


@pytest.fixture
def study_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Spots, bright or dark, somewhere in the picture."""
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)
    kinds, places = draw.integers(0, 2, 320), draw.integers(0, 6, (320, 2))
    images = draw.integers(100, 150, (320, 1, 8, 8)).astype(np.uint8)
    for image, kind, (row, column) in zip(images, kinds, places, strict=True):
        image[0, row : row + 3, column : column + 3] = 250 * kind
    np.savez(tmp_path / "data.npz", x=images, y=np.column_stack([kinds, places / 5]).astype(np.float32))
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "judges.py").write_text(JUDGES)
    (tmp_path / "spots.yaml").write_text(STUDY)
    return tmp_path / "spots.yaml"


def test_two_outputs_from_the_study_file_to_a_verified_export(study_file: Path, tmp_path: Path) -> None:
    study, store = read_study(study_file, {}), Store(tmp_path / "store.duckdb")
    found: list[SingleTrial] = []

    def evaluate(campaign: Campaign, recipe: str) -> None:
        found.append(evaluate_single(campaign, Recipe.parse(recipe), str))

    for recipe in RECIPES:
        run_here(study, store, partial(evaluate, recipe=recipe))
    baseline = next(row for row in store.trials() if row["recipe"] == "baseline")
    qualities = [single.metrics.quality for single in found]
    assert baseline["quality"] > 0.9 and min(qualities) > 0.8, qualities
    made = export(found[1].trial, store, tmp_path / "shipped")
    assert verify(made.folder, trust=True).passed
    content = (made.folder / "model.tflite").read_bytes()
    runner = LiteRtRunner(content)
    card = json.loads((made.folder / "card.json").read_text())
    assert [output["name"] for output in card["outputs"]] == ["kind", "place"]
    for told, details in zip(card["outputs"], runner.outputs, strict=True):
        assert told["shape"] == details["shape"].tolist() and told["type"] == "int8"
        assert (told["scale"], told["zero_point"]) == pytest.approx(details["quantization"])
    assert "| place | 1x2 | int8 |" in (made.folder / "MODEL_CARD.md").read_text()
    assert card["artifact"]["agreement"] >= 0.99
