"""Passes in stages: what is mended through them is what whole passes give, to the last bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from atoll.spaces.channels import passes, removal
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers import statistics
from atoll.spaces.recipes.recipe import Recipe
from torch import Tensor, nn

RECIPES = (
    "prune_channels(ratio=0.5, multiple=1)",
    'tucker(rank=0.5, fit_steps=5) -> prune_channels(ratio=0.5, multiple=4, criterion="taylor")',
    "tensor_train(rank=4, fit_steps=5) -> prune_weights(layers=last) -> prune_channels(multiple=4)",
)


class Joined(nn.Module):
    """Concatenated features, a depthwise convolution, and a head that reads early and late ones."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.depthwise, self.norm3 = nn.Conv2d(12, 12, 3, padding=1, groups=12), nn.BatchNorm2d(12)
        self.point, self.norm4 = nn.Conv2d(12, 12, 1), nn.BatchNorm2d(12)
        self.head = nn.Linear(20, 4)

    def forward(self, x: Tensor) -> Tensor:
        first = torch.relu(self.norm1(self.conv1(x)))
        both = torch.cat([first, torch.relu(self.norm2(self.conv2(first)))], 1)
        deep = torch.relu(self.norm4(self.point(torch.relu(self.norm3(self.depthwise(both))))))
        return self.head(torch.cat([deep.mean(dim=(2, 3)), first.mean(dim=(2, 3))], 1))


class Twice(nn.Module):
    """A layer and a normalisation that are called twice: what is measured of them is not complete before."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(self.norm(self.conv2(torch.relu(self.conv2(x)))))
        return self.head(x.mean(dim=(2, 3)))


OTHERS = {"joined": Joined, "twice": Twice}


@pytest.fixture(params=["sequential", "residual", *OTHERS])
def network(request: pytest.FixtureRequest, trained: dict[str, nn.Module]) -> nn.Module:
    if request.param in trained:
        return trained[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return adopt(OTHERS[request.param](), (1, 16, 16)).eval()


@pytest.mark.parametrize("recipe", RECIPES)
def test_stages_give_what_whole_passes_give(
    recipe: str, network: nn.Module, new_context: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers with norms and without, in forms that are fitted by steps, and under constraints."""
    *before, prune = Recipe.parse(recipe)
    monkeypatch.setattr(statistics, "BATCH", 20)
    start = network
    for step in before:
        start, _ = step.apply(start, new_context(start))
    made: list[Any] = []

    def watched(*given: Any) -> Any:
        made.append(passes.passes_over(*given))
        return made[-1]

    found = []
    for chosen in (watched, passes.Whole):
        monkeypatch.setattr(removal, "passes_over", chosen)
        pruned, decisions = prune.apply(start, new_context(start))
        found.append((pruned.state_dict(), decisions))
    assert isinstance(made[0], passes.Whole if "norm" in dict(network.named_modules()) else passes.Stages)
    (staged, decided), (whole, wanted) = found
    assert decided == wanted
    assert decided["structure"]
    assert list(staged) == list(whole)
    for name, tensor in whole.items():
        assert torch.equal(staged[name], tensor), name


def test_every_layer_runs_three_times_however_many_are_mended(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network, calls = trained["residual"], []
    layers = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    (step,) = Recipe.parse("prune_channels(ratio=0.5, multiple=1)")

    def count(_: nn.Module, images: tuple[Tensor], output: Tensor) -> None:
        calls.extend([1] * (not output.is_meta))  # a plan asks for shapes alone

    handles = [layer.register_forward_hook(count) for layer in layers]
    try:  # a copy of the network keeps its hooks
        step.apply(network, new_context(network))
    finally:
        for handle in handles:
            handle.remove()
    assert layers and len(calls) <= 3 * len(layers)


@pytest.mark.parametrize(
    ("recipe", "build", "in_stages"),
    [("", Joined, True), ("", Twice, False), ("quantize", Joined, False)],
)
def test_whole_passes_where_stages_could_not_tell(
    recipe: str, build: Callable[[], nn.Module], in_stages: bool, new_context: Callable[..., Any]
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = adopt(build(), (1, 16, 16)).eval()
    for step in Recipe.parse(recipe) if recipe else ():
        network, _ = step.apply(network, new_context(network))
    found = passes.passes_over(network, network, torch.rand(8, 1, 16, 16))
    assert isinstance(found, passes.Stages) == in_stages
