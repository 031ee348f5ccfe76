"""Residual, inception and dense networks, and the two surrogates: techniques plan on them, files are right.

What is run are the networks with a tenth of their channels, at the smallest inputs, with random weights.
"""

from collections import Counter
from functools import cache

import numpy as np
import pytest
import torch
from atoll.evaluators.litert.lower import lower
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.hw_models.tables.file_table import layer_table_of
from atoll.hw_models.tables.layer_table import LayerTable
from atoll.hw_models.tables.network_table import layer_table
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.graph.heads import heads
from atoll.spaces.networks import build_network
from atoll.spaces.recipes.recipe import Recipe
from torch import nn

#: each with a small input, not square where it need not be, and odd, so that windows reach over the border;
#: ResNet-152 is ResNet-50 with more units
SHAPES = {
    "resnet50_v1": (3, 33, 36),
    "resnet50_v2": (3, 40, 33),
    "inception_v1": (3, 33, 40),
    "inception_v4": (3, 75, 80),
    "densenet121": (3, 37, 29),
    "east_resnet50": (3, 64, 32),
    "text_recognition_unidentified": (3, 16, 20),
}

INTEGER, CHAINS = "quantize(bits=8)", "tucker(rank=0.5)"


def planned(name: str, recipe: str) -> nn.Module:
    """The network under a recipe, on the meta device."""
    with torch.device("meta"):
        network = adopt(build_network(name, 7, SHAPES[name]), SHAPES[name])
    for step in Recipe.parse(recipe):
        network = step.plan(network)
    return network.eval()


@cache
def shrunk(name: str) -> nn.Module:
    """The network with a tenth of its channels and random weights, none of which drown the others."""
    network = planned(name, "prune_channels(ratio=0.9)").to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for path, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if not tensor.is_floating_point():
                tensor.zero_()
            elif tensor.dim() > 1:
                tensor.normal_(0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
            else:
                tensor.uniform_(0.5 if path.endswith("running_var") else -0.3, 0.6, generator=generator)
    return network


@cache
def content(name: str) -> bytes:
    return lower(shrunk(name), SHAPES[name])


@pytest.mark.parametrize("name", SHAPES)
def test_the_file_gives_what_the_network_gives(name: str) -> None:
    image = torch.rand(1, *SHAPES[name], generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        expected: tuple[torch.Tensor, ...] = heads(shrunk(name)(image))
    got = LiteRtRunner(content(name)).run_heads(image[0].permute(1, 2, 0).numpy())
    assert len(got) == len(expected)
    for found, wanted in zip(got, expected, strict=True):
        wanted = wanted.permute(0, 2, 3, 1) if wanted.dim() == 4 else wanted
        assert float(wanted.std()) > 1e-4, "the output depends on something"
        np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4 * float(wanted.abs().max()))


@pytest.mark.parametrize("name", SHAPES)
def test_the_table_has_the_operations_of_the_file(name: str) -> None:
    """But for zeros that torch's windows have on other sides than LiteRT's: these the file adds itself."""
    from_file = layer_table_of(TfliteFile.parse(content(name)), name)
    from_trace = layer_table(shrunk(name), SHAPES[name])
    assert operations(from_file) == operations(from_trace)
    assert from_file.total(lambda cost: cost.macs) == from_trace.total(lambda cost: cost.macs)


def operations(table: LayerTable) -> Counter[str]:
    """How many operations there are of each kind; a norm by itself is a depthwise convolution of 1x1."""
    kinds = ("depthwise" if row.cost.kind == "norm" else row.cost.kind for row in table.rows)
    return Counter(kind for kind in kinds if kind != "move")


@pytest.mark.parametrize("name", ["resnet50_v2", "inception_v1", "densenet121", "east_resnet50"])
def test_quantization_plans_on_it(name: str) -> None:
    before, after = (layer_table(planned(name, recipe), SHAPES[name]) for recipe in ("baseline", INTEGER))
    assert after.macs == before.macs
    assert after.weight_bytes < 0.3 * before.weight_bytes


@pytest.mark.parametrize("name", ["resnet50_v1", "inception_v4", "densenet121", "east_resnet50"])
def test_decomposition_plans_on_it(name: str) -> None:
    """Pruning does too: what runs above was planned."""
    before, after = (layer_table(planned(name, recipe), SHAPES[name]) for recipe in ("baseline", CHAINS))
    assert after.macs < 0.95 * before.macs
