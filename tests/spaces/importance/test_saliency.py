"""First-order saliency against autograd written out, image by image."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from atoll.spaces.importance.gates import gated
from atoll.spaces.importance.saliency import channel_saliency, weight_saliency
from atoll.spaces.layers.structure import named_factors
from atoll.spaces.recipes.recipe import Recipe
from torch import Tensor, nn

COUNT = 70  # more than one batch
CROSS_ENTROPY = nn.functional.cross_entropy


def evaluated(network: nn.Module) -> nn.Module:
    return deepcopy(network).eval()


def loss(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.cross_entropy(network(images), labels)


def test_channels_are_rated_by_gradient_times_activation(
    network: nn.Module, new_context: Callable[..., Any]
) -> None:
    network = evaluated(network)
    path = "conv2" if hasattr(network, "conv2") else "pointwise"
    images, labels = new_context(network).examples(COUNT)
    seen: list[Tensor] = []
    network.get_submodule(path).register_forward_hook(lambda _, inputs, output: seen.append(output))
    expected = torch.zeros(16)
    for image, label in zip(images, labels, strict=True):
        value = loss(network, image[None], label[None])
        (gradient,) = torch.autograd.grad(value, seen[-1])
        expected += (gradient * seen[-1]).sum(dim=(0, 2, 3)).abs()
    found = channel_saliency(evaluated(network), [path, "dense1"], images, labels, CROSS_ENTROPY)
    assert torch.allclose(found[path], expected / COUNT, rtol=1e-4, atol=1e-7)
    assert found["dense1"].shape == (64,)


def test_weights_are_rated_by_gradient_times_weight(
    network: nn.Module, new_context: Callable[..., Any]
) -> None:
    network = evaluated(network)
    images, labels = new_context(network).examples(COUNT)
    factors = dict(named_factors(network))
    raw = [factor.raw for factor in factors.values()]
    gradients = torch.autograd.grad(loss(network, images, labels), raw)
    found = weight_saliency(network, factors, images, labels, CROSS_ENTROPY)
    for name, weight, gradient in zip(factors, raw, gradients, strict=True):
        assert torch.allclose(found[name], (weight * gradient).abs(), rtol=1e-3, atol=1e-8)


def test_shared_values_are_rated_weight_by_weight(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    """Under a codebook a weight has no gradient of its own; that of the effective weight counts."""
    context = new_context(trained["sequential"])
    (cluster,) = Recipe.parse("cluster(clusters=8)")
    shared, _ = cluster.apply(trained["sequential"], context)
    free = evaluated(trained["sequential"])
    free.load_state_dict(shared.state_dict(), strict=False)  # biases and norms
    for name, factor in named_factors(free):
        factor.set(dict(named_factors(shared))[name].effective())
    images, labels = context.examples(COUNT)
    found = weight_saliency(shared, dict(named_factors(shared)), images, labels, CROSS_ENTROPY)
    expected = weight_saliency(free, dict(named_factors(free)), images, labels, CROSS_ENTROPY)
    for name in expected:
        assert torch.allclose(found[name], expected[name], rtol=1e-4, atol=1e-8)


def test_gates_come_off_again(trained: dict[str, nn.Module], new_context: Callable[..., Any]) -> None:
    network = evaluated(trained["sequential"])
    images = new_context(network).images(4)
    with torch.no_grad():
        before = network(images)
        with gated(network, {"conv2": torch.zeros(1, 16)}):
            assert not torch.equal(network(images), before)
        assert torch.equal(network(images), before)


def test_regressions_are_rated_by_the_tasks_own_loss(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = evaluated(trained["residual"])
    images, _ = new_context(network).examples(COUNT)
    targets = torch.randn(COUNT, 4, generator=torch.Generator().manual_seed(0))
    factor = dict(named_factors(network))["dense1.weight"]
    value = (network(images) - targets).abs().mean()
    (gradient,) = torch.autograd.grad(value, [factor.raw])
    criterion = nn.functional.l1_loss
    found = weight_saliency(network, {"dense1.weight": factor}, images, targets, criterion)
    assert torch.allclose(found["dense1.weight"], (factor.raw * gradient).abs(), rtol=1e-3, atol=1e-7)
