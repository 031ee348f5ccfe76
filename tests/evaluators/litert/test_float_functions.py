"""Functions that the runtime has in float alone: a LayerNorm written out, roots, powers, quotients."""

import pytest
import torch
from atoll.evaluators.litert.inspect import operator_names
from atoll.evaluators.litert.lower import lower
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import World
from torch import Tensor, nn

SHAPE = (3, 6, 5)
IMAGES = torch.rand(12, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1


class WrittenOut(nn.Module):
    """LayerNorm over channels as ConvNeXt has it (Liu et al. 2022), then every other function."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 4)
        self.weight, self.bias = nn.Parameter(torch.rand(8)), nn.Parameter(torch.rand(8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        x = self.weight[:, None, None] * ((x - mean) / torch.sqrt(variance + 1e-6)) + self.bias[:, None, None]
        x = torch.exp(-torch.abs(x)) + torch.log(torch.square(x) + 1.0) / 2.0
        return self.head(torch.rsqrt(x + 1.0).mean((2, 3))) / (2.0 / (x.mean((1, 2, 3)) + 1.0))[:, None]


def test_they_are_written_and_planned(written) -> None:
    content = written(adopt(WrittenOut().eval(), SHAPE).eval(), IMAGES)
    found = operator_names(content)
    assert {"DIV", "SQRT", "RSQRT", "SQUARE", "EXP", "LOG", "ABS", "NEG"} <= set(found)
    assert found.count("DIV") == 3  # a division by a number is a product


def test_among_integers_they_are_floats(written) -> None:
    (step,) = Recipe.parse("quantize(bits=8)")
    world = World(IMAGES, torch.arange(12) % 4, None, epochs=0)
    network, decisions = step.apply(adopt(WrittenOut().eval(), SHAPE).eval(), world)
    assert decisions["stays_float"]
    written(network.eval(), IMAGES)


def test_a_clamp_between_integers_is_a_float(written) -> None:
    """Its bounds lie on no grid of the value, and the runtime loads no file in which types differ."""
    layers = [
        nn.Conv2d(3, 8, 3, padding=1),
        nn.Hardtanh(-0.3, 0.2),
        nn.Conv2d(8, 4, 3),
        nn.Flatten(),
        nn.Linear(48, 4),
    ]
    (step,) = Recipe.parse("quantize(bits=8)")
    world = World(IMAGES, torch.arange(12) % 4, None, epochs=0)
    network, _ = step.apply(adopt(nn.Sequential(*layers).eval(), SHAPE).eval(), world)
    assert {"MAXIMUM", "MINIMUM"} < set(operator_names(written(network.eval(), IMAGES)))


def test_other_powers_are_refused_by_name() -> None:
    class Cubed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x.mean((2, 3)) ** 3)

    with pytest.raises(AtollError, match="pow"):
        lower(adopt(Cubed().eval(), SHAPE), SHAPE)
