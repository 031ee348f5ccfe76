"""The noise of integers in each layer, beside sums written by hand."""

from math import log10

import pytest
import torch
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.statistics import reestimate
from atoll.spaces.layers.structure import named_layers
from atoll.spaces.quantization.noise import OUTPUTS, layer_noise
from atoll.spaces.quantization.weight_grids import WeightGrids, quantize_layers
from torch import Tensor, nn


def on_grids(network: nn.Module, images: Tensor, bits: int, activations: str) -> nn.Module:
    quantize_layers(network, {name: bits for name, _ in named_layers(network)}, WeightGrids(), activations)
    reestimate(network, images)
    return network


def decibels(signal: Tensor, noise: Tensor) -> float:
    return 10 * log10(float(signal.double().square().sum() / noise.double().square().sum()))


@pytest.mark.parametrize("bits", [8, 4])
def test_a_dense_layer_by_hand(bits: int) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(12, 5)).eval()
    weight, bias, images = plain[0].weight.detach(), plain[0].bias.detach(), torch.randn(40, 12)
    network = on_grids(adopt(plain, (12,)), images, bits, "float")
    rounded = network.get_submodule("0").weight.effective()
    expected = decibels(images @ weight.T + bias, images @ (rounded - weight).T)
    found = layer_noise(network, images)
    assert found == {"0": pytest.approx(expected, abs=1e-3), OUTPUTS: pytest.approx(expected, abs=1e-3)}


def test_what_a_layer_reads_is_rounded_too_and_what_those_before_lost_is_not_counted() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(2, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 2)
    )
    images = torch.randn(24, 2, 8, 8)
    network = on_grids(adopt(layers.eval(), (2, 8, 8)), images, 8, "int8")
    first, norm, last = (network.get_submodule(name) for name in "014")
    with torch.no_grad():
        scale, shift = (part.float().reshape(-1, 1, 1) for part in norm.scale_and_shift())
        entry = first.input_grid.rounded(images)
        exact = layers[0](images) * scale + shift
        lost = [nn.functional.conv2d(entry, first.weight.effective()) * scale + shift - exact]
        read = nn.functional.max_pool2d(exact.relu(), 2)
        rounded = nn.functional.conv2d(norm.output_grid.rounded(read), last.weight.effective(), last.bias)
        lost.append(rounded - layers[4](read))
        expected = [decibels(exact, lost[0]), decibels(layers[4](read), lost[1])]
    found = layer_noise(network, images)
    assert list(found) == ["0", "4", OUTPUTS]
    assert [found["0"], found["4"]] == pytest.approx(expected, abs=1e-2)
    assert 10 < found[OUTPUTS] < max(expected)


def test_the_layer_that_was_spoilt_is_the_worst_and_floats_have_no_noise() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    layers[2].weight.data[:, 3] *= 300  # beside it the other weights of each output are nothing
    layers[0].weight.data[3] /= 300
    layers[0].bias.data[3] /= 300
    images = torch.rand(32, 6)
    network = adopt(layers, (6,))
    assert layer_noise(network, images) == {}
    found = layer_noise(on_grids(network, images, 8, "int8"), images)
    assert min(found, key=found.__getitem__) in ("2", OUTPUTS)
    assert found["2"] < 15 < 25 < min(found["0"], found["4"])
