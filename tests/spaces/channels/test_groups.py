"""Removing channels against zeroing them where they are read: the same function."""

import re
from collections.abc import Callable

import pytest
import torch
from atoll.spaces.channels.channel_group import ChannelGroup
from atoll.spaces.channels.groups import channel_groups, keep_channels
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.conv import Conv
from atoll.spaces.layers.dense import Dense
from atoll.spaces.layers.flatten import ChannelsLastFlatten
from atoll.spaces.layers.layer import Layer
from atoll.spaces.layers.norm import Norm
from atoll.spaces.techniques.prune_channels import PruneChannels
from torch import Tensor, nn

SHAPE = (2, 8, 8)
X = torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(0))


class Varied(nn.Module):
    """A shortcut, a depthwise convolution, two branches added, pooling, a flatten and two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 12, 3, padding=1)
        self.depthwise = nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.norm = nn.BatchNorm2d(12)
        self.pointwise = nn.Conv2d(12, 12, 1)
        self.inner = nn.Conv2d(12, 8, 3, padding=1, stride=2)
        self.pool = nn.AvgPool2d(2)
        self.flatten = nn.Flatten()
        self.dense1 = nn.Linear(32, 10)
        self.norm1 = nn.BatchNorm1d(10)
        self.dense2 = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = x + self.pointwise(torch.relu(self.norm(self.depthwise(x))))
        x = self.flatten(self.pool(torch.relu(self.inner(x))))
        return self.dense2(torch.relu(self.norm1(self.dense1(x))))


def adopted(network: nn.Module) -> nn.Module:
    """Adopts a network and gives its norms statistics that are not zero and one."""
    ours = adopt(network, SHAPE)
    generator = torch.Generator().manual_seed(1)
    for module in ours.modules():
        if isinstance(module, Norm):
            module.running_mean = torch.randn(module.num_features, generator=generator)
            module.running_var = torch.rand(module.num_features, generator=generator) + 0.5
            with torch.no_grad():
                module.bias.copy_(torch.randn(module.num_features, generator=generator))
    return ours.eval()


def group_made_by(network: nn.Module, maker: str) -> ChannelGroup:
    (found,) = [group for group in channel_groups(network, SHAPE) if maker in group.makers]
    return found


def without(channels: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor]]:
    def zero(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        changed = inputs[0].clone()
        changed[:, channels] = 0
        return (changed,)

    return zero


@pytest.mark.parametrize(
    ("maker", "makers", "read_at"),
    [
        ("stem", ["stem", "pointwise"], ["pointwise", "inner"]),
        ("inner", ["inner"], ["flatten"]),
        ("dense1", ["dense1"], ["dense2"]),
    ],
)
def test_the_smaller_network_is_the_masked_one(maker: str, makers: list[str], read_at: list[str]) -> None:
    network = adopted(Varied())
    group = group_made_by(network, maker)
    assert (group.makers, group.fixed) == (makers, "")
    kept = torch.tensor([0, 2, 3, 7])
    gone = torch.tensor([n for n in range(group.size) if n not in kept])
    handles = [network.get_submodule(path).register_forward_pre_hook(without(gone)) for path in read_at]
    with torch.no_grad():
        masked = network(X)
    for handle in handles:
        handle.remove()
    keep_channels(network, group, kept)
    with torch.no_grad():
        assert torch.allclose(network(X), masked, atol=1e-5)
    assert all(layer.outputs == 4 for layer in (network.get_submodule(path) for path in makers))


def test_both_flattenings_give_the_same_network(trained: dict[str, nn.Module]) -> None:
    """The tiny sequential network flattens position by position, as Keras does."""
    network = adopt(trained["sequential"], (1, 16, 16)).eval()
    images = torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    (group,) = [g for g in channel_groups(network, (1, 16, 16)) if "conv2" in g.makers]
    kept = torch.tensor([1, 4, 5, 11, 15])
    gone = torch.tensor([n for n in range(16) if n not in kept])
    handle = network.get_submodule("flatten").register_forward_pre_hook(without(gone))
    with torch.no_grad():
        masked = network(images)
    handle.remove()
    keep_channels(network, group, kept)
    with torch.no_grad():
        assert torch.allclose(network(images), masked, atol=1e-5)
    assert network.get_submodule("dense1").inputs == 5 * 16


def test_input_and_output_are_fixed() -> None:
    groups = channel_groups(adopted(Varied()), SHAPE)
    assert [(group.makers, group.fixed) for group in groups if group.fixed] == [
        (["dense2"], "the network's output")
    ]


class Between(nn.Module):
    """Two convolutions with something between them."""

    def __init__(self, between: Callable[[Tensor], Tensor], head: nn.Module) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.between = between
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.between(self.first(x))))


class Concatenating(nn.Module):
    """Concatenated maps are normalised, convolved depthwise, concatenated again, flattened and read."""

    def __init__(self, flatten: nn.Module) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(14)
        self.depthwise = nn.Conv2d(14, 14, 3, padding=1, groups=14)
        self.third = nn.Conv2d(14, 8, 1)
        self.flatten = flatten
        self.dense1 = nn.Linear(22 * 64, 9)
        self.norm1 = nn.BatchNorm1d(22 * 64)
        self.dense2 = nn.Linear(18, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        x = torch.cat([x, self.second(x)], 1)
        x = torch.relu(self.depthwise(self.norm(x)))
        x = torch.cat([x, self.third(x)], 1)
        x = self.dense1(self.norm1(self.flatten(x)))
        return self.dense2(torch.cat([x, x.sigmoid()], 1))


class Squeezing(nn.Module):
    """Squeeze and excitation: channels times a factor each."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 8, 3, padding=1)
        self.squeeze = nn.Linear(8, 4)
        self.excite = nn.Linear(4, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.silu(self.conv(x))
        batch, channels, _, _ = x.shape
        factor = torch.relu(self.squeeze(x.mean((2, 3))))
        x = x * torch.sigmoid(self.excite(factor)).view(batch, channels, 1, 1)
        return self.head(nn.functional.adaptive_avg_pool2d(x, 1).view(batch, -1))


class Sharing(nn.Module):
    """One convolution and one norm over two paths, one dense layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(2, 8, 3, padding=1)
        self.right = nn.Conv2d(2, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.both = nn.Conv2d(8, 6, 3, padding=1)
        self.head = nn.Linear(6, 6)
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        left = self.both(torch.relu(self.norm(self.left(x)))).mean((2, 3))
        right = self.both(torch.relu(self.norm(self.right(x)))).mean((2, 3))
        return self.last(self.head(torch.relu(self.head(left)) + right))


class Rows(nn.Module):
    """Channels last and back, rows of positions, parts of maps, padding; flattened with channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 8, 3, padding=1)
        self.widen = nn.Linear(8, 16)
        self.narrow = nn.Linear(16, 8)
        self.second = nn.Conv2d(8, 6, 3)
        self.rows = nn.Linear(6, 9)
        self.head = nn.Linear(21 * 9, 7)
        self.last = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        x = x + self.narrow(torch.relu(self.widen(x.permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)
        pooled = x.mean(3).transpose(1, 2).mean(1)
        x = nn.functional.pad(x[:, :, 1:6], (0, 1, 2, 0))
        x = self.rows(torch.tanh(self.second(x)).flatten(2).transpose(1, 2)[:, 14:])
        return self.last(torch.cat([torch.relu(self.head(x.flatten(1))), pooled, x[:, 3]], 1))


@pytest.mark.parametrize(
    ("network", "made"),
    [
        (Rows(), [["first", "narrow"], ["widen"], ["second"], ["rows"], ["head"]]),
        (Concatenating(nn.Flatten()), [["first"], ["second"], ["third"], ["dense1"]]),
        (Concatenating(ChannelsLastFlatten()), [["first"], ["second"], ["third"], ["dense1"]]),
        (Squeezing(), [["conv", "excite"], ["squeeze"]]),
        (Sharing(), [["left", "right"], ["both", "head"]]),
    ],
    ids=["rows", "concatenated", "concatenated-channels-last", "squeezed", "shared"],
)
def test_groups_go_one_after_the_other(network: nn.Module, made: list[list[str]]) -> None:
    """All groups shrink, each by channels drawn at random; channels that nobody reads change nothing."""
    ours, generator = adopted(network), torch.Generator().manual_seed(2)
    groups = [group for group in channel_groups(ours, SHAPE) if not group.fixed]
    assert [group.makers for group in groups] == made
    for group in groups:
        kept = torch.randperm(group.size, generator=generator)[: group.size - 3].sort().values
        gone = torch.tensor([n for n in range(group.size) if n not in kept])
        for reader in group.readers:  # what is read with weight 0 may as well be gone
            layer = ours.get_submodule(reader.path)
            assert isinstance(layer, Dense | Conv)
            features = torch.ones(layer.inputs, dtype=torch.bool)
            features[reader.features(kept)] = False
            assert int(features.sum()) % gone.numel() == 0 < int(features.sum())
            weight = layer.weight.effective()
            layer.weight.set(weight * ~features.reshape(-1, *[1] * (weight.dim() - 2)))
        with torch.no_grad():
            before = ours(X)
            keep_channels(ours, group, kept)
            assert torch.allclose(ours(X), before, atol=1e-5)
        assert group.left == group.size - 3
        assert all(ours.get_submodule(path).outputs == group.left for path in group.makers)


def flat_head(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(512, 3))


class ViewHead(nn.Module):
    """A head whose code names the number of features."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(512, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x.view(-1, 512))


@pytest.mark.parametrize(
    ("network", "maker", "reason"),
    [
        (Between(nn.Softmax(1), flat_head()), "first", "read by Softmax"),
        (Between(lambda x: x, ViewHead()), "second", "read by view"),
        (Between(nn.GroupNorm(2, 8), flat_head()), "first", "read by GroupNorm"),
        (Between(nn.Conv2d(8, 8, 1, groups=4), flat_head()), "first", "grouped convolution between"),
        (Between(lambda x: torch.cat([x[:, :4], x[:, 4:]], 1), flat_head()), "first", "read by"),
        (Between(lambda x: x + x.mean(1, keepdim=True), flat_head()), "first", "read by"),
        (Between(nn.Conv2d(8, 8, 1, groups=2), flat_head()), "first", "grouped convolution between"),
        (
            Between(nn.ReLU(), nn.Sequential(nn.Linear(8, 1), nn.Flatten(), nn.Linear(64, 3))),
            "second",
            "read by",
        ),
    ],
    ids=[
        "softmax",
        "view-with-sizes",
        "group-norm",
        "groups",
        "slices",
        "broadcast",
        "grouped",
        "dense-on-rows",
    ],
)
def test_what_is_not_understood_leaves_its_channels_alone(
    network: nn.Module, maker: str, reason: str
) -> None:
    ours = adopted(network)
    assert re.search(reason, group_made_by(ours, maker).fixed)
    with torch.no_grad():
        before = ours(X)
    for group in channel_groups(ours, SHAPE):
        if not group.fixed:
            keep_channels(ours, group, torch.arange(group.size // 2))
    with torch.no_grad():
        assert ours(X).shape == before.shape


@pytest.mark.parametrize(
    "flatten",
    [(nn.Flatten(), nn.Flatten()), (nn.Flatten(2), nn.Flatten()), (nn.Flatten(), nn.BatchNorm1d(512))],
    ids=["twice", "from-2-first", "normalised"],
)
def test_what_is_flattened_is_one_flattening(flatten: tuple[nn.Module, ...]) -> None:
    network = adopted(Between(nn.ReLU(), nn.Sequential(*flatten, nn.Linear(512, 3))))
    group = group_made_by(network, "second")
    assert group.fixed == ""
    kept = torch.tensor([1, 6])
    gone = torch.tensor([0, 2, 3, 4, 5, 7])
    features = (gone[:, None] * 64 + torch.arange(64)).flatten()
    handle = network.head[-1].register_forward_pre_hook(without(features))
    with torch.no_grad():
        masked = network(X)
    handle.remove()
    keep_channels(network, group, kept)
    with torch.no_grad():
        assert torch.allclose(network(X), masked, atol=1e-5)


class Twice(nn.Module):
    """One convolution that runs twice: what it makes is what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1)
        self.again = nn.Conv2d(8, 8, 3, padding=1)
        self.head = flat_head()

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        for _ in range(2):
            x = torch.relu(self.again(x))
        return self.head(x)


def test_a_layer_that_runs_twice_stays_one() -> None:
    network = adopted(Twice())
    for group in channel_groups(network, SHAPE):
        if not group.fixed:
            keep_channels(network, group, torch.arange(group.size // 2))
    with torch.no_grad():
        assert network(X).shape == (5, 3)
    assert isinstance(network.again, Layer)


class Pixels(nn.Module):
    """Channels that become pixels, a norm over what comes of them, pixels that become channels again."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 16, 3, padding=1)
        self.finer, self.norm = nn.PixelShuffle(2), nn.BatchNorm2d(4)
        self.deep, self.coarser = nn.Conv2d(4, 6, 1), nn.PixelUnshuffle(2)
        self.head = nn.Sequential(nn.Conv2d(24, 8, 1), flat_head())

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.norm(self.finer(self.stem(x))))
        return self.head(self.coarser(torch.relu(self.deep(x))))


def test_channels_that_become_pixels_go_in_blocks() -> None:
    network = adopted(Pixels())
    stem, deep = group_made_by(network, "stem"), group_made_by(network, "deep")
    assert (stem.fixed, stem.block, deep.fixed, deep.block) == ("", 4, "", 1)
    scores = torch.arange(16.0)
    scores[0] = 100.0  # the first block matters most by one of its channels, the last by all
    kept, of_deep = stem.largest(scores, 8), torch.tensor([0, 2, 5])
    assert kept.tolist() == [0, 1, 2, 3, 12, 13, 14, 15]
    unread = (torch.tensor([1, 3, 4])[:, None] * 4 + torch.arange(4)).flatten()
    handles = [
        network.deep.register_forward_pre_hook(without(torch.tensor([1, 2]))),
        network.head[0].register_forward_pre_hook(without(unread)),
    ]
    with torch.no_grad():
        masked = network(X)
    for handle in handles:
        handle.remove()
    keep_channels(network, stem, kept)
    keep_channels(network, deep, of_deep)
    assert (network.stem.outputs, network.norm.num_features, network.deep.inputs) == (8, 2, 2)
    with torch.no_grad():
        assert torch.allclose(network(X), masked, atol=1e-5)


def test_whole_blocks_stay() -> None:
    for ratio, multiple, kept in ((0.5, 8, 8), (0.25, 1, 12), (0.3, 1, 12), (0.75, 8, 8), (0.9, 1, 4)):
        assert PruneChannels(ratio=ratio, multiple=multiple).kept_count(16, block=4) == kept
