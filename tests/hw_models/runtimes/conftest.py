"""Files for LiteRT Micro: every operator that is written, in every type and with up to six axes; networks.

What its interpreter made of each stands in `micro_found.csv`; `test_micro_interpreter.py` holds that against
the interpreter where it is installed.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from atoll.evaluators.litert import operators as op
from atoll.evaluators.litert import operators_loop as loop
from atoll.evaluators.litert import operators_moving as moving
from atoll.evaluators.litert import operators_pooling as pooling
from atoll.evaluators.litert.tensors import TensorGrid
from atoll.evaluators.litert.writer import TfliteModel
from atoll.evaluators.measuring.artifact import artifact_bytes
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.layers.structure import to_meta
from atoll.spaces.networks import build_network
from atoll.spaces.recipes.recipe import Recipe
from torch import nn

GRID, OTHER, UNIT = TensorGrid(0.0625, -20), TensorGrid(0.09375, 10), TensorGrid(1 / 256, -128)
SHAPE, FIVE, SIX = (1, 4, 6, 2), (1, 2, 2, 6, 2), (1, 2, 2, 2, 3, 2)
_LARGEST = {"int8": 127, "int4": 7, "int2": 1}

Grid = TensorGrid | None
Build = Callable[[TfliteModel, int, Grid], int | list[int]]


def _values(shape: tuple[int, ...], most: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-most, most + 1, shape)


def _constant(m: TfliteModel, shape: tuple[int, ...], dtype: str, axis: int = 0, scales: bool = True) -> int:
    if dtype.startswith("float"):
        return m.add_constant(_values(shape, 100) / 50, dtype)
    steps = np.linspace(0.01, 0.02, shape[axis]) if scales else 0.01
    return m.add_constant(_values(shape, _LARGEST[dtype]), dtype, steps, axis)


def _bias(m: TfliteModel, count: int, grid: Grid, dtype: str) -> int:
    if grid is None or dtype == "float32":
        return m.add_constant(np.linspace(-1, 1, count), "float32")
    return m.add_constant(_values((count,), 100), "int32", np.full(count, 0.001))


def _weighted(kind: str, scales: bool) -> Iterator[tuple[str, Build]]:
    """Operators with weights of a type, one scale or several."""

    def weight(m: TfliteModel, shape: tuple[int, ...], axis: int = 0) -> int:
        return _constant(m, shape, kind, axis, scales)

    yield "conv", lambda m, x, g: op.conv_2d(m, x, weight(m, (4, 3, 3, 2)), _bias(m, 4, g, kind), g and OTHER)
    yield (
        "depthwise",
        lambda m, x, g: op.depthwise_conv_2d(
            m, x, weight(m, (1, 3, 3, 2), 3), _bias(m, 2, g, kind), g and OTHER
        ),
    )
    yield (
        "dense",
        lambda m, x, g: op.fully_connected(m, x, weight(m, (5, 48)), _bias(m, 5, g, kind), g and OTHER),
    )
    yield "dense without bias", lambda m, x, g: op.fully_connected(m, x, weight(m, (5, 48)), -1, g and OTHER)
    yield (
        "transposed conv",
        lambda m, x, g: op.transpose_conv(
            m, x, weight(m, (3, 2, 2, 2)), _bias(m, 3, g, kind), (8, 12), g and OTHER, (2, 2)
        ),
    )


def _any_rank(shape: tuple[int, ...]) -> Iterator[tuple[str, Build]]:
    """Operators that values of any number of axes go through."""
    last = len(shape) - 1
    whole = [(0, size, 1) for size in shape[:-1]]

    def mean(m: TfliteModel, x: int) -> int:
        return pooling.mean(m, x, (last,), True)

    yield "add", lambda m, x, g: op.add(m, x, x, g and OTHER)
    yield "add beside", lambda m, x, g: op.add(m, x, mean(m, x), g and OTHER)
    yield "subtract beside", lambda m, x, g: op.subtract(m, x, mean(m, x), g and OTHER)
    yield "mul beside", lambda m, x, g: op.mul(m, x, mean(m, x), g and OTHER)
    yield "mean of last", lambda m, x, g: pooling.mean(m, x, (last,))
    yield "mean of two", lambda m, x, g: pooling.mean(m, x, (1, 2), False, g and OTHER)
    yield "concatenation", lambda m, x, g: moving.concatenation(m, (x, x), last)
    yield "pad", lambda m, x, g: moving.pad(m, x, [(0, 0)] * last + [(1, 1)])
    yield "pad lowest", lambda m, x, g: moving.pad(m, x, [(0, 0)] * last + [(1, 1)], moving.LOWEST)
    yield "mirror pad", lambda m, x, g: moving.mirror_pad(m, x, [(0, 0)] * last + [(1, 1)])
    yield "part", lambda m, x, g: moving.part(m, x, [*whole, (1, 1, 1)])
    yield "strides", lambda m, x, g: moving.part(m, x, [*whole[:-1], (0, 1, 2), (1, 1, 1)])
    yield "broadcast", lambda m, x, g: moving.broadcast(m, mean(m, x), shape)
    yield (
        "transpose",
        lambda m, x, g: (
            moving.transpose(m, x, (0, 2, 1, *range(3, last - 1), last, last - 1)[: last + 1])
            if last > 3
            else moving.transpose(m, x, (0, 3, 1, 2))
        ),
    )
    yield "reshape", lambda m, x, g: moving.reshape(m, x, (1, 48))
    yield "split", lambda m, x, g: loop.split(m, x, 2)
    yield "softmax", lambda m, x, g: op.function(m, x, "SOFTMAX", g and UNIT, beta=1.0)
    yield "sigmoid", lambda m, x, g: op.function(m, x, "LOGISTIC", g and UNIT)
    yield "sign", lambda m, x, g: op.sign(m, x, g and TensorGrid(1.0))
    yield "maximum", lambda m, x, g: op.extreme(m, x, mean(m, x), g, name="MAXIMUM")
    yield "product turned", lambda m, x, g: op.batch_matmul(m, x, x, g and OTHER, True)
    yield (
        "prelu",
        lambda m, x, g: op.prelu(
            m, x, _constant(m, (2,), "int8" if g else "float32", scales=False), g and OTHER
        ),
    )
    yield (
        "dense of the last axis",
        lambda m, x, g: op.fully_connected(
            m, x, _constant(m, (3, 2), "int8" if g else "float32"), -1, g and OTHER, keep_num_dims=True
        ),
    )


def _of_maps() -> Iterator[tuple[str, Build]]:
    """Operators of maps, or of values one by one."""

    def conv(m: TfliteModel, x: int, g: Grid, inputs: int, dilation: int) -> int:
        kind = "float32" if g is None else "int8"
        weight, bias = _constant(m, (4, 3, 3, inputs), kind), _bias(m, 4, g, kind)
        return op.conv_2d(m, x, weight, bias, g and OTHER, dilation=(dilation, dilation))

    yield "conv in groups", lambda m, x, g: conv(m, x, g, 1, 1)
    yield "conv dilated", lambda m, x, g: conv(m, x, g, 2, 2)
    yield "max", lambda m, x, g: pooling.pool_2d(m, x, "max", (2, 2))
    yield "average", lambda m, x, g: pooling.pool_2d(m, x, "average", (2, 2))
    yield "mul", lambda m, x, g: op.mul(m, x, x, g and TensorGrid(0.001))
    yield "minimum", lambda m, x, g: op.extreme(m, x, x, g, name="MINIMUM")
    yield "hard sigmoid", lambda m, x, g: op.hard_sigmoid(m, x, g and UNIT)
    yield "quantize", lambda m, x, g: op.quantize(m, x, OTHER)
    yield "product", lambda m, x, g: op.batch_matmul(m, x, moving.transpose(m, x, (0, 1, 3, 2)), g and OTHER)
    for kind in ("relu", "relu6", "relu_n1_to_1", "relu_0_to_1"):
        yield kind, lambda m, x, g, kind=kind: op.relu(m, x, kind, g and GRID)  # type: ignore[misc]
    settings = {"TANH": {}, "HARD_SWISH": {}, "ELU": {}, "GELU": {"approximate": False}}
    for name, told in {**settings, "LEAKY_RELU": {"alpha": 0.2}}.items():
        grid = TensorGrid(1 / 128) if name == "TANH" else OTHER
        yield (
            name.lower(),
            lambda m, x, g, name=name, told=told, grid=grid: op.function(m, x, name, g and grid, **told),  # type: ignore[misc]
        )
    for kind in ("bilinear", "nearest_neighbor"):
        yield (
            f"resize {kind}",
            lambda m, x, g, kind=kind: pooling.resize(m, x, (8, 12), kind, half_pixel_centers=True),  # type: ignore[misc]
        )


def _of_floats() -> Iterator[tuple[str, Build]]:
    """Operators that are written for float alone, and constants that are widened for them."""
    for name in ("SQRT", "RSQRT", "SQUARE", "EXP", "LOG", "ABS", "NEG"):
        yield name.lower(), lambda m, x, g, name=name: op.function(m, x, name)  # type: ignore[misc]
    yield "div", lambda m, x, g: op.divide(m, x, x)
    for kind, scales in [("float16", False), *((kind, one) for kind in _LARGEST for one in (True, False))]:
        yield (
            f"widened {kind}{' a scale a channel' * scales}",
            lambda m, x, g, kind=kind, scales=scales: op.fully_connected(  # type: ignore[misc]
                m, x, op.dequantize(m, _constant(m, (5, 48), kind, 0, scales))
            ),
        )


def operator_files() -> Iterator[tuple[str, bytes]]:
    """Gives a file an operator, with its name."""
    for kind, scales in [("float32", False), *((kind, one) for kind in _LARGEST for one in (True, False))]:
        for name, build in _weighted(kind, scales):
            yield from _files(f"{name} {kind}{' a scale a channel' * scales}", build)
    for shape in (SHAPE, FIVE, SIX):
        for name, build in _any_rank(shape):
            yield from _files(f"{name}, {len(shape)} axes", build, shape)
    for name, build in _of_maps():
        yield from _files(name, build)
    for name, build in _of_floats():
        yield from _files(name, build, grids=(None,))
    yield from _files(
        "rsqrt", lambda m, x, g: op.function(m, x, "RSQRT", OTHER), grids=(TensorGrid(0.1, -128),)
    )
    yield from _files("dequantize", lambda m, x, g: op.dequantize(m, x), grids=(GRID,))
    yield from _files("row", lambda m, x, g: loop.row(m, x, m.add_index([2])), (1, 4, 6))


def _files(
    name: str, build: Build, shape: tuple[int, ...] = SHAPE, grids: tuple[Grid, ...] = (None, GRID)
) -> Iterator[tuple[str, bytes]]:
    for grid in grids:
        model = TfliteModel()
        found = build(model, model.add_input(shape, grid), grid)
        model.outputs = found if isinstance(found, list) else [found]
        yield f"{name}; {'int8' if grid else 'float32'}", model.to_bytes()


class _Recurrent(nn.Module):
    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU]) -> None:
        super().__init__()
        self.memory, self.head = kind(6, 8, batch_first=True), nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.memory(x.transpose(1, 2))[0][:, -1])


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 4)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x.transpose(1, 2))
        return self.head((y + self.attention(y, y, y)[0]).mean(1))


class _Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.inner, self.outer = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.first(x)))
        return self.head((x + nn.functional.hardswish(self.outer(self.inner(x)))).mean((2, 3)))


def _upwards() -> nn.Module:
    layers = [nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(), nn.ConvTranspose2d(6, 4, 2, stride=2)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(4, 2, 1))


#: name -> how a network is made, and the shape of its input
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "residual": (_Residual, (3, 12, 12)),
    "upwards": (_upwards, (3, 8, 8)),
    "lstm": (lambda: _Recurrent(nn.LSTM), (6, 5)),
    "gru": (lambda: _Recurrent(nn.GRU), (6, 5)),
    "attention": (_Attention, (8, 6)),
    "compact_cnn": (lambda: build_network("compact_cnn", 7, (3, 16, 16)), (3, 16, 16)),
}
#: recipes whose plan is exact
RECIPES = (
    "baseline",
    "quantize(bits=8)",
    "quantize(bits=16)",
    "quantize(bits=8, activations=float)",
    "quantize(bits=8, activations=dynamic)",
    "quantize(bits=4)",
    "quantize(bits=4, granularity=per_tensor)",
    "quantize(bits=2)",
    "binarize",
)


_FLOATS = (
    "baseline",
    "quantize(bits=16)",
    "quantize(bits=8, activations=float)",
    "quantize(bits=8, activations=dynamic)",
)


def network_files() -> Iterator[tuple[str, bytes]]:
    """Gives the planned file of every network with every recipe, with its name."""
    for name, (make, shape) in NETWORKS.items():
        adopted = to_meta(adopt(make(), shape)).eval()
        for text in RECIPES:
            # grids of a plan are not fitted, and the interpreter refuses a softmax with another than its own
            if name == "attention" and text not in _FLOATS:
                continue
            network = adopted
            for step in Recipe.parse(text):
                network = step.plan(network).eval()
            yield f"{name}; {text}", artifact_bytes(network, shape)


@pytest.fixture(scope="session")
def micro_files() -> dict[str, bytes]:
    """All of them by name, operators first."""
    torch.manual_seed(0)
    return dict([*operator_files(), *network_files()])
