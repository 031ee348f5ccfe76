"""A bundle of a network that only its user has the code of: built again from its graph, without that code."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from atoll.evaluators.card.bundle import RECIPE, TENSORS, load_bundle, save_bundle
from atoll.evaluators.card.rebuild import rebuild
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.written.graph_json import graph_json, network_of_json
from atoll.spaces.written.modules import whole_state
from atoll.testing import World
from torch import Tensor, nn

SHAPE = (3, 8, 8)


class Own(nn.Module):
    """A class of its own for a layer, a part of the channels, a buffer that is not stored."""

    class Padded(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(nn.functional.pad(x, (1, 1, 1, 1)))

    def __init__(self) -> None:
        super().__init__()
        self.conv = self.Padded(3, 16, 3)
        self.norm = nn.BatchNorm2d(16)
        self.second = nn.Conv2d(8, 16, 3)
        self.register_buffer("shift", torch.full((16, 1, 1), 0.25), persistent=False)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.conv(x)))
        x = torch.relu(self.second(x[:, :8])) + self.shift
        return self.head(x.mean((2, 3)))


@pytest.fixture(params=["baseline", "prune_channels(ratio=0.5) -> quantize(bits=8)", "cluster(clusters=4)"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, nn.Module]:
    """A folder with a bundle, and the network that was put there."""
    torch.manual_seed(0)
    given, recipe = adopt(Own(), SHAPE), Recipe.parse(request.param)
    graph = graph_json(given)
    network: nn.Module = network_of_json(graph)
    network.load_state_dict(whole_state(given), assign=True)
    task: Any = SimpleNamespace(name="parts", network="nets.py:Own", num_classes=3, graph=graph)
    decisions: list[Any] = []
    for step in recipe:
        world = World(torch.rand(12, *SHAPE), torch.arange(12) % 3, network)
        network, decided = step.apply(network, world)
        decisions.append(decided)
    save_bundle(tmp_path, network.eval(), task, recipe, decisions)
    return tmp_path, network


def test_a_network_comes_back_without_its_code(bundle: tuple[Path, nn.Module]) -> None:
    folder, network = bundle
    assert {path.name for path in folder.iterdir()} == {TENSORS, RECIPE}
    again, about = load_bundle(folder)
    assert about["graph"]["input_shape"] == list(SHAPE)
    images = torch.rand(5, *SHAPE)
    with torch.no_grad():
        assert torch.equal(again(images), network(images))
    assert rebuild(folder).artifact == artifact_bytes(network, SHAPE)


@pytest.mark.parametrize("bundle", ["baseline"], indirect=True)
@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("graph", {"format": 1}, "the graph is none: KeyError"),
        ("graph", "code", "got a graph of format 'code'"),
        ("input_shape", [3, 8, 9], r"its graph takes \(3, 8, 8\), its input_shape is \(3, 8, 9\)"),
    ],
)
def test_another_graph_is_told(bundle: tuple[Path, nn.Module], key: str, value: Any, sentence: str) -> None:
    folder, _ = bundle
    about = json.loads((folder / RECIPE).read_text())
    (folder / RECIPE).write_text(json.dumps({**about, key: value}))
    with pytest.raises(AtollError, match=sentence):
        load_bundle(folder)
