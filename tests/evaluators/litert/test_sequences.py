"""Convolutions over sequences: torch's own answer through LiteRT, every technique at work on them."""

import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.inspect import float_tensors
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.channels.groups import channel_groups
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.conv import Conv
from atoll.spaces.layers.structure import apply_structure, structure
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

SHAPE = (3, 30)
WINDOWS = torch.rand(16, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1
RECIPES = (
    "quantize(bits=8)",
    "quantize(bits=4)",
    "quantize(bits=8, activations=dynamic)",
    "prune_channels(ratio=0.5) -> quantize(bits=8)",
    "tucker(rank=0.5) -> quantize(bits=8)",
    "cp(rank=4)",
    "tensor_train(rank=4)",
    "cluster(clusters=8)",
    "binarize(activations=binary)",
)


class Windowed(nn.Module):
    """Stride, "same" with more zeros behind, dilation, each channel by itself, pooling, a way back up."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.norm = nn.Conv1d(3, 16, 5, 2, padding=2, bias=False), nn.BatchNorm1d(16)
        self.depthwise = nn.Conv1d(16, 16, 3, padding="same", groups=16)
        self.pointwise = nn.Conv1d(16, 24, 1)
        self.wide = nn.Conv1d(24, 16, 4, padding="same", dilation=2)
        self.up, self.head = nn.ConvTranspose1d(16, 16, 3, 2, 1, 1), nn.Linear(16, 4)
        self.norm.running_mean.uniform_(-0.3, 0.3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool1d(F.relu(self.norm(self.stem(x))), 2)
        x = F.relu(self.wide(F.relu6(self.pointwise(self.depthwise(x)))))
        return self.head(F.adaptive_avg_pool1d(F.relu(self.up(x)), 1).flatten(1))


class Sequence(Windowed):
    """Gives a sequence back."""

    def forward(self, x: Tensor) -> Tensor:
        return self.up(F.relu(self.wide(self.pointwise(self.norm(self.stem(x))))))


@pytest.mark.parametrize("kind", [Windowed, Sequence])
def test_they_are_adopted_counted_and_written(kind: type[nn.Module], written) -> None:
    network = kind().eval()
    adopted = adopt(network, SHAPE).eval()
    assert torch.equal(adopted(WINDOWS), network(WINDOWS))
    assert isinstance(adopted.get_submodule("stem"), Conv)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(WINDOWS[:1])
    assert layer_table(adopted, SHAPE).macs == counter.get_total_flops() / 2
    written(adopted, WINDOWS)


@pytest.mark.parametrize("recipe", RECIPES)
def test_techniques_reach_them(recipe: str, compressed, written) -> None:
    network = compressed(Windowed(), WINDOWS, recipe)
    content = written(network, WINDOWS, dynamic="dynamic" in recipe, steps=1.01)
    assert not float_tensors(content) or "quantize(bits" not in recipe or "dynamic" in recipe
    again = adopt(Windowed().eval(), SHAPE)
    apply_structure(again, structure(network))
    again.load_state_dict(network.state_dict())
    assert torch.equal(again.eval()(WINDOWS), network(WINDOWS))


def test_their_channels_are_removed_together() -> None:
    groups = channel_groups(adopt(Windowed().eval(), SHAPE), SHAPE)
    assert [(group.makers, group.fixed) for group in groups] == [
        (["stem"], ""),
        (["pointwise"], ""),
        (["wide"], ""),
        (["up"], ""),
        (["head"], "the network's output"),
    ]


def test_pruned_ones_are_fitted_to_what_they_gave(compressed) -> None:
    def error(recipe: str) -> float:
        given, pruned = adopt(Windowed().eval(), SHAPE).eval(), compressed(Windowed(), WINDOWS, recipe)
        return float((pruned(WINDOWS) - given(WINDOWS)).detach().square().mean())

    assert error("prune_channels(ratio=0.5)") < 0.7 * error("prune_channels(ratio=0.5, refit=none)")
