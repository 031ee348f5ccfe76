"""Gradients of grids and signs against the published formulae, and that training with them works."""

import pytest
import torch
from atoll.spaces.layers.binary import Binary
from atoll.spaces.layers.codebook import Codebook
from atoll.spaces.layers.dense import Dense
from atoll.spaces.layers.weight_grid import WeightGrid
from torch import nn

LEVELS = {2: 1, 4: 7, 8: 127}


def example() -> tuple[torch.Tensor, torch.Tensor]:
    """Returns weights [6, 50] of which some lie outside the grid, and a gradient from above."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 50, generator=generator), torch.randn(6, 50, generator=generator)


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("per_channel", [True, False])
def test_a_grids_gradients_are_those_of_lsq(bits: int, per_channel: bool) -> None:
    """Esser et al. 2020, eqs. 3 and 5 and the gradient scale 1 / sqrt(N Q) of section 2.2."""
    weight, above = example()
    levels = LEVELS[bits]
    scale = 1.8 * torch.ones(6 if per_channel else 1, 1) / levels  # clips weights above 1.8
    grid = WeightGrid(scale, bits)
    weight.requires_grad_()
    grid(weight).backward(above)
    ratio = weight.detach() / scale
    inside = ratio.abs() < levels
    slope = torch.where(inside, ratio.round() - ratio, ratio.sign() * levels)
    count = 50 if per_channel else 300
    to_scale = (above * slope).sum(1, keepdim=True) if per_channel else (above * slope).sum().reshape(1, 1)
    assert weight.grad is not None
    assert grid.relative.grad is not None
    assert torch.allclose(weight.grad, above * inside, rtol=1e-5)
    # what is trained is the scale over its start, so that its gradient is start times that of the scale
    expected = scale * to_scale / (count * levels) ** 0.5
    assert torch.allclose(grid.relative.grad, expected, rtol=1e-4, atol=1e-6)


def test_an_optimiser_cannot_throw_a_small_scale_about() -> None:
    """Adam moves a parameter by its learning rate whatever the gradient: here 0.1 % of the scale."""
    weight, _ = example()
    grid = WeightGrid.fit(weight * 1e-3, 8)
    before = grid.scale.detach().clone()
    optimizer = torch.optim.Adam(grid.parameters(), lr=1e-3)
    grid(weight * 1e-3).square().sum().backward()
    optimizer.step()
    assert torch.allclose(grid.scale, before, rtol=2e-3)
    assert not torch.equal(grid.scale, before)


def test_a_signs_gradient_is_one_up_to_the_threshold() -> None:
    """THESIS eq. 4, times the step; the step's gradient is the sum over its channel's signs."""
    weight, above = example()
    binary = Binary(torch.full((6, 1), 0.5), threshold=1.0)
    weight.requires_grad_()
    effective = binary(weight)
    effective.backward(above)
    assert torch.equal(effective.detach(), torch.where(weight >= 0, 0.5, -0.5))
    assert weight.grad is not None
    assert binary.relative.grad is not None
    assert torch.allclose(weight.grad, 0.5 * above * (weight.detach().abs() <= 1))
    signs = torch.where(weight.detach() >= 0, 1.0, -1.0)
    assert torch.allclose(binary.relative.grad, 0.5 * (above * signs).sum(1, keepdim=True), atol=1e-5)


def test_zero_is_positive() -> None:
    assert Binary(torch.ones(1, 1))(torch.tensor([[0.0, -0.0]])).tolist() == [[1.0, 1.0]]


def test_the_step_of_signs_is_the_mean_absolute_weight() -> None:
    """It minimises |w - a sign(w)|: no other of many steps comes nearer."""
    weight, _ = example()
    step = Binary.fit(weight).step.detach()
    best = (weight - step * weight.sign()).square().sum(1)
    for factor in (0.9, 0.99, 1.01, 1.1):
        assert (best < (weight - factor * step * weight.sign()).square().sum(1)).all()


def test_a_centroids_gradient_is_the_sum_over_its_weights() -> None:
    weight, above = example()
    codebook = Codebook.fit(weight, 5)
    codebook().backward(above)
    expected = torch.zeros(5).index_add(0, codebook.index.flatten().long(), above.flatten())
    assert codebook.centroids.grad is not None
    assert torch.allclose(codebook.centroids.grad, expected, atol=1e-5)


def test_every_weight_takes_its_nearest_centroid() -> None:
    weight, _ = example()
    codebook = Codebook.fit(weight, 7)
    distances = (weight[..., None] - codebook.centroids.detach()).abs()
    assert torch.equal(distances.amin(-1), (weight - codebook().detach()).abs())


@pytest.mark.parametrize("kind", ["two bits", "signs"])
def test_training_under_a_constraint_reduces_the_loss(kind: str) -> None:
    """Two layers of two-bit or binary weights learn which half of their input is larger."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(256, 20, generator=generator)
    labels = (inputs[:, :10].sum(1) > inputs[:, 10:].sum(1)).long()
    first, last = Dense(20, 16), Dense(16, 2)
    for layer in (first, last):
        layer.weight.set(torch.randn(layer.weight.shape, generator=generator) * 0.3)
        now = layer.weight.effective()
        layer.weight.impose(WeightGrid.fit(now, 2) if kind == "two bits" else Binary.fit(now))
    network = nn.Sequential(first, nn.ReLU(), last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(150):
        loss = nn.functional.cross_entropy(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert min(losses[-10:]) < 0.5 * losses[0]
    accuracy = (network(inputs).argmax(1) == labels).float().mean()
    assert accuracy > 0.9
    assert all(layer.weight.effective()[0].unique().numel() <= 3 for layer in (first, last))
