"""Operations without weights, element by element or side by side, written as operators.

On int8 grids where all that they read is on one and their own is known; in float elsewhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from ...hw_models.tables.operator_table import FLOAT_ALONE, OPERATORS_OF
from ...spaces.errors import AtollError
from ...spaces.graph.graph import Operation
from ...spaces.operations.integer_kernels import divides_by_number
from . import operators, operators_moving
from .support import LARGEST_STEP_RATIOS
from .tensors import TensorGrid
from .values import LoweredValue, Workbench

_COMBINATIONS: dict[str, Callable[..., int]] = {
    "add": operators.add,
    "subtract": operators.subtract,
    "multiply": operators.mul,
    "divide": operators.divide,
    "prelu": operators.prelu,
    "maximum": partial(operators.extreme, name="MAXIMUM"),
    "minimum": partial(operators.extreme, name="MINIMUM"),
}
#: functions of one value that are one operator
_FUNCTIONS = (
    "sigmoid", "tanh", "hard_swish", "elu", "gelu", "leaky_relu", "softmax",
    "sqrt", "rsqrt", "square", "exp", "log", "abs", "negate",
)  # fmt: skip
_CUTS = ("relu6", "relu_n1_to_1", "relu_0_to_1")
POINTWISE = (*_FUNCTIONS, *_CUTS, "silu", "hard_sigmoid", "clamp")
COMBINATIONS = (*_COMBINATIONS, "concatenate")


def on_int8(
    bench: Workbench, kind: str, sources: Sequence[LoweredValue], target: TensorGrid | None
) -> tuple[list[LoweredValue], TensorGrid | None]:
    """Returns what an operation reads, and the grid of its result: float and None unless it runs on int8."""
    grids = [bench.grid_of(source) for source in sources]
    largest = LARGEST_STEP_RATIOS.get(kind, float("inf"))
    if target is not None and all(grid and grid.scale / target.scale < largest for grid in grids):
        return list(sources), target
    return [bench.to_float(source) for source in sources], None


def lower_function(
    bench: Workbench, operation: Operation, source: LoweredValue, target: TensorGrid | None
) -> LoweredValue:
    """Writes a function of one value.

    Args:
        bench: the file under construction.
        operation: of a kind in `POINTWISE`.
        source: what it reads.
        target: the grid of its result, None for float.

    Raises:
        AtollError: LiteRT has no operator for its settings.
    """
    kind = operation.kind
    (source,), target = on_int8(bench, kind, [source], None if kind in FLOAT_ALONE else target)
    if kind == "silu":  # x sigmoid(x)
        gate = operators.function(bench.model, source.index, OPERATORS_OF[kind][0])
        return replace(source, index=operators.mul(bench.model, source.index, gate))
    if kind == "hard_sigmoid":
        index = operators.hard_sigmoid(bench.model, source.index, target)
        return replace(source, index=index)
    if kind in _CUTS:
        index = operators.relu(bench.model, source.index, kind, target)
        return replace(source, index=index)
    if kind == "clamp":
        index = source.index
        for name, bound in zip(OPERATORS_OF[kind], operation.numbers, strict=True):
            if bound is not None:
                number = operators.scalar(bench.model, bound, int8=False)
                index = operators.extreme(bench.model, index, number, name=name)
        return replace(source, index=index)
    settings = _settings(operation)
    if kind == "softmax":  # over the last axis, which a transposition may have merged with the one before
        source = bench.in_torch_order(source)
        source = replace(source, index=bench.shaped(source, (1, *source.shape)))
    (name,) = OPERATORS_OF[kind]
    index = operators.function(bench.model, source.index, name, target, **settings)
    return replace(source, index=index)


def _settings(operation: Operation) -> dict[str, Any]:
    """Returns the fields of a function's options in the schema."""
    kind, module = operation.kind, operation.module
    if kind == "leaky_relu":
        return {"alpha": getattr(module, "negative_slope", 0.01)}
    if kind == "gelu":
        return {"approximate": getattr(module, "approximate", "none") == "tanh"}
    if kind == "softmax":
        return {"beta": 1.0}
    return {}


def lower_combination(
    bench: Workbench,
    operation: Operation,
    sources: Sequence[LoweredValue],
    target: TensorGrid | None,
    activation: str | None,
) -> LoweredValue:
    """Writes a sum, difference, product or quotient of two values, or of one and a number; PReLU too.

    Args:
        bench: the file under construction.
        operation: what to write.
        sources: what it reads; one value may be the same at all positions.
        target: the grid of its result, None for float.
        activation: fused; None for none.

    Raises:
        AtollError: the values are not of one kind.
    """
    kind, module = operation.kind, operation.module
    if isinstance(module, nn.PReLU):  # its slopes are no value of the network
        slopes = module.weight.detach().reshape(-1, *[1] * (len(sources[0].shape) - 1))
        sources = [*sources, bench.constant(slopes, None)]
    numbers = operation.numbers or (None,) * len(sources)
    sources = [bench.in_torch_order(source) for source in sources]
    sources, target = on_int8(bench, kind, sources, target)
    if len(numbers) != 2 or len({len(source.shape) for source in sources}) != 1:
        raise AtollError(f"to {kind} other than two values of one kind cannot be written for LiteRT")
    if divides_by_number(kind, numbers):
        kind, numbers = "multiply", (None, 1 / (numbers[1] or 1.0))
    left = [bench.shaped(source, (1, *source.shape)) for source in sources]
    operands = [
        left.pop(0) if number is None else operators.scalar(bench.model, number, target is not None)
        for number in numbers
    ]
    index = _COMBINATIONS[kind](bench.model, *operands, grid=target, activation=activation)
    return LoweredValue(index, bench.model.tensors[index].shape[1:], axes=sources[0].axes)


def lower_product(
    bench: Workbench, sources: Sequence[LoweredValue], target: TensorGrid | None
) -> LoweredValue:
    """Writes rows of one value times columns of another, which may lie with either last."""
    sources, target = on_int8(bench, "matmul", [bench.in_torch_order(source) for source in sources], target)
    one, other = (bench.shaped(source, (1, *source.shape)) for source in sources)
    rank = len(sources[0].shape)
    transposed = sources[1].order[-1] == rank - 2
    index = operators.batch_matmul(bench.model, one, other, target, transposed)
    return LoweredValue(index, bench.model.tensors[index].shape[1:], axes=(*range(rank),))


def lower_concatenation(
    bench: Workbench, sources: Sequence[LoweredValue], axis: int, target: TensorGrid | None
) -> LoweredValue:
    """Writes values one after the other along an axis of torch's; int8 parts are moved to the same grid."""
    sources = [bench.in_torch_order(source) for source in sources]
    sources, target = on_int8(bench, "concatenate", sources, target)
    sources = [bench.on_grid(source, target) for source in sources]
    parts = [bench.shaped(source, (1, *source.shape)) for source in sources]
    index = operators_moving.concatenation(bench.model, parts, 1 + sources[0].order.index(axis))
    return LoweredValue(index, bench.model.tensors[index].shape[1:], axes=sources[0].axes)
