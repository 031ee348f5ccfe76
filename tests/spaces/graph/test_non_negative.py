"""Which values are never negative, against what a network really computes."""

import torch
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.graph.non_negative import layers_with_unsigned_inputs, never_negative
from atoll.spaces.graph.reading import trace
from atoll.spaces.layers.structure import named_layers
from torch import Tensor, nn

SHAPE = (2, 8, 8)


class Branches(nn.Module):
    """Sums and concatenations of values of which all, some or none are rectified."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.rectified = nn.Conv2d(4, 4, 3, padding=1)
        self.mixed = nn.Conv2d(4, 4, 1)
        self.pool = nn.MaxPool2d(2)
        self.both = nn.Conv2d(8, 4, 1)
        self.flatten = nn.Flatten()
        self.gated = nn.Conv2d(4, 4, 1)
        self.shifted = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        y = self.norm(x)
        z = torch.relu(self.rectified(x) + self.mixed(x + y))
        w = self.both(torch.cat([x, z], 1))
        w = self.gated(x * torch.sigmoid(w)) + self.shifted(x + -0.5)
        return self.head(self.flatten(self.pool(torch.relu(w) + z)))


def test_values_said_to_be_never_negative_are_not() -> None:
    torch.manual_seed(0)
    network = adopt(Branches(), SHAPE).eval()
    nn.init.constant_(network.get_parameter("norm.bias"), -2.0)
    behind = layers_with_unsigned_inputs(network)
    seen: dict[str, float] = {}
    for name, layer in named_layers(network):
        layer.register_forward_hook(lambda _, x, __, name=name: seen.update({name: float(x[0].min())}))
    network(torch.randn(16, *SHAPE))
    said = {name for name, layer in named_layers(network) if id(layer) in behind}
    assert (
        said == {"rectified", "both", "gated", "head"} == {name for name, least in seen.items() if least >= 0}
    )


def test_a_normalisation_behind_a_relu_has_both_signs_again() -> None:
    network = adopt(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(2), nn.Identity(), nn.ReLU6()), SHAPE)
    graph = trace(network, SHAPE)
    kinds = {graph[name].kind for name in never_negative(graph)}
    assert kinds == {"relu", "relu6"}


def test_a_shared_layer_is_behind_a_relu_if_one_of_its_uses_is() -> None:
    shared = nn.Conv2d(2, 2, 1)
    network = adopt(nn.Sequential(shared, nn.ReLU(), shared), SHAPE)
    assert len(layers_with_unsigned_inputs(network)) == 1
