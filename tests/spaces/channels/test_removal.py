"""Mending a network that lost channels: layer by layer, in the order in which they run."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from atoll.spaces.channels import removal
from atoll.spaces.channels.reconstruction import reconstruct
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.kernels.layer_fit import fit_layer
from atoll.spaces.layers.layer import Layer
from atoll.spaces.layers.structure import named_layers
from atoll.spaces.recipes.recipe import Recipe
from torch import Tensor, nn


class Block(nn.Module):
    """A residual block whose layers are defined in another order than they run."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 4)
        self.last = nn.Conv2d(6, 8, 3, padding=1)
        self.first = nn.Conv2d(8, 6, 3, padding=1)
        self.stem = nn.Conv2d(1, 8, 3, stride=4, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = x + self.last(torch.relu(self.first(x)))
        return self.head(x.mean(dim=(2, 3)))


def test_layers_are_mended_as_they_run(
    new_context: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = adopt(Block(), (1, 16, 16))
    seen: list[tuple[int, int]] = []

    def watched(layer: Layer, *rest: Any) -> str | None:
        seen.append((layer.inputs, layer.outputs))
        return reconstruct(layer, *rest)

    monkeypatch.setattr(removal, "reconstruct", watched)
    (step,) = Recipe.parse("prune_channels(ratio=0.5, multiple=1)")
    step.apply(network, new_context(network))
    assert seen == [(4, 3), (3, 4), (4, 4)]  # first, last, head


@pytest.mark.parametrize("text", ["tucker(rank=0.5, fit_steps=5)", "svd(rank=4, fit_steps=5)"])
def test_decomposed_layers_are_fitted_too(
    text: str,
    trained: dict[str, nn.Module],
    new_context: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (step,) = Recipe.parse(text)
    network, _ = step.apply(trained["sequential"], new_context(trained["sequential"]))
    fitted: list[str] = []

    def watched(layer: Layer, *rest: Any) -> float:
        fitted.append(layer.type_name)
        return fit_layer(layer, *rest)

    monkeypatch.setattr(removal, "fit_layer", watched)
    (prune,) = Recipe.parse("prune_channels(ratio=0.5)")
    prune.apply(network, new_context(network))
    decomposed = [layer.type_name for _, layer in named_layers(network) if layer.decomposed]
    assert fitted == decomposed != []


def test_layers_that_cannot_be_refitted_are_told(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["sequential"]
    for text in ("prune_weights(layers=conv2)", "quantize(layers=dense1)"):
        (step,) = Recipe.parse(text)
        network, _ = step.apply(network, new_context(network))
    prune, unfitted = Recipe.parse("prune_channels -> prune_channels(refit=none)")
    _, decisions = prune.apply(network, new_context(network))
    assert decisions["not_refitted"] == {
        "conv2": "its weights are under constraints: mask",
        "dense1": "it computes on activations of 8 bits",
    }
    for step, model in ((unfitted, network), (prune, trained["sequential"])):
        assert "not_refitted" not in step.apply(model, new_context(model))[1]


def test_layers_that_cannot_be_refitted_cost_no_passes(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    quantize, prune, unfitted = Recipe.parse("quantize -> prune_channels -> prune_channels(refit=none)")
    network, _ = quantize.apply(trained["sequential"], new_context(trained["sequential"]))
    passes: list[int] = []

    def count(step: Any) -> int:
        passes.clear()
        _, decisions = step.apply(network, new_context(network))
        assert ("not_refitted" in decisions) == (step is prune)
        return len(passes)

    # a copy of the network keeps its hooks
    network.register_forward_hook(lambda *_: passes.append(1))
    assert count(prune) == count(unfitted) > 0
