"""Bias correction: no layer's mean is off on the images that it saw; on a linear layer in closed form."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.norm import Norm
from atoll.spaces.layers.program import Program
from atoll.spaces.layers.statistics import BATCH, reestimate
from atoll.spaces.layers.structure import named_layers
from atoll.spaces.quantization.bias_correction import correct_biases
from atoll.spaces.quantization.weight_grids import WeightGrids, quantize_layers
from atoll.spaces.recipes.recipe import Recipe
from torch import Tensor, nn


def quantized(network: nn.Module, images: Tensor, bits: int, activations: str) -> tuple[nn.Module, list[str]]:
    copy = deepcopy(network)
    names = [name for name, _ in named_layers(copy)]
    quantize_layers(copy, dict.fromkeys(names, bits), WeightGrids(), activations)
    reestimate(copy, images)
    return copy, names


def test_a_linear_layer_in_closed_form() -> None:
    """b' = b - (W~ - W) E[x], and the mean of what it gives is that of the float layer."""
    torch.manual_seed(0)
    network = adopt(nn.Sequential(nn.Linear(9, 4)).eval(), (9,))
    images = torch.rand(64, 9) + 0.5
    copy, names = quantized(network, images, 3, "float")
    before, after = network.get_submodule("0"), copy.get_submodule("0")
    error = after.weight.effective() - before.weight.effective()
    assert correct_biases(copy, network, names, images) == {}
    torch.testing.assert_close(after.bias, before.bias - error @ images.mean(dim=0))
    with torch.no_grad():
        torch.testing.assert_close(copy(images).mean(dim=0), network(images).mean(dim=0))
    assert (error @ images.mean(dim=0)).abs().max() > 0.01


class Mixed(nn.Module):
    """A convolution with a normalisation, two without, and a dense layer, joined by ReLU."""

    def __init__(self, pooled: bool) -> None:
        super().__init__()
        self.pooled = pooled
        self.first, self.norm = nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.second, self.bare = nn.Conv2d(6, 5, 3), nn.Conv2d(5, 5, 1, bias=False)
        self.last = nn.Linear(5 if pooled else 5 * 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.second(torch.relu(self.norm(self.first(x)))))
        x = torch.relu(self.bare(x))
        return self.last((F.adaptive_avg_pool2d(x, 1) if self.pooled else x).flatten(1))


def means(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Returns the means of what layers give before their grids, with all before them as they are."""
    found: dict[str, Tensor] = {}
    grids: dict[nn.Module, Any] = {}

    def note(name: str) -> Callable[[Any, Any, Tensor], Tensor]:
        def hook(module: nn.Module, _: Any, output: Tensor) -> Tensor:
            found[name] = output.mean(dim=[0, *range(2, output.dim())])
            return output if grids[module] is None else grids[module](output)

        return hook

    for name in ("norm", "second", "bare", "last"):
        module: Any = network.get_submodule(name)
        grids[module], module.output_grid = module.output_grid, None
        module.register_forward_hook(note(name))
    with torch.no_grad():
        network(images)
    return found


@pytest.mark.parametrize("pooled", [False, True])
def test_every_layer_has_the_mean_of_the_float_one_whatever_moved_it(pooled: bool) -> None:
    torch.manual_seed(0)
    network = adopt(Mixed(pooled), (2, 6, 6))
    assert isinstance(network, Program) == pooled  # whose grids are on its values, not in its layers
    images = torch.rand(50, 2, 6, 6) + 0.3
    reestimate(network, images)  # statistics that belong to the network
    copy, names = quantized(network, images, 4, "int8")
    # statistics measured with other weights move the mean of what follows: back to those of the float one
    as_was = means(deepcopy(copy), images)
    left = correct_biases(copy, network, names, images)
    assert list(left) == ["bare"] and "bias" in left["bare"]
    assert not copy.training and isinstance(copy.get_submodule("norm"), Norm)
    grids = [name for name, one in copy.named_modules() if getattr(one, "output_grid", None) is not None]
    assert grids == ([] if pooled else ["norm", "second", "bare", "last"])  # where they were
    wanted, found = means(deepcopy(network), images), means(deepcopy(copy), images)
    for name in ("norm", "second", "last"):
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-5, atol=1e-6)
    for name in ("second", "last"):
        assert (as_was[name] - wanted[name]).abs().max() > 1e-3
    assert (found["bare"] - wanted["bare"]).abs().max() > 1e-4


def test_as_a_setting_it_brings_the_outputs_back_to_their_mean(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network = trained["sequential"]
    context = new_context(network)
    images = context.images(BATCH)
    with torch.no_grad():
        wanted = network.eval()(images).mean(dim=0)
        off = []
        for setting in ("none", "empirical"):
            step = Recipe.parse(f"quantize(bits=4, method=ptq, correct_bias={setting})").steps[0]
            found, decisions = step.apply(network, context)
            off.append(float((found(images).mean(dim=0) - wanted).abs().max()))
    assert list(decisions["not_corrected"]) == ["conv1"]  # its normalisation comes behind a ReLU
    assert off[1] < 0.2 * off[0]
