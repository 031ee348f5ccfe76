"""Attention from its parts, beside a token and an embedding: exact in float, in integers where it can be."""

import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.inspect import float_tensors, operator_names
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.channels.groups import channel_groups
from atoll.spaces.graph.adopt import adopt
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

SHAPE = (3, 12, 12)
IMAGES = torch.rand(12, *SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1
WIDTH, HEADS = 24, 3


class Block(nn.Module):
    """Attention and a perceptron, each behind a LayerNorm (Dosovitskiy et al. 2021, equations 2 and 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.scale = nn.Parameter(torch.rand(WIDTH))

    def attend(self, x: Tensor) -> Tensor:
        parts = self.qkv(x).chunk(3, 2)
        heads = [parts[at].unflatten(2, (HEADS, WIDTH // HEADS)) for at in range(3)]
        q, k, v = (part.transpose(1, 2) for part in heads)
        weights = torch.softmax(torch.matmul(q, k.transpose(2, 3)) * (WIDTH // HEADS) ** -0.5, -1)
        return self.proj((weights @ v).transpose(1, 2).flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(self.first(x))
        return x + self.scale * self.narrow(F.gelu(self.wide(self.second(x))))


class Turned(Block):
    """Queries, keys and values along an axis before that of the batch, as timm and DeiT have them."""

    def attend(self, x: Tensor) -> Tensor:
        parts = self.qkv(x).unflatten(2, (3, HEADS, WIDTH // HEADS)).permute(2, 0, 3, 1, 4)
        q, k, v = parts[0], parts[1], parts.unbind(0)[2]
        weights = torch.softmax(torch.matmul(q, k.transpose(2, 3)) * (WIDTH // HEADS) ** -0.5, -1)
        return self.proj((weights @ v).transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches, self.head = nn.Conv2d(3, WIDTH, 4, 4), nn.Linear(WIDTH, 5)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.place = nn.Parameter(torch.randn(1, 10, WIDTH))
        self.block, self.last = Block(), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        return self.head(self.last(self.block(x))[:, 0])


class Attention(nn.Module):
    """Nothing but what has integer kernels."""

    kind = Block

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches, self.block, self.head = nn.Conv2d(3, WIDTH, 4, 4), self.kind(), nn.Linear(WIDTH, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        return self.head((x + self.block.attend(x)).mean(1))


class TurnedAttention(Attention):
    kind = Turned


@pytest.mark.parametrize("kind", [Transformer, Attention, TurnedAttention])
def test_it_is_adopted_counted_and_written(kind: type[nn.Module], written) -> None:
    network = kind().eval()
    adopted = adopt(network, SHAPE).eval()
    assert torch.allclose(adopted(IMAGES), network(IMAGES), atol=1e-6)
    table = layer_table(adopted, SHAPE)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(IMAGES[:1])
    assert table.macs == counter.get_total_flops() / 2
    if kind is Transformer:
        assert table.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert operator_names(written(adopted, IMAGES)).count("BATCH_MATMUL") == 2


@pytest.mark.parametrize("kind", [Transformer, Attention, TurnedAttention])
def test_among_integers(kind: type[nn.Module], compressed, written) -> None:
    content = written(compressed(kind(), IMAGES, "quantize(bits=8)"), IMAGES, steps=2.01, share=0.35)
    floats = {tensor.operator_name for tensor in float_tensors(content)}
    assert not floats & {"BATCH_MATMUL", "SOFTMAX", "FULLY_CONNECTED"}
    assert not floats or kind is Transformer


def test_the_channels_of_the_perceptron_are_removed(compressed, written) -> None:
    network = compressed(Transformer(), IMAGES, "prune_channels(ratio=0.5)")
    assert network.get_submodule("block.wide").weight.shape == (2 * WIDTH, WIDTH)
    written(network, IMAGES)
    (fixed,) = [g.fixed for g in channel_groups(network, SHAPE) if g.makers == ["block.qkv"]]
    assert fixed.startswith("read by ")
