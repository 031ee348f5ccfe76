"""Layers that lost inputs: a lost channel that others make up for is made up for, exactly."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from atoll.spaces.channels.reconstruction import reconstruct
from atoll.spaces.kernels.least_squares import least_squares
from atoll.spaces.layers.conv import Conv
from atoll.spaces.layers.dense import Dense
from atoll.spaces.recipes.recipe import Recipe
from torch import nn


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_convolution_is_fitted_to_every_patch() -> None:
    """Against patches cut out by a loop; all positions count where there are few."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        conv = Conv.adopt(nn.Conv2d(3, 4, 3, stride=2, padding=1))
        x, wanted = torch.randn(20, 3, 7, 7), torch.randn(20, 4, 4, 4)
    padded = nn.functional.pad(x, (1, 1, 1, 1))
    places = [(n, i, j) for n in range(20) for i in range(4) for j in range(4)]
    seen = torch.stack([padded[n, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].flatten() for n, i, j in places])
    gives = torch.stack([wanted[n, :, i, j] for n, i, j in places]) - conv.bias.detach()
    expected = least_squares(conv.weight.effective().flatten(1), seen, gives)
    assert reconstruct(conv, x, wanted, seeded()) is None
    torch.testing.assert_close(conv.weight.effective().flatten(1), expected, rtol=1e-4, atol=1e-4)


def test_a_dense_layer_is_fitted_and_its_bias_stays() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dense = Dense.adopt(nn.Linear(6, 3))
        truth = nn.Linear(6, 3)
        x = torch.randn(500, 6)
    bias = dense.bias.detach().clone()
    wanted = (x @ truth.weight.T + bias).detach()
    before = (dense(x) - wanted).square().mean()
    assert reconstruct(dense, x, wanted, seeded()) is None
    assert torch.equal(dense.bias, bias)
    assert (dense(x) - wanted).square().mean() < 0.05 * before


@pytest.mark.parametrize("text", ["quantize", "prune_weights", "cluster(clusters=8)", "binarize"])
def test_layers_under_constraints_stay(
    text: str, trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    (step,) = Recipe.parse(text)
    network, _ = step.apply(trained["sequential"], new_context(trained["sequential"]))
    layer = network.get_submodule("conv2")
    kept = deepcopy(layer.state_dict())
    reason = reconstruct(layer, torch.randn(8, 16, 8, 8), torch.randn(8, 16, 8, 8), seeded())
    assert reason is not None and reason.startswith("it")
    assert all(torch.equal(tensor, kept[name]) for name, tensor in layer.state_dict().items())


@pytest.mark.parametrize("name", ["sequential", "residual"])
def test_the_outputs_stay_nearer_to_what_they_were(
    name: str, trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    errors = []
    for refit in ("least_squares", "none"):
        (step,) = Recipe.parse(f"prune_channels(ratio=0.5, refit={refit})")
        context = new_context(trained[name])
        network, _ = step.apply(trained[name], context)
        with torch.no_grad():
            error = network(context.images(128)) - trained[name].eval()(context.images(128))
        errors.append(float(error.square().mean()))
    assert errors[0] < 0.7 * errors[1]


def test_a_copied_channel_is_lost_without_loss(new_context: Callable[..., Any]) -> None:
    """Two equal channels: one of them carries both readers' weights, and nothing else changes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        dense = Dense.adopt(nn.Linear(5, 3, bias=False))
        x = torch.randn(200, 5)
    x[:, 4] = x[:, 3]
    wanted = dense(x).detach()
    dense.keep_inputs(torch.arange(4))
    assert reconstruct(dense, x[:, :4], wanted, seeded()) is None
    assert (dense(x[:, :4]) - wanted).square().mean() < 0.01 * wanted.square().mean()
