"""Adopting a network, replacing its layers, and the sentences for networks that are not supported."""

import pytest
import torch
from atoll.spaces.errors import AtollError
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.conv import Conv
from atoll.spaces.layers.dense import Dense
from atoll.spaces.layers.norm import Norm
from atoll.spaces.layers.structure import (
    apply_structure,
    input_shape_of,
    named_layers,
    replace,
    structure,
    to_meta,
)
from torch import Tensor, nn

SHAPE = (3, 8, 8)
X = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(0))


def varied() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, (3, 5), padding="same", dilation=(2, 1)),
        nn.BatchNorm2d(6, affine=False),
        nn.SiLU(),
        nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=3, bias=False),
        nn.BatchNorm2d(6, eps=1e-3, momentum=None),
        nn.Conv2d(6, 4, 1, padding="valid"),
        nn.Flatten(),
        nn.Linear(64, 5),
    )


def test_an_adopted_network_is_the_same_function_with_its_own_tensors() -> None:
    network = varied()
    network.train()
    network(X)
    network.eval()
    ours = adopt(network, SHAPE)
    with torch.no_grad():
        assert torch.allclose(ours(X), network(X), atol=1e-6)
    theirs = {tensor.untyped_storage().data_ptr() for tensor in network.state_dict().values()}
    assert not theirs & {tensor.untyped_storage().data_ptr() for tensor in ours.state_dict().values()}
    assert [type(layer) for _, layer in named_layers(ours)] == [Conv, Conv, Conv, Dense]
    assert input_shape_of(ours) == SHAPE


def test_a_norm_that_is_not_trained_stays_so() -> None:
    ours = adopt(varied(), SHAPE)
    norm = ours.get_submodule("1")
    assert isinstance(norm, Norm)
    assert not norm.weight.requires_grad


def test_the_structure_gives_the_network_back() -> None:
    network = adopt(varied(), SHAPE).eval()
    empty = adopt(varied(), SHAPE)
    apply_structure(empty, structure(network))
    empty.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(empty.eval()(X), network(X))


def test_structure_on_meta_has_no_data_and_shares_as_the_network_does() -> None:
    network = adopt(varied(), SHAPE)
    meta = to_meta(network)
    assert all(tensor.is_meta for tensor in meta.state_dict().values())
    assert not any(tensor.is_meta for tensor in network.state_dict().values())
    assert structure(meta) == structure(network)
    wanted = [parameter.requires_grad for parameter in network.parameters()]
    assert [parameter.requires_grad for parameter in meta.parameters()] == wanted


class Shared(nn.Module):
    """One convolution under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.second = nn.Sequential(self.first, nn.ReLU())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x)))


def test_a_shared_layer_stays_shared() -> None:
    network = Shared()
    ours = adopt(network, SHAPE)
    assert isinstance(ours.first, Conv)
    assert ours.second[0] is ours.first
    with torch.no_grad():
        assert torch.allclose(ours(X), network(X), atol=1e-6)
    replace(ours, "first", nn.Identity())
    assert isinstance(ours.second[0], nn.Identity)
    assert to_meta(adopt(network, SHAPE)).first is not None


class WithCount(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, int]:
        return x.flatten(1), 2


class Tied(nn.Module):
    """Two convolutions with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


class NoImages(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(7, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x.flatten(1))


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (WithCount(), "WithCount: got a network that returns int, allowed are a tensor, and tuples"),
        (NoImages(), "NoImages does not run on images of 8x8x3"),
        (nn.BatchNorm2d(3, track_running_stats=False), "track_running_stats False: allowed is True"),
        (
            Tied(),
            "0.first.weight and 0.second.weight are one tensor: allowed are layers with weights of thei",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_supported_is_told_in_a_sentence(network: nn.Module, sentence: str) -> None:
    with pytest.raises(AtollError, match=sentence):
        adopt(nn.Sequential(network) if not isinstance(network, WithCount | NoImages) else network, SHAPE)


def test_a_bare_layer_is_refused_in_a_sentence() -> None:
    with pytest.raises(AtollError, match="got a bare Conv2d: allowed is a network that holds it"):
        adopt(nn.Conv2d(3, 3, 1), SHAPE)


def test_whole_attention_of_torch_s_is_adopted_in_parts() -> None:
    """Its own code reads the tensors of the linear layers in it by name."""

    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.attention = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(self.conv(x).flatten(2).transpose(1, 2))

    given = Attends().eval()
    network = adopt(given, SHAPE).eval()
    names = [name for name, _ in named_layers(network)]
    assert names[0] == "conv" and {"attention.linear1", "attention.linear2"} < set(names)
    images = torch.rand(2, *SHAPE)
    with torch.no_grad():
        torch.testing.assert_close(network(images), given(images), rtol=1e-5, atol=1e-5)


def test_a_network_that_was_not_adopted_has_no_input_shape() -> None:
    with pytest.raises(AtollError, match=r"Sequential was not adopted: call adopt\(network, input_shape\)"):
        input_shape_of(varied())
