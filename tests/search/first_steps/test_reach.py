"""Which layers techniques reach: a network of two layers whose every answer is known."""

import torch
from atoll.evaluators.datasets.dataset import ImagesInMemory, Split
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training.settings import Training
from atoll.search.first_steps.reach import Reach, reaches
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.techniques import technique_named
from torch import nn


def reached(*names: str) -> dict[str, Reach]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 36, 64), nn.Linear(64, 2)
        )
    network = adopt(layers, (3, 8, 8)).eval()
    split = Split(torch.zeros(8, 3, 8, 8, dtype=torch.uint8), torch.arange(8) % 2)
    dataset = ImagesInMemory("made", split, split, split, ("a", "b"), "1")
    task = Task("made", lambda: dataset, "made", (3, 8, 8), 2, Training(1e-3, 8), 1.0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = reaches([technique_named(name) for name in names], {}, network, task, dataset)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    return {reach.technique: reach for reach in found}


def test_shares_are_those_of_the_weights() -> None:
    found = reached("quantize", "svd", "tucker")
    convolution, large, small = 16 * 27, 576 * 64, 64 * 2
    total = convolution + large + small
    assert found["quantize"].weights_share == 1.0 and not found["quantize"].left_alone
    assert found["svd"].weights_share == large / total
    assert found["svd"].left_alone["0"] == "is a convolution, and kinds=dense"
    assert "too few" in found["svd"].left_alone["4"]
    assert found["tucker"].left_alone["3"] == "is no convolution"
    # the reason of the most layers first
    assert found["tucker"].reasons["is no convolution"] == 2


def test_what_changes_no_layer_says_what_it_does() -> None:
    found = reached("distill", "quantization_offset")
    assert found["distill"].weights_share is None and "trains every layer" in found["distill"].remark
    assert found["quantization_offset"].remark == "comes after a step that changes numbers"
