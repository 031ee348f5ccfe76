"""Statistics measured again, against those computed by hand."""

import pytest
import torch
from atoll.spaces.errors import AtollError
from atoll.spaces.layers.activation_grid import ActivationGrid
from atoll.spaces.layers.dense import Dense
from atoll.spaces.layers.norm import Norm
from atoll.spaces.layers.statistics import LEAST, layer_inputs, reestimate
from torch import nn

IMAGES = torch.randn(300, 6, generator=torch.Generator().manual_seed(0)) * 3 + 1


def test_mean_and_variance_are_those_of_the_images() -> None:
    norm = Norm(6)
    reestimate(norm, IMAGES)
    assert torch.allclose(norm.running_mean, IMAGES.mean(0), atol=1e-5)
    assert torch.allclose(norm.running_var, IMAGES.var(0), rtol=1e-4)
    assert norm.momentum == 0.1
    assert not norm.training


def test_norms_in_a_row_see_what_the_one_before_gives() -> None:
    network = nn.Sequential(Norm(6), Norm(6))
    reestimate(network, IMAGES)
    assert torch.allclose(network[1].running_mean, torch.zeros(6), atol=1e-5)
    assert torch.allclose(network[1].running_var, torch.ones(6), rtol=1e-2)


def test_ranges_are_the_least_and_largest_values() -> None:
    layer = Dense(6, 6)
    layer.weight.set(torch.eye(6))
    layer.output_grid = ActivationGrid(8)
    reestimate(layer, IMAGES)
    assert layer.output_grid.low == IMAGES.min()
    assert layer.output_grid.high == IMAGES.max()
    assert not layer.output_grid.observing


def test_weights_stay() -> None:
    network = nn.Sequential(Dense(6, 4), Norm(4))
    before = network[0].weight.effective().clone()
    reestimate(network, IMAGES)
    assert torch.equal(network[0].weight.effective(), before)


def test_inputs_and_outputs_of_a_layer_in_the_middle() -> None:
    network = nn.Sequential(Dense(6, 4), nn.ReLU(), Dense(4, 3))
    for layer in (network[0], network[2]):
        layer.weight.set(torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(1)))
    inputs, outputs = layer_inputs(network, network[2], IMAGES)
    with torch.no_grad():
        assert torch.allclose(inputs, torch.relu(network[0](IMAGES)))
        assert torch.allclose(outputs, network(IMAGES), atol=1e-5)
    assert not network[2]._forward_hooks


@pytest.mark.parametrize(("count", "kept"), [(1, True), (LEAST - 1, True), (LEAST, False)])
def test_few_images_leave_what_a_normalisation_knows(count: int, kept: bool) -> None:
    network = nn.Sequential(Norm(6), Dense(6, 2))
    network[0].running_mean.fill_(2.0)
    network[1].output_grid = ActivationGrid(8)
    reestimate(network, IMAGES[:count])
    assert bool((network[0].running_mean == 2).all()) == kept
    with torch.no_grad():
        seen = network[1](network[0](IMAGES[:count]))
    assert network[1].output_grid.low == pytest.approx(
        min(0.0, float(seen.min())), abs=0.05
    )  # ranges are new
    assert not network.training


def test_few_images_are_all_that_one_without_statistics_has() -> None:
    norm = Norm(6)
    reestimate(norm, IMAGES[:20])
    assert torch.allclose(norm.running_mean, IMAGES[:20].mean(0), atol=1e-5)
    with pytest.raises(
        AtollError, match=r"normalisations have no statistics: got 1 image .* allowed are 2 or"
    ):
        reestimate(Norm(6), IMAGES[:1])
