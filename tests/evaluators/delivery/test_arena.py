"""The arena's plan against brute force and the file's liveness; scratch and what is kept by hand."""

from itertools import permutations

import numpy as np
import pytest
from atoll.evaluators.delivery.arena import Lifetime, greedy_plan, lifetimes, tensor_arena
from atoll.evaluators.litert import operators
from atoll.evaluators.litert.inspect import peak_tensor_bytes
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.writer import TfliteModel
from atoll.hw_models.tables.tflite_file import TfliteFile
from hypothesis import given
from hypothesis import strategies as st

LIFETIMES = st.builds(
    lambda size, first, length: Lifetime(16 * size, first, first + length),
    st.integers(1, 9),
    st.integers(0, 5),
    st.integers(0, 4),
)


def alive_at_once(tensors: list[Lifetime]) -> int:
    return max(sum(t.size for t in tensors if t.first <= step <= t.last) for step in range(11))


def best_plan(tensors: list[Lifetime]) -> int:
    """The least bytes over all orders of first fit: no order of placing them is left out."""
    least = sum(t.size for t in tensors)
    for order in permutations(tensors):
        placed: list[tuple[int, Lifetime]] = []
        for tensor in order:
            others = [(s, o) for s, o in placed if o.first <= tensor.last and o.last >= tensor.first]
            starts = [0, *(start + other.size for start, other in others)]
            fits = (
                at
                for at in sorted(starts)
                if all(at + tensor.size <= s or at >= s + o.size for s, o in others)
            )
            placed.append((next(fits), tensor))
        least = min(least, max(start + tensor.size for start, tensor in placed))
    return least


@given(st.lists(LIFETIMES, min_size=1, max_size=5))
def test_the_plan_lies_between_what_is_alive_and_everything_side_by_side(tensors: list[Lifetime]) -> None:
    plan = greedy_plan(tensors)
    assert alive_at_once(tensors) <= best_plan(tensors) <= plan <= sum(t.size for t in tensors)


@pytest.mark.parametrize(
    ("tensors", "bytes_"),
    [
        ([], 0),
        ([Lifetime(32, 0, 1), Lifetime(16, 2, 3)], 32),  # one after the other
        ([Lifetime(32, 0, 1), Lifetime(16, 1, 2)], 48),  # both at step 1
        (
            [Lifetime(64, 0, 1), Lifetime(32, 1, 2), Lifetime(48, 2, 3)],
            96,
        ),  # 48 and 32 meet: 64 + 32, gap of 64
    ],
)
def test_plans_by_hand(tensors: list[Lifetime], bytes_: int) -> None:
    assert greedy_plan(tensors) == bytes_


def chain(dtype: str = "int8") -> TfliteModel:
    """8 x 8 x 3 -> convolution with 4 outputs -> dense with 5, int8."""
    model, grid = TfliteModel(), TensorGrid(0.1)
    x = model.add_input((1, 8, 8, 3), grid)
    scales = np.full(4, 0.1)
    weight = model.add_constant(np.ones((4, 3, 3, 3), int), dtype, scales)
    bias = model.add_constant(np.zeros(4, int), "int32", scales * np.float32(0.1))
    x = operators.conv_2d(model, x, weight, bias, grid)
    dense = model.add_constant(np.ones((5, 256), int), "int8", np.full(5, 0.1))
    model.outputs = [operators.fully_connected(model, x, dense, grid=grid)]
    return model


def test_lifetimes_and_sizes_are_those_of_the_file() -> None:
    content = chain().to_bytes()
    found = lifetimes(TfliteFile.parse(content))
    assert found == [Lifetime(192, 0, 1), Lifetime(256, 1, 2), Lifetime(16, 2, 2)]
    arena = tensor_arena(content)
    assert arena.tensor_bytes == 192 + 256 == peak_tensor_bytes(content)
    assert arena.scratch_bytes == 2 * 2 * 27  # two columns of 3 x 3 x 3 in 16 bits
    assert arena.persistent_bytes == 1024 + 12 * 6 + 144 * 2 + 8 * (4 + 5)
    assert arena.bytes % 16 == 0
    assert 0 <= arena.bytes - arena.tensor_bytes - arena.scratch_bytes - arena.persistent_bytes < 16


def test_narrow_weights_are_spread_to_bytes() -> None:
    assert tensor_arena(chain("int4").to_bytes()).scratch_bytes == 4 * 27 + 2 * 2 * 27
