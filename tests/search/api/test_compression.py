"""`compress`: one recipe on a network of one's own, in this process."""

from pathlib import Path

import numpy as np
import pytest
import torch
from atoll import compress
from atoll.evaluators.training.prediction import predict_logits
from atoll.spaces.errors import AtollError
from torch import nn


def corners(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of noise, each with one of four corners bright, which is its class."""
    labels = np.arange(count) % 4
    images = np.random.default_rng(count).integers(0, 100, (count, 1, 8, 8), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[0, 4 * (label // 2) :, 4 * (label % 2) :][:4, :4] += 150
    return images, labels


@pytest.mark.slow  # trains a baseline and two steps
def test_a_recipe_gives_a_network_with_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 4))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    data = {"train": corners(64), "validation": corners(24), "test": corners(20)}
    found = compress(
        network,
        "prune_weights(ratio=0.5) -> quantize(bits=8)",
        data,
        input={"mean": 0.5, "std": 0.5},
        batch_size=8,
        epochs_per_step=4,
        learning_rate=0.01,
    )
    images, labels = (torch.from_numpy(part) for part in data["validation"])
    hits = predict_logits(found.network, images).argmax(1) == labels
    assert found.figures["quality"] == pytest.approx(float(hits.float().mean())) and hits.float().mean() > 0.9
    assert found.figures["model_bytes"] < found.baseline["model_bytes"]
    assert [step["technique"] for step in found.steps] == ["prune_weights", "quantize"]
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())


def test_mistakes_are_told_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with pytest.raises(AtollError, match="unknown technique 'prune'"):
        compress(network, "prune", {"train": corners(8)})
    with pytest.raises(AtollError, match="unknown key 'epochs'"):
        compress(network, "quantize", {"train": corners(8)}, epochs=3)
    with pytest.raises(AtollError, match="tells 3 classes apart, the data have 4"):
        compress(network, "quantize", {"train": corners(40)})
