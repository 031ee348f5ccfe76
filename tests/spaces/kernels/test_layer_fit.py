"""The fit of a single layer: recovers what can be recovered and never makes anything worse."""

import pytest
import torch
from atoll.spaces.kernels.layer_fit import fit_layer
from atoll.spaces.layers.tt_dense import TTDense
from atoll.spaces.layers.weight_grid import WeightGrid
from torch import Tensor, nn


def train_of_rank(rank: int, seed: int) -> TTDense:
    generator = torch.Generator().manual_seed(seed)
    layer = TTDense((8, 8), (4, 4), (1, rank, 1), bias=False)
    for factor in layer.factors().values():
        factor.set(torch.randn(factor.shape, generator=generator))
    return layer


def images(count: int = 512) -> Tensor:
    return torch.randn(count, 64, generator=torch.Generator().manual_seed(9))


def test_a_disturbed_train_is_recovered() -> None:
    truth = train_of_rank(3, seed=0)
    inputs = images()
    with torch.no_grad():
        outputs = truth(inputs)
    layer = train_of_rank(3, seed=0)
    generator = torch.Generator().manual_seed(1)
    for factor in layer.factors().values():
        assert factor.raw is not None
        factor.set(factor.raw + 0.3 * torch.randn(factor.shape, generator=generator))
    before = fit_layer(layer, inputs, outputs, 0, generator)
    after = fit_layer(layer, inputs, outputs, 400, generator)
    assert before > 0.05
    assert after < 1e-3


def test_the_error_is_one_for_the_mean_and_zero_for_the_truth() -> None:
    inputs = images()
    truth = nn.Linear(64, 5)
    with torch.no_grad():
        outputs = truth(inputs)
    mean = nn.Linear(64, 5)
    with torch.no_grad():
        mean.weight.zero_()
        mean.bias.copy_(outputs.mean(dim=0))
    generator = torch.Generator()
    assert fit_layer(mean, inputs, outputs, 0, generator) == pytest.approx(1.0, rel=1e-5)
    assert fit_layer(truth, inputs, outputs, 0, generator) == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize("bits", [8, 2])
def test_a_fit_never_ends_worse_than_it_began(bits: int) -> None:
    """Outputs that have nothing to do with the inputs: all that a fit can do is learn noise by heart."""
    layer = train_of_rank(3, seed=2)
    for factor in layer.factors().values():
        factor.impose(WeightGrid.fit(factor.effective(), bits))
    outputs = torch.randn(512, 16, generator=torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(4)
    kept = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    before = fit_layer(layer, images(), outputs, 0, generator)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in layer.state_dict().items())
    after = fit_layer(layer, images(), outputs, 1, generator)
    assert after <= before
    assert fit_layer(layer, images(), outputs, 0, generator) == after


def test_the_generator_decides() -> None:
    outputs = images() @ torch.randn(64, 16, generator=torch.Generator().manual_seed(5))
    states = []
    for seed in (0, 0, 1):
        layer = train_of_rank(2, seed=6)
        fit_layer(layer, images(), outputs, 5, torch.Generator().manual_seed(seed))
        states.append(layer.dense_weight())
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
