"""A second, narrower quantization of some layers: the file is the network, and is as its plan says."""

import pytest
import torch
from atoll.evaluators.litert.inspect import tensor_rows
from atoll.spaces.layers.structure import structure, to_meta
from atoll.spaces.recipes.recipe import Recipe
from torch import Tensor, nn


class Parts(nn.Module):
    """Two convolutions and three dense layers, in two parts."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(), nn.Flatten()
        )
        self.classifier = nn.Sequential(nn.Linear(72, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.classifier(self.features(x)))


@pytest.mark.parametrize(
    ("first", "second", "types"),
    [
        ("bits=4, first_last=same", "bits=2", ["int4", "int4", "int2", "int2", "int4"]),
        ("bits=8", "bits=4", ["int8", "int8", "int4", "int4", "int8"]),
        (
            "bits=16, activations=float",
            "bits=4, activations=float",
            ["float16"] * 2 + ["int4"] * 2 + ["float16"],
        ),
    ],
)
def test_the_narrower_of_two_is_in_the_file(
    first: str, second: str, types: list[str], compressed, written
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images, network = torch.randn(32, 3, 8, 8), Parts()
    recipe = f"quantize({first}) -> quantize({second}, layers=classifier.*)"
    model = compressed(network, images, recipe)
    content = written(model, images, share=0.2)
    assert [row.dtype for row in tensor_rows(content) if row.constant and len(row.shape) > 1] == types
    planned = to_meta(compressed(network, images, "baseline"))
    for step in Recipe.parse(recipe):
        planned = step.plan(planned)
    assert structure(planned) == structure(model)
