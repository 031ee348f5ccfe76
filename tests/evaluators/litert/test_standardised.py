"""LayerNorm, GroupNorm, InstanceNorm: torch's own answer through LiteRT, an island of floats that is said."""

import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.inspect import operator_names
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.channels.groups import channel_groups
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import World
from torch import Tensor, nn

SHAPE = (3, 6, 5)
IMAGES = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1
NORMS = {
    "group": lambda: nn.GroupNorm(4, 8),
    "group of all": lambda: nn.GroupNorm(1, 8, affine=False),
    "group of one": lambda: nn.GroupNorm(8, 8, eps=1e-3),
    "instance": lambda: nn.InstanceNorm2d(8),
    "instance with a scale": lambda: nn.InstanceNorm2d(8, affine=True),
    "columns": lambda: nn.LayerNorm(5, bias=False),
    "maps": lambda: nn.LayerNorm((6, 5), elementwise_affine=False),
    "everything": lambda: nn.LayerNorm((8, 6, 5)),
}


class Normalised(nn.Module):
    def __init__(self, norm: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.norm, self.features = NORMS[norm](), nn.LayerNorm(6)
        self.dense, self.head = nn.Linear(8, 6), nn.Linear(6, 4)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(F.relu(self.norm(self.conv(x)))).mean((2, 3))
        return self.head(F.gelu(self.features(self.dense(x))))


@pytest.mark.parametrize("norm", NORMS)
def test_each_is_computed_counted_and_written(norm: str, written) -> None:
    network = Normalised(norm).eval()
    adopted = adopt(network, SHAPE).eval()
    assert torch.allclose(adopted(IMAGES), network(IMAGES), atol=1e-6)
    counted = layer_table(adopted, SHAPE).parameters
    assert counted == sum(parameter.numel() for parameter in network.parameters())
    assert operator_names(written(adopted, IMAGES)).count("RSQRT") == 2


def test_among_integers_they_are_floats_and_said_to_be(written) -> None:
    network = adopt(Normalised("group").eval(), SHAPE).eval()
    (step,) = Recipe.parse("quantize(bits=8)")
    network, decisions = step.apply(network, World(IMAGES, torch.arange(8) % 5, None, epochs=0))
    for name, kind in (("norm", "GroupNorm"), ("features", "LayerNorm")):
        said = f"{kind} stays float: the runtime has no integer kernel for it"
        assert decisions["stays_float"][name] == said
    written(network.eval(), IMAGES)


@pytest.mark.parametrize(("norm", "goes"), [("instance", True), ("instance with a scale", False)])
def test_channels_go_through_it_where_it_has_nothing_of_theirs(norm: str, goes: bool, compressed) -> None:
    network = adopt(Normalised(norm).eval(), SHAPE)
    (fixed,) = [group.fixed for group in channel_groups(network, SHAPE) if group.makers == ["conv"]]
    assert fixed == ("" if goes else "read by InstanceNorm2d")


def test_running_statistics_of_an_image_are_no_normalisation_of_it() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.InstanceNorm2d(8, track_running_stats=True))
    with pytest.raises(Exception, match=r"InstanceNorm2d\) has track_running_stats: allowed are"):
        layer_table(adopt(network.eval(), SHAPE), SHAPE)
