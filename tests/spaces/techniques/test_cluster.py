"""What clustering promises by itself: quantized codebooks, bits counted by hand, layers left alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from atoll.spaces.layers.codebook import Codebook
from atoll.spaces.layers.factor import Factor
from atoll.spaces.layers.structure import named_factors
from atoll.spaces.layers.weight_grid import WeightGrid
from torch import nn

Carry = Callable[..., tuple[nn.Module, dict[str, Any]]]


def factor_of(network: nn.Module, name: str) -> Factor:
    return dict(named_factors(network))[name]


@pytest.mark.parametrize("bits", [8, 4])
def test_shared_values_are_multiples_of_one_step_in_training_too(carry_out: Carry, bits: int) -> None:
    network, _ = carry_out(f"cluster(clusters=32, codebook_bits={bits})", train=True)
    factor = factor_of(network, "dense1.weight")
    grid, codebook = factor.find(WeightGrid), factor.find(Codebook)
    assert grid is not None
    assert codebook is not None
    distinct = factor.effective().unique()
    assert distinct.numel() <= min(32, 2**bits - 1)
    assert grid.scale.numel() == 1
    multiples = distinct / grid.positive_scale().item()
    assert torch.allclose(multiples, multiples.round(), atol=1e-4)
    assert multiples.abs().max() <= 2 ** (bits - 1) - 1 + 1e-4
    for index in codebook.index.unique():
        assert factor.effective()[codebook.index == index].unique().numel() == 1


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("cluster(clusters=32)", 16384 * 5 + 32 * 32),
        ("cluster(clusters=32, codebook_bits=8)", 16384 * 5 + 32 * 8 + 32),
        ("cluster(clusters=8, codebook_bits=4)", 16384 * 3 + 8 * 4 + 32),
        # a bit for where, three for which
        ("prune_weights(ratio=0.75) -> cluster(clusters=8, codebook_bits=8)", 16384 + 4096 * 3 + 8 * 8 + 32),
    ],
)
def test_what_must_be_stored_of_a_dense_layer_of_256_by_64(carry_out: Carry, text: str, bits: int) -> None:
    network, _ = carry_out(text, train=True)
    assert factor_of(network, "dense1.weight").payload_bits() == bits


def test_float_codebooks_are_on_no_grid(carry_out: Carry) -> None:
    network, _ = carry_out("cluster", train=True)
    assert all(factor.find(WeightGrid) is None for _, factor in named_factors(network))


@pytest.mark.parametrize(("earlier", "bits"), [(8, 4), (4, 4)])
def test_a_narrower_grid_stays(carry_out: Carry, earlier: int, bits: int) -> None:
    text = f"quantize(bits={earlier}, first_last=same, activations=float) -> cluster(codebook_bits=4)"
    network, _ = carry_out(text, train=True)
    assert {factor.grid_bits for _, factor in named_factors(network)} == {bits}
    network, _ = carry_out(text.replace("codebook_bits=4", "codebook_bits=8"), train=True)
    assert {factor.grid_bits for _, factor in named_factors(network)} == {earlier}


def test_layers_left_alone_say_why(carry_out: Carry) -> None:
    _, decisions = carry_out("binarize(layers=dense1) -> cluster(clusters=64)")
    assert decisions["left_alone"] == {
        "conv1": "144 weights are too few for 64 shared values",
        "dense1": "its weights are signs: two values cannot be put into fewer groups",
    }


def test_only_the_named_layers_share_values(carry_out: Carry) -> None:
    network, decisions = carry_out("cluster(layers=conv*)")
    found = {name for name, factor in named_factors(network) if factor.find(Codebook) is not None}
    assert found == {"conv1.weight", "conv2.weight"}
    assert decisions["left_alone"] == {}
