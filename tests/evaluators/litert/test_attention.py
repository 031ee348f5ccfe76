"""Attention from its parts, beside a token and an embedding: exact in float, in integers where it can be."""

import pytest
import torch
import torch.nn.functional as F
from atoll.evaluators.litert.inspect import float_tensors, operator_names
from atoll.evaluators.measuring.measure import parameter_count
from atoll.hw_models.tables.network_table import layer_table
from atoll.spaces.channels.groups import channel_groups
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.dense import Dense
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


class Whole(nn.Module):
    """Torch's own module, of rows among each other and of rows to others of another width."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches, self.head = nn.Conv2d(3, WIDTH, 4, 4), nn.Linear(WIDTH, 5)
        self.own = nn.MultiheadAttention(WIDTH, HEADS, dropout=0.1, batch_first=True)
        self.other = nn.MultiheadAttention(WIDTH, HEADS, bias=False, kdim=9, vdim=9, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        columns = self.patches(x).flatten(2)
        rows = columns.transpose(1, 2)
        rows = rows + self.own(rows, rows, rows)[0]
        return self.head(self.other(rows, columns, columns, need_weights=False)[0].mean(1))


def test_whole_attention_is_adopted_in_parts(written, compressed) -> None:
    network = Whole().eval()
    adopted = adopt(network, SHAPE).eval()
    assert torch.allclose(adopted(IMAGES), network(IMAGES), atol=1e-6)
    assert isinstance(adopted.get_submodule("own.queries"), Dense)
    assert parameter_count(adopted) == sum(parameter.numel() for parameter in network.parameters())
    written(adopted, IMAGES)
    assert not float_tensors(written(compressed(network, IMAGES, "quantize(bits=8)"), IMAGES, 2.01, 0.6))


class Encoder(nn.Module):
    def __init__(self, **options: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches, self.head = nn.Conv2d(3, WIDTH, 4, 4), nn.Linear(WIDTH, 5)
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, batch_first=True, **options)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


@pytest.mark.parametrize("options", [{}, {"norm_first": True, "activation": "gelu"}], ids=["after", "before"])
def test_a_whole_encoder_is_adopted_in_parts(options: dict, written) -> None:
    network = Encoder(**options).eval()
    adopted = adopt(network, SHAPE).eval()
    assert torch.allclose(adopted(IMAGES), network(IMAGES), atol=1e-5)
    assert isinstance(adopted.get_submodule("encoder.layers.1.self_attn.keys"), Dense)
    assert parameter_count(adopted) == sum(parameter.numel() for parameter in network.parameters())
    written(adopted, IMAGES)


def test_attention_with_a_mask_stays_as_it_is() -> None:
    class Masked(Whole):
        def forward(self, x: Tensor) -> Tensor:
            rows = self.patches(x).flatten(2).transpose(1, 2)
            mask = torch.zeros(rows.shape[1], rows.shape[1], device=x.device)
            return self.head(self.own(rows, rows, rows, attn_mask=mask)[0].mean(1))

    network = Masked().eval()
    assert torch.allclose(adopt(network, SHAPE).eval()(IMAGES), network(IMAGES), atol=1e-5)
