"""Operators without weights against numpy, float and int8."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from atoll.evaluators.litert import operators as op
from atoll.evaluators.litert import operators_moving as moving
from atoll.evaluators.litert import operators_pooling as pooling
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.writer import TfliteModel
from atoll.spaces.errors import AtollError

SHAPE = (1, 4, 6, 2)
GRID, OTHER = TensorGrid(0.0625, -20), TensorGrid(0.09375, 10)


def blocks(x: np.ndarray) -> np.ndarray:
    """[count, 2, 2, 3, 2, 2]: 2x2 windows of [count, 4, 6, 2]."""
    return x.reshape(-1, 2, 2, 3, 2, 2)


# name, how it is built, what it means on real numbers, the int8 grid of the result
CASES: list[tuple[str, Callable, Callable, TensorGrid]] = [
    ("max", lambda m, x: pooling.pool_2d(m, x, "max", (2, 2)), lambda x: blocks(x).max((2, 4)), GRID),
    ("average", lambda m, x: pooling.pool_2d(m, x, "average", (2, 2)),
     lambda x: blocks(x).mean((2, 4)), GRID),
    ("mean", lambda m, x: pooling.mean(m, x, (1, 2)), lambda x: x.mean((1, 2)), GRID),
    ("pad", lambda m, x: moving.pad(m, x, [(0, 0), (1, 0), (0, 2), (0, 0)]),
     lambda x: np.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0))), GRID),
    ("part", lambda m, x: moving.part(m, x, [(0, 1, 1), (1, 2, 1), (0, 6, 1), (1, 1, 1)]),
     lambda x: x[:, 1:3, :, 1:], GRID),
    ("strides", lambda m, x: moving.part(m, x, [(0, 1, 1), (1, 2, 2), (0, 2, 3), (0, 2, 1)]),
     lambda x: x[:, 1::2, ::3], GRID),
    ("lowest around", lambda m, x: pooling.pool_2d(
        m, moving.pad(m, x, [(0, 0), (1, 1), (1, 1), (0, 0)], moving.LOWEST), "max", (2, 2)),
     lambda x: np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-99)
     .reshape(-1, 3, 2, 4, 2, 2).max((2, 4)), GRID),
    ("broadcast", lambda m, x: moving.broadcast(m, pooling.mean(m, x, (1, 2), True), SHAPE),
     lambda x: np.broadcast_to(x.mean((1, 2), keepdims=True), x.shape), GRID),
    ("transpose", lambda m, x: moving.transpose(m, x, (0, 3, 1, 2)), lambda x: x.transpose(0, 3, 1, 2), GRID),
    ("reshape", lambda m, x: moving.reshape(m, x, (1, 48)), lambda x: x.reshape(-1, 48), GRID),
    ("relu", lambda m, x: op.relu(m, x), lambda x: np.maximum(x, 0), GRID),
    ("concatenation", lambda m, x: moving.concatenation(m, (x, x), 3),
     lambda x: np.concatenate((x, x), 3), GRID),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
@pytest.mark.parametrize("grid", [None, GRID], ids=["float32", "int8"])
def test_operator_means_what_numpy_means(
    case: tuple[str, Callable, Callable, TensorGrid], grid: TensorGrid | None
) -> None:
    _, build, meaning, output = case
    raw = np.random.default_rng(0).integers(-128, 128, (3, *SHAPE[1:])).astype(np.int8)
    model = TfliteModel()
    x = model.add_input(SHAPE, grid)
    model.outputs = [build(model, x)]
    real = GRID.dequantize(raw)
    want = meaning(real)
    got = LiteRtRunner(model.to_bytes()).run(real)
    assert got.shape == want.shape
    tolerance = 1e-6 if grid is None else output.scale / 2 + 1e-6
    np.testing.assert_allclose(got, want, atol=tolerance)


@pytest.mark.parametrize(
    ("name", "build", "meaning"),
    [
        ("add", op.add, np.add),
        ("mul", op.mul, np.multiply),
    ],
)
def test_element_wise_with_three_grids(name: str, build: Callable, meaning: Callable) -> None:
    raw = np.random.default_rng(1).integers(-128, 128, (3, *SHAPE[1:])).astype(np.int8)
    model, output = TfliteModel(), TensorGrid(0.15625, -3)
    x = model.add_input(SHAPE, GRID)
    model.outputs = [build(model, x, op.quantize(model, x, OTHER), output)]
    real = GRID.dequantize(raw)
    want = output.quantize(meaning(real, OTHER.dequantize(OTHER.quantize(real))))
    got = LiteRtRunner(model.to_bytes()).run_raw(raw)
    # the requantized operand may already be one step off at exact halves
    assert np.abs(got.astype(int) - want).max() <= (1 if name == "add" else 6)


def test_quantize_and_dequantize_at_the_borders() -> None:
    model = TfliteModel()
    x = model.add_input(SHAPE)
    model.outputs = [op.dequantize(model, op.quantize(model, x, GRID))]
    images = np.random.default_rng(2).normal(size=(2, *SHAPE[1:])).astype(np.float32) * 5
    got = LiteRtRunner(model.to_bytes()).run(images)
    np.testing.assert_allclose(got, GRID.dequantize(GRID.quantize(images)), atol=1e-6)


def test_impossible_shapes_are_refused() -> None:
    model = TfliteModel()
    x = model.add_input(SHAPE, GRID)
    with pytest.raises(AtollError, match=r"cannot reshape \(1, 4, 6, 2\) to \(1, 47\)"):
        moving.reshape(model, x, (1, 47))
    with pytest.raises(AtollError, match="window of 5 does not fit 4"):
        pooling.pool_2d(model, x, "max", (5, 5))
    with pytest.raises(AtollError, match="share one grid"):
        moving.concatenation(model, (x, op.quantize(model, x, OTHER)), 3)


def _grid(low: float, high: float) -> TensorGrid:
    """The 8-bit grid of a range that holds zero."""
    scale = float(np.float32((high - low) / 255))
    return TensorGrid(scale, int(np.clip(np.rint(-128 - low / scale), -128, 127)))


def _gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def _softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


SIGMOID, TANH = TensorGrid(1 / 256, -128), TensorGrid(1 / 128, 0)
# operator, its settings, what it means, the grid of its result where it may not be any, share off by a step
FUNCTIONS: list[tuple[str, dict[str, Any], Callable, TensorGrid | None, float]] = [
    ("LOGISTIC", {}, lambda x: 1 / (1 + np.exp(-x)), SIGMOID, 0.0),
    ("SOFTMAX", {"beta": 1.0}, _softmax, SIGMOID, 0.0),
    ("TANH", {}, np.tanh, TANH, 0.0),
    ("HARD_SWISH", {}, lambda x: x * np.clip(x + 3, 0, 6) / 6, None, 0.01),
    ("ELU", {}, lambda x: np.where(x > 0, x, np.expm1(x)), None, 0.0),
    ("GELU", {"approximate": False}, _gelu, None, 0.0),
    ("LEAKY_RELU", {"alpha": 0.2}, lambda x: np.where(x > 0, x, 0.2 * x), None, 0.2),
]


@pytest.mark.parametrize("delegate", [True, False], ids=["XNNPACK", "plain"])
@pytest.mark.parametrize("case", FUNCTIONS, ids=lambda case: case[0])
def test_integer_functions(
    case: tuple[str, dict[str, Any], Callable, TensorGrid | None, float], delegate: bool
) -> None:
    """Every integer once, and some of a real range that is nearer to zero."""
    name, settings, meaning, output, share = case
    raw = np.arange(-128, 128, dtype=np.int8).reshape(1, 16, 16)
    for grid in (_grid(-3, 5), _grid(-12, 9), _grid(0, 6), _grid(-0.02, 0.01)):
        want = meaning(grid.dequantize(raw).astype(np.float64))
        target = output or _grid(min(want.min(), 0.0), max(want.max(), 0.0))
        model = TfliteModel()
        x = model.add_input((1, 16, 16), grid)
        model.outputs = [op.function(model, x, name, target, **settings)]
        got = LiteRtRunner(model.to_bytes(), delegate=delegate).run_raw(raw)
        off = np.abs(got.astype(int) - target.quantize(want))
        assert off.max() <= 1
        assert (off > 0).mean() <= share + 1 / 256


@pytest.mark.parametrize("delegate", [True, False], ids=["XNNPACK", "plain"])
@pytest.mark.parametrize("grid", [None, _grid(-4, 5)], ids=["float32", "int8"])
def test_numbers_on_either_side_and_the_hard_sigmoid(grid: TensorGrid | None, delegate: bool) -> None:
    raw = np.arange(-128, 128, dtype=np.int8).reshape(1, 16, 16)
    real = _grid(-4, 5).dequantize(raw).astype(np.float64)

    def number(model: TfliteModel, value: float) -> int:
        return op.scalar(model, value, grid is not None)

    cases: list[tuple[Callable, np.ndarray, tuple[float, float]]] = [
        (lambda m, x, g: op.add(m, x, number(m, 0.7), g), real + 0.7, (-4, 6)),
        (lambda m, x, g: op.subtract(m, number(m, 1.0), x, g), 1 - real, (-5, 5)),
        (lambda m, x, g: op.mul(m, x, number(m, -0.3), g), real * -0.3, (-2, 2)),
        (lambda m, x, g: op.mul(m, x, number(m, 0.0), g), real * 0.0, (-2, 2)),
        (op.hard_sigmoid, np.clip(real + 3, 0, 6) / 6, (0, 1)),
    ]
    for build, want, (low, high) in cases:
        model, target = TfliteModel(), None if grid is None else _grid(low, high)
        x = model.add_input((1, 16, 16), grid)
        model.outputs = [build(model, x, target)]
        got = LiteRtRunner(model.to_bytes(), delegate=delegate).run(real)
        np.testing.assert_allclose(got, want, atol=1e-6 if target is None else 0.51 * target.scale)
