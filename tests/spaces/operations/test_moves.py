"""What calls of torch's move is read off strides; carried out again, the moves give the same values."""

import random
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from atoll.spaces.graph.axis_order import (
    alike,
    followed,
    in_torch_s,
    laid_out,
    permuted,
    reshaped,
    transposition,
)
from atoll.spaces.operations.moves import Move, Parts, Permuted, Reshaped, moves_of, shuffled_by
from torch import Tensor, nn

SHAPES = [(4, 3, 5), (1, 4, 3), (4, 1, 3), (2, 2, 1), (1, 1, 3), (4, 4, 4)]
MOVING: list[Callable[[Tensor], Any]] = [
    lambda x: x.permute(0, 2, 3, 1), lambda x: x.transpose(1, 3), lambda x: x[:, -1], lambda x: x.mT,
    lambda x: x[..., ::2], lambda x: x.chunk(2, 1)[-1], lambda x: x.split([1, x.shape[3] - 1], 3)[0],
    lambda x: x.flatten(2), lambda x: x.unflatten(1, (-1, 1)), lambda x: x[:, :, None],
    lambda x: x.narrow(1, 0, 1).squeeze(1), lambda x: x.transpose(1, 2)[:, :, 0], lambda x: x.movedim(1, -1),
    lambda x: x.unbind(1)[0].mT, lambda x: x[:, :1, ..., 1:], lambda x: x, lambda x: x.reshape(2, -1),
]  # fmt: skip
OTHERS: list[Callable[[Tensor], Any]] = [
    lambda x: x.unfold(2, 2, 1), lambda x: x[1:], lambda x: x.flatten(1)[:, 3:18], lambda x: x + 0,
    lambda x: x.unsqueeze(1).expand(-1, 3, -1, -1, -1), lambda x: x.transpose(0, 1),
    lambda x: x.flatten(0, 1), lambda x: x.view(torch.int32), lambda x: x.shape, lambda x: x.sum(),
]  # fmt: skip


def carried_out(moves: tuple[Move, ...], x: Tensor) -> Tensor:
    for move in moves:
        if isinstance(move, Parts):
            x = x[(slice(None), *(slice(a, a + (n - 1) * step + 1, step) for a, n, step in move.parts))]
        elif isinstance(move, Permuted):
            x = x.permute(0, *(axis + 1 for axis in move.axes))
        elif isinstance(move, Reshaped):
            x = x.reshape(len(x), *move.sizes)
    return x


def numbered(shape: tuple[int, ...]) -> Tensor:
    return torch.arange(2.0 * prod(shape)).reshape(2, *shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_moves_are_what_the_call_does(shape: tuple[int, ...]) -> None:
    found = [(moves_of(call, shape), call(numbered(shape))) for call in MOVING]
    for moves, want in found:
        if want.numel():
            assert moves is not None
            assert torch.equal(carried_out(moves, numbered(shape)), want), moves


def test_a_permutation_names_the_axes() -> None:
    assert moves_of(lambda x: x.permute(0, 2, 3, 1), (4, 1, 3)) == (Permuted((1, 2, 0)),)
    assert moves_of(lambda x: x.contiguous(), (4, 3, 5)) == ()


@pytest.mark.parametrize("call", OTHERS)
def test_other_calls_are_no_moves(call: Callable[[Tensor], Any]) -> None:
    assert moves_of(call, (4, 3, 5)) is None


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.ChannelShuffle(3), (6, 2, 3)), (nn.PixelShuffle(2), (12, 2, 3)),
        (nn.PixelUnshuffle(2), (3, 4, 6)),
    ],
)  # fmt: skip
def test_shuffles_are_torch_s(module: nn.Module, shape: tuple[int, ...]) -> None:
    moves = shuffled_by(module, shape)
    assert moves is not None
    assert torch.equal(carried_out(moves, numbered(shape)), module(numbered(shape)))


def factors(draw: random.Random, size: int) -> tuple[int, ...]:
    found = []
    while size > 1 and draw.random() < 0.7:
        found.append(draw.choice([n for n in range(1, size + 1) if size % n == 0]))
        size //= found[-1]
    return (*found, size)


def test_whatever_is_reshaped_or_permuted_its_order_is_known() -> None:
    """Random shapes in random orders against numpy, which really moves."""
    draw = random.Random(0)
    for _ in range(1000):
        shape = tuple(draw.choice((1, 2, 3, 4, 6)) for _ in range(draw.randint(1, 4)))
        rank = len(shape)
        order, axes = (tuple(draw.sample(range(rank), rank)) for _ in range(2))
        x = np.arange(prod(shape)).reshape(shape)
        file = x.transpose(order)
        assert in_torch_s(file.shape, order) == shape
        assert np.array_equal(file, x.transpose(axes).transpose(permuted(order, axes)))
        sizes = factors(draw, x.size)
        needed, made = reshaped(shape, order, sizes)
        if not alike(shape, order, needed):
            runs, turned = transposition(shape, order, needed)
            file = file.reshape(runs).transpose(turned).reshape(laid_out(shape, needed))
        file = file.reshape(laid_out(sizes, made))
        assert np.array_equal(file, x.reshape(sizes).transpose(made))


def test_a_shuffle_is_transposed_in_three_axes_and_a_permutation_there_and_back_not_at_all() -> None:
    order = permuted(reshaped((8, 5, 6), (1, 2, 0), (2, 4, 5, 6))[1], (1, 0, 2, 3))
    needed, made = reshaped((4, 2, 5, 6), order, (8, 5, 6))
    assert transposition((4, 2, 5, 6), order, needed) == ((30, 2, 4), (0, 2, 1))
    assert made == (1, 2, 0)
    assert permuted((1, 2, 0), (1, 2, 0)) == (0, 1, 2)


def test_channels_are_followed_while_they_are_by_themselves() -> None:
    rows = (Reshaped((8, 30)), Permuted((1, 0)))
    assert followed(rows, (8, 5, 6), 0) == 1
    assert followed((Parts(((0, 8, 1), (0, 2, 1), (0, 6, 1))),), (8, 5, 6), 0) == 0
    assert followed((Parts(((0, 4, 1), (0, 5, 1), (0, 6, 1))),), (8, 5, 6), 0) is None
    assert followed((Reshaped((2, 4, 5, 6)),), (8, 5, 6), 0) is None
