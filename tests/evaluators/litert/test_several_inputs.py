"""Files of several inputs: each with its own name, shape and grid, and the network's own answers."""

import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.lower import lower
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.measuring.artifact import verify_artifact
from atoll.evaluators.measuring.file_ends import file_inputs
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.parts import as_row
from atoll.spaces.layers.scaling import Scaling
from atoll.spaces.layers.structure import input_shape_of
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing.worlds import World
from torch import Tensor, nn

SHAPES = ((3, 7, 5), (4, 6), (5,))
SCALING = Scaling((2.0,), (0.5,))


class ThreeInputs(nn.Module):
    """An image, a series and features; nothing is symmetric in them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.series, self.known = nn.Conv2d(3, 8, 3), nn.Conv1d(4, 8, 3), nn.Linear(5, 8)
        self.head = nn.Linear(24, 3)

    def forward(self, image: Tensor, series: Tensor, known: Tensor) -> Tensor:
        maps = F.relu(self.conv(image)).mean((2, 3)), F.relu(self.series(series)).mean(2)
        return self.head(torch.cat((*maps, F.relu(self.known(known))), 1))


def rows(count: int, seed: int) -> Tensor:
    """Inputs of different spans, so that no grid fits another one's."""
    generator = torch.Generator().manual_seed(seed)
    spans = zip(SHAPES, (1.0, 4.0, 16.0), strict=True)
    return as_row([(torch.rand(count, *shape, generator=generator) * 2 - 1) * span for shape, span in spans])


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return adopt(ThreeInputs(), SHAPES, SCALING).eval()


@pytest.fixture(scope="module")
def quantized(network: nn.Module) -> nn.Module:
    (step,) = Recipe.parse("quantize(bits=8)")
    return step.apply(network, World(rows(64, 1), torch.arange(64) % 3, None, epochs=0))[0].eval()


def test_a_float_file_answers_as_the_network_does(network: nn.Module) -> None:
    content = lower(network, input_shape_of(network))
    given = rows(6, 2)
    found = torch.from_numpy(LiteRtRunner(content).run(given.numpy()))
    with torch.no_grad():
        torch.testing.assert_close(found, network(given), rtol=0.0, atol=1e-5)


def test_an_int8_file_is_fed_by_every_inputs_own_grid(quantized: nn.Module) -> None:
    content = lower(quantized, input_shape_of(quantized))
    inputs = file_inputs(content)
    assert inputs is not None and [(one.name, one.shape, one.type) for one in inputs] == [
        ("image", [1, 7, 5, 3], "int8"),
        ("series", [1, 6, 4], "int8"),
        ("known", [1, 5], "int8"),
    ]
    for one, span in zip(inputs, (1.0, 4.0, 16.0), strict=True):
        assert one.scale == pytest.approx(2 * span / 255, rel=0.1)
    details = LiteRtRunner(content).inputs
    assert [(one.scale, one.zero_point) for one in inputs] == [one["quantization"] for one in details]
    stored = rows(40, 3) * 0.5 + 2.0  # as data have them, before the scaling
    found = verify_artifact(content, quantized, stored)
    assert found.agreement == 1 and found.largest_difference_lsb is not None
    assert found.largest_difference_lsb <= 1.01


def test_one_array_of_integers_is_no_input_of_such_a_file(quantized: nn.Module) -> None:
    runner = LiteRtRunner(lower(quantized, input_shape_of(quantized)))
    with pytest.raises(AtollError, match="3 inputs, allowed is one: see run"):
        runner.run_raw(rows(1, 4).numpy())
    assert runner.time_ms(2, 1) >= 0


def test_a_file_of_one_input_names_none() -> None:
    network = adopt(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(60, 2)), SHAPES[0]).eval()
    assert file_inputs(lower(network, SHAPES[0])) is None
    assert LiteRtRunner(lower(network, SHAPES[0])).input["name"] == ""
