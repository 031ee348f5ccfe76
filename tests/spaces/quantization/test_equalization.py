"""Cross-layer equalization: the same outputs, and ranges in closed form."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.mask import Mask
from atoll.spaces.layers.structure import named_layers
from atoll.spaces.networks import build_network
from atoll.spaces.quantization.equalization import CUT, equalize, find_pairs
from atoll.spaces.techniques.quantize import NO_PAIR, Quantize
from torch import Tensor, nn


def uneven(network: nn.Sequential, shape: tuple[int, ...]) -> nn.Module:
    """Returns a network, adopted, with statistics that were seen and channels of very different sizes."""
    generator = torch.Generator().manual_seed(1)
    for module in network:
        if isinstance(module, nn.Conv2d | nn.Linear):
            sizes = torch.exp(1.2 * torch.randn(len(module.weight), generator=generator))
            module.weight.data *= sizes.reshape(-1, *[1] * (module.weight.dim() - 1))
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(-1.5, 2.0, generator=generator)
            module.bias.data.normal_(generator=generator)
            module.running_mean.normal_(generator=generator)  # type: ignore[union-attr, operator]
            module.running_var.uniform_(0.2, 2.0, generator=generator)  # type: ignore[union-attr, operator]
    return adopt(network.eval(), shape)


def images(*shape: int, count: int = 6) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(3))


def all_names(network: nn.Module) -> list[str]:
    return [name for name, _ in named_layers(network)]


def equalized(network: nn.Module, shown: Tensor) -> tuple[nn.Module, list[str]]:
    copy = deepcopy(network)
    return copy, equalize(copy, all_names(copy), shown)


def relative(network: nn.Module, other: nn.Module, shown: Tensor) -> float:
    with torch.no_grad():
        wanted, found = network(shown), other(shown)
    return float((wanted - found).abs().max() / wanted.abs().max())


def test_a_pair_has_the_geometric_mean_of_its_ranges() -> None:
    torch.manual_seed(0)
    network = uneven(nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)), (5,))
    before = [network.get_submodule(name).weight.effective().abs() for name in ("0", "2")]
    first, second = before[0].amax(dim=1), before[1].amax(dim=0)
    copy, pairs = equalized(network, images(5))
    after = [copy.get_submodule(name).weight.effective().abs() for name in ("0", "2")]
    assert pairs == ["0 -> 2"]
    for found in (after[0].amax(dim=1), after[1].amax(dim=0)):
        torch.testing.assert_close(found, (first * second).sqrt())
    assert (first / second).log().std() > 0.5  # there was something to do
    assert relative(network, copy, images(5, count=64)) < 1e-5


def test_a_depthwise_layer_shares_one_range_with_both_neighbours() -> None:
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(3, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1),
    ]  # fmt: skip
    network = uneven(nn.Sequential(*layers), (3, 6, 6))
    copy, pairs = equalized(network, images(3, 6, 6))
    assert pairs == ["0 -> 3", "3 -> 6"]
    ends = [find_pairs(one, all_names(one)) for one in (network, copy)]
    before, after = (
        torch.stack([a.first.output_ranges(), b.first.output_ranges(), b.second.input_ranges()])
        for a, b in ends
    )
    mean = before.double().log().mean(dim=0).exp().float()
    torch.testing.assert_close(after, mean.expand(3, -1), rtol=0.02, atol=0)
    assert relative(network, copy, images(3, 6, 6)) < 1e-5


class WithSlopes(nn.Module):
    """Two convolutions by a PReLU, pooled and flattened into a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.slopes = nn.Conv2d(2, 6, 3), nn.PReLU(6)
        self.second, self.last = nn.Conv2d(6, 5, 3, padding=1), nn.Linear(5 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.max_pool2d(self.slopes(self.first(x)), 1)
        x = nn.functional.avg_pool2d(torch.relu(self.second(x)), 2)
        return self.last(x.flatten(1))


def test_through_slopes_pools_and_flattened_maps() -> None:
    torch.manual_seed(0)
    plain = WithSlopes()
    plain.first.weight.data *= torch.logspace(-1, 1, 6).reshape(-1, 1, 1, 1)
    network = adopt(plain.eval(), (2, 6, 6))
    copy, pairs = equalized(network, images(2, 6, 6))
    assert pairs == ["first -> second", "second -> last"]
    columns = copy.get_submodule("last").weight.effective().abs().reshape(3, 5, 4).amax(dim=(0, 2))
    rows = copy.get_submodule("second").weight.effective().abs().flatten(1).amax(dim=1)
    torch.testing.assert_close(rows, columns, rtol=0.03, atol=0)
    assert relative(network, copy, images(2, 6, 6, count=50)) < 1e-5


def test_behind_a_relu6_what_is_cut_stays_and_nothing_else_is_cut() -> None:
    torch.manual_seed(0)
    network = uneven(nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU6(), nn.Conv2d(16, 2, 1)), (3, 4, 4))
    shown = images(3, 4, 4)
    copy, pairs = equalized(network, shown)
    assert pairs == ["0 -> 2"]
    with torch.no_grad():
        before, after = (one.get_submodule("0")(shown).transpose(0, 1).flatten(1) for one in (network, copy))
    cut = before.amax(dim=1) > CUT
    assert 0 < cut.sum() < 16
    torch.testing.assert_close(before[cut], after[cut])
    assert after[~cut].max() <= CUT * (1 + 1e-6)
    assert ((before / after)[~cut, 0] - 1).abs().max() > 0.1
    assert relative(network, copy, shown) < 1e-5


@pytest.mark.parametrize("activation", [nn.ReLU, nn.ReLU6])
def test_features_that_lie_last(activation: type[nn.Module]) -> None:
    torch.manual_seed(0)
    shape = (6, 4)  # six positions, and six features behind the first layer
    network = uneven(nn.Sequential(nn.Linear(4, 6), activation(), nn.Linear(6, 2)), shape)
    copy, pairs = equalized(network, images(*shape))
    assert pairs == ["0 -> 2"]
    assert not torch.equal(
        copy.get_submodule("2").weight.effective(), network.get_submodule("2").weight.effective()
    )
    assert relative(network, copy, images(*shape)) < 1e-5


def test_what_does_not_scale_or_is_read_twice_is_left() -> None:
    shape = (3, 6, 6)

    def pairs(*layers: nn.Module) -> list[str]:
        return equalized(adopt(nn.Sequential(*layers).eval(), shape), images(*shape))[1]

    conv = (nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1))
    assert pairs(conv[0], nn.ReLU(), conv[1]) == ["0 -> 2"]
    assert pairs(conv[0], nn.Sigmoid(), conv[1]) == []
    assert pairs(conv[0], nn.ReLU(), nn.BatchNorm2d(4), conv[1]) == []
    assert pairs(conv[0], nn.ReLU(), nn.Conv2d(4, 4, 1, groups=2)) == []
    assert pairs(conv[0], nn.MaxPool2d(2), nn.ReLU6(), conv[1]) == []
    shared = nn.Conv2d(3, 3, 1)
    assert pairs(shared, nn.ReLU(), shared, nn.ReLU(), conv[0]) == []


def test_a_channel_of_nearly_nothing_stays_and_zeros_stay_zeros() -> None:
    torch.manual_seed(0)
    network = adopt(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).eval(), (4,))
    first = network.get_submodule("0")
    first.weight.raw.data[1] *= 1e-6
    kept = torch.rand(6, 4) > 0.4
    kept[3] = False
    first.weight.impose(Mask(kept))
    copy, pairs = equalized(network, images(4))
    after = copy.get_submodule("0")
    assert pairs == ["0 -> 2"]
    for channel in (1, 3):
        assert torch.equal(after.weight.effective()[channel], first.weight.effective()[channel])
        assert torch.equal(after.bias[channel], first.bias[channel])
    assert torch.equal(after.weight.effective() == 0, first.weight.effective() == 0)
    assert relative(network, copy, images(4)) < 1e-5


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "ds_cnn", "resnet8"])
def test_networks_that_people_ship_say_the_same(name: str) -> None:
    torch.manual_seed(0)
    shape = (1, 49, 10) if name == "ds_cnn" else (3, 32, 32)
    network = adopt(build_network(name, 10, shape).eval(), shape)
    shown = images(*shape, count=2)
    copy, pairs = equalized(network, shown)
    assert len(pairs) >= {"mobilenet_v1": 26, "mobilenet_v2": 30, "ds_cnn": 8, "resnet8": 3}[name]
    assert relative(network, copy, shown) < 1e-5


def test_as_a_setting_it_says_how_many_pairs(
    trained: dict[str, nn.Module], new_context: Callable[..., Any]
) -> None:
    network, context = trained["sequential"], new_context(trained["sequential"])
    step, plain = Quantize(method="ptq", equalize="cross_layer"), Quantize(method="ptq")
    found, decisions = step.apply(network, context)
    # most of its normalisations come behind the activations, and nothing scales through those
    assert decisions["equalized"] == "1 pair of neighbouring layers"
    other, told = plain.apply(network, context)
    assert "equalized" not in told and told["structure"] == decisions["structure"]
    assert not torch.equal(found(context.images(4)), other(context.images(4)))
    alone = adopt(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sigmoid(), nn.Conv2d(4, 4, 3)), (1, 16, 16)).eval()
    (equalized, decisions), (other, _) = (one.apply(alone, new_context(alone)) for one in (step, plain))
    assert decisions["equalized"] == NO_PAIR
    assert torch.equal(equalized(context.images(4)), other(context.images(4)))
