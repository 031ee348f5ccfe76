"""The zoo's published classifiers: what they compute, what techniques make of them, their files."""

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.lower import lower
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.networks import build_network
from atoll.spaces.recipes.recipe import Recipe
from torch import Tensor, nn

#: each with the least height and width that it takes
SMALLEST = {
    "mobilenet_v1": 1,
    "mobilenet_v2": 1,
    "mobilenet_v3_small_full_se": 1,
    "efficientnet_edgetpu_s": 1,
    "squeezenet": 7,
    "vgg16": 32,
    "vgg19": 32,
}
#: those with a forward pass and a file here: VGG-19 is VGG-16 with three more convolutions of the same kind
RUN = [name for name in SMALLEST if name != "vgg19"]
SHAPE = (3, 32, 32)

every_network = pytest.mark.parametrize("name", list(SMALLEST))


def on_paper(name: str, shape: tuple[int, int, int] = (3, 64, 64)) -> nn.Module:
    with torch.device("meta"):
        return adopt(build_network(name, 7, shape), shape).eval()


def images() -> Tensor:
    return torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0))


@cache
def settled(name: str) -> nn.Module:
    """A network whose normalisations know the images, so that its logits are not lost in rounding."""
    network = build_network(name, 7, SHAPE)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 1.0
    with torch.no_grad():
        network(images())
    return network.eval()


@pytest.mark.parametrize("name", RUN)
def test_the_adopted_network_gives_the_logits_of_the_torch_network(name: str) -> None:
    network = settled(name)
    with torch.no_grad():
        expected, got = network(images()), adopt(network, SHAPE).eval()(images())
    assert expected.shape == (3, 7)
    assert len(expected.unique()) > 7, "logits depend on the image"
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("name", RUN)
def test_the_file_gives_the_logits_of_the_network(name: str) -> None:
    network = adopt(settled(name), SHAPE).eval()
    with torch.no_grad():
        expected = network(images()).numpy()
    got = LiteRtRunner(lower(network, SHAPE)).run(images().permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(got, expected, atol=1e-3 * np.abs(expected).max())


def test_a_hard_sigmoid_is_written_for_values_of_any_size() -> None:
    network = adopt(nn.Sequential(nn.Identity(), nn.Hardsigmoid()), (1, 3, 5))
    x = torch.linspace(-7, 7, 15).reshape(1, 1, 3, 5)
    got = LiteRtRunner(lower(network, (1, 3, 5))).run(x.permute(0, 2, 3, 1).numpy())
    np.testing.assert_allclose(got.reshape(-1), F.hardsigmoid(x).flatten().numpy(), atol=1e-6)


@every_network
def test_the_smallest_input_has_a_table_and_a_smaller_one_is_refused(name: str) -> None:
    least = SMALLEST[name]
    shape = (1, least, least + 1)
    assert layer_table(on_paper(name, shape), shape).macs > 0
    for height, width in ((least - 1, least), (least, least - 1)):
        with pytest.raises(AtollError, match=rf"input_shape is \(1, {height}, {width}\).* at least {least}"):
            on_paper(name, (1, height, width))


@every_network
def test_one_class_is_refused(name: str) -> None:
    with pytest.raises(AtollError, match="num_classes is 1; a classifier needs at least 2"):
        build_network(name, 1, (3, 64, 64))


@every_network
def test_maps_shrink_as_tensorflow_shrinks_them(name: str) -> None:
    """Odd sizes: halves are rounded up, by VGG's poolings down; SqueezeNet's first window stays inside."""
    shape = (3, 75, 97)
    rows = layer_table(on_paper(name, shape), shape).rows
    maps = [row.output_shape[1:] for row in rows if len(row.output_shape) == 3]
    last = [size for size in maps if size != (1, 1)][-1]
    assert last == {"vgg16": (2, 3), "vgg19": (2, 3), "squeezenet": (5, 6)}.get(name, (3, 4))


@every_network
@pytest.mark.parametrize(
    "step", ["prune_channels(ratio=0.5)", "tensor_train(rank=4, kinds=all)", "quantize(bits=8)"]
)
def test_techniques_plan_on_it(name: str, step: str) -> None:
    network = on_paper(name)
    before = layer_table(network, (3, 64, 64))
    (technique,) = Recipe.parse(step)
    after = layer_table(technique.plan(network).eval(), (3, 64, 64))
    if step.startswith("quantize"):
        assert after.macs == before.macs
        assert {row.cost.weight_bits for row in after.rows if row.cost.weight_elements} == {8}
    else:
        assert after.macs < 0.95 * before.macs
