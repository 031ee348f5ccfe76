"""Parameters and buffers beside values of the images: in the plan, in the file, on grids of their own."""

import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.inspect import float_tensors
from atoll.evaluators.litert.lower import lower
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.channels.groups import channel_groups
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.graph.reading import trace
from torch import Tensor, nn

SHAPE = (3, 6, 6)


class Scaled(nn.Module):
    """A position's embedding, a layer scale made by a view, a buffer, one number, slopes of a PReLU."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.depthwise = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.gamma, self.place = nn.Parameter(torch.randn(8)), nn.Parameter(torch.randn(1, 8, 6, 6))
        self.register_buffer("shift", torch.randn(8, 1, 1))
        self.one, self.bias = nn.Parameter(torch.tensor(0.7)), nn.Parameter(torch.randn(5))
        self.each, self.shared = nn.PReLU(8), nn.PReLU(init=-0.5)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.each(self.conv(x)) + self.place.expand(x.shape[0], -1, -1, -1)
        x = x + self.gamma.view(1, -1, 1, 1) * self.shared(self.depthwise(x))
        x = F.relu(self.shift - x) * self.one
        return self.head(x.mean((2, 3))) + self.bias


IMAGES = torch.rand(16, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("recipe", ["baseline", "quantize(bits=8)", "prune_channels(ratio=0.5)"])
def test_file_computes_what_the_network_does(recipe: str, compressed, written) -> None:
    content = written(compressed(Scaled(), IMAGES, recipe), IMAGES)
    assert not float_tensors(content) or "quantize" not in recipe


def test_each_parameter_is_counted_and_each_buffer_that_is_read() -> None:
    network = Scaled()
    counted = layer_table(adopt(network.eval(), SHAPE), SHAPE, as_written=True).parameters
    assert counted == sum(parameter.numel() for parameter in network.parameters()) + network.shift.numel()


def test_the_range_of_a_constant_is_that_of_all_of_it_in_training_too(compressed) -> None:
    network = compressed(Scaled(), IMAGES, "quantize(bits=8)")
    with torch.no_grad():
        network.gamma[5:] = torch.tensor([-9.0, 0.0, 9.0])
        for _ in range(200):
            network.train()(IMAGES)
    grids = [one.grids[0] for one in trace(network, SHAPE).operations if "view" in one.described]
    assert [(round(float(g.low), 1), round(float(g.high), 1)) for g in grids] == [(-9.0, 9.0)]


def test_channels_beside_a_parameter_stay_by_name() -> None:
    network = adopt(Scaled().eval(), SHAPE)
    fixed = {group.fixed for group in channel_groups(network, SHAPE)}
    assert any("prelu" in reason or "the parameter" in reason for reason in fixed), fixed


class Returned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.scale = nn.Linear(3, 2), nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.head(x.mean((2, 3))), self.scale * 2


def test_a_constant_that_is_returned_is_refused() -> None:
    with pytest.raises(AtollError, match="mul is read otherwise than beside a value of the images"):
        lower(adopt(Returned().eval(), SHAPE), SHAPE)
