"""Twice the channels, the same function."""

from collections.abc import Callable

import pytest
import torch
from atoll.spaces.channels.widen import widened
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.norm import Norm
from atoll.spaces.layers.structure import named_layers
from atoll.spaces.recipes.recipe import Recipe
from torch import Tensor, nn

SHAPE = (1, 16, 16)
IMAGES = torch.randn(6, *SHAPE, generator=torch.Generator().manual_seed(0))


class Twice(nn.Module):
    """A convolution that runs twice: it reads what it makes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.again = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 6, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        for _ in range(2):
            x = torch.relu(self.again(x))
        return self.head(self.flatten(self.pool(torch.relu(self.last(x)))))


class Concatenated(nn.Module):
    """A layer that reads the channels of one maker twice, with others between them."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(1, 4, 3, padding=1)
        self.other = nn.Conv2d(4, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(14)
        self.both = nn.Conv2d(14, 5, 1)
        self.pool = nn.MaxPool2d(4)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(80, 3)

    def forward(self, x: Tensor) -> Tensor:
        one = torch.relu(self.one(x))
        both = torch.cat([one, torch.relu(self.other(one)), one], 1)
        return self.head(self.flatten(self.pool(torch.relu(self.both(self.norm(both))))))


def varied(network: nn.Module) -> nn.Module:
    """Gives norms statistics that are not zero and one."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, Norm):
            module.running_mean = torch.randn(module.num_features, generator=generator)
            module.running_var = torch.rand(module.num_features, generator=generator) + 0.5
    return network.eval()


def sizes(network: nn.Module) -> dict[str, tuple[int, int]]:
    return {name: (layer.inputs, layer.outputs) for name, layer in named_layers(network)}


def test_twice_the_channels_compute_the_same(network: nn.Module) -> None:
    given = varied(adopt(network, SHAPE))
    before = {name: tensor.clone() for name, tensor in given.state_dict().items()}
    wide = widened(given)
    with torch.no_grad():
        assert torch.allclose(wide(IMAGES), given(IMAGES), atol=1e-5)
    ours, theirs = sizes(wide), sizes(given)
    last = list(theirs)[-1]
    assert all(ours[name][1] == 2 * theirs[name][1] for name in theirs if name != last)
    assert ours[last][1] == theirs[last][1]
    assert all(torch.equal(tensor, before[name]) for name, tensor in given.state_dict().items())
    storages = {tensor.untyped_storage().data_ptr() for tensor in given.state_dict().values()}
    assert not storages & {tensor.untyped_storage().data_ptr() for tensor in wide.state_dict().values()}


def test_in_training_it_computes_the_same_too(network: nn.Module) -> None:
    """Statistics of a batch are those of either channel."""
    given = varied(adopt(network, SHAPE))
    wide = widened(given)
    with torch.no_grad():
        assert torch.allclose(wide.train()(IMAGES), given.train()(IMAGES), atol=1e-4)


def test_widening_twice_makes_it_four_times_as_wide(trained: dict[str, nn.Module]) -> None:
    given = trained["sequential"].eval()
    wide = widened(widened(given))
    with torch.no_grad():
        assert torch.allclose(wide(IMAGES), given(IMAGES), atol=1e-5)
    assert sizes(wide)["conv2"] == (64, 64)


@pytest.mark.parametrize("make", [Twice, Concatenated])
def test_shared_and_concatenated_channels_count_as_often_as_they_are_read(
    make: Callable[[], nn.Module],
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        given = varied(adopt(make(), SHAPE))
    wide = widened(given)
    with torch.no_grad():
        assert torch.allclose(wide(IMAGES), given(IMAGES), atol=1e-5)
    ours, theirs = sizes(wide), sizes(given)
    assert all(ours[name][1] == 2 * theirs[name][1] for name in theirs if name != "head")


def test_noise_tells_the_channels_of_a_pair_apart(trained: dict[str, nn.Module]) -> None:
    """Without it the two have equal gradients; the generator alone decides it."""

    def moved(noise: float, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Returns the weights that make the channels and the gradient of those that read them."""
        network = widened(trained["sequential"], noise, torch.Generator().manual_seed(seed))
        network(IMAGES).square().sum().backward()
        maker, reader = (network.get_submodule(f"{name}.weight").raw for name in ("dense1", "dense2"))
        assert isinstance(maker, Tensor) and isinstance(reader, Tensor) and reader.grad is not None
        return maker.detach(), reader.grad

    _, gradient = moved(noise=0.0)
    assert torch.allclose(gradient[:, :64], gradient[:, 64:], atol=1e-4)
    weight, gradient = moved(noise=0.05)
    assert not torch.allclose(gradient[:, :64], gradient[:, 64:], atol=1e-1)
    assert not torch.equal(weight[:64], weight[64:])
    assert torch.equal(weight, moved(noise=0.05)[0])
    assert not torch.equal(weight, moved(noise=0.05, seed=1)[0])


def test_layers_that_spread_over_maps_are_widened_too() -> None:
    layers = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.ConvTranspose2d(4, 6, 3, 2, 1, 1), nn.ReLU()]
    given = varied(adopt(nn.Sequential(*layers, nn.Conv2d(6, 2, 1)), SHAPE))
    wide = widened(given)
    assert sizes(wide) == {"0": (1, 8), "2": (8, 12), "4": (12, 2)}
    with torch.no_grad():
        assert torch.allclose(wide(IMAGES), given(IMAGES), atol=1e-6)


def test_a_compressed_network_is_refused(trained: dict[str, nn.Module]) -> None:
    planned = Recipe.parse("quantize(bits=8)").steps[0].plan(trained["sequential"])
    with pytest.raises(AtollError, match="got conv1, a layer of type conv that is compressed already"):
        widened(planned)
