"""The kind of a call where the sizes before and after decide it, and what its arguments say of them."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from ..layers.combine import Add, Concatenate, Multiply
from ..layers.pooling import even_pooling
from .kinds import CALLS, COMBINING, meant, unread
from .moves import Move, Padded, Parts, Reshaped, Shape


def kind_by_shape(
    node: fx.Node,
    module: nn.Module | None,
    shapes: list[Shape],
    shape: Shape,
    moves: tuple[Move, ...] | None = None,
) -> str:
    """Returns the kind of a traced call with the sizes seen.

    Args:
        node, module: as for `meant`.
        shapes: of the values read, without the batch.
        shape: of the value made.
        moves: what it does to the values where it leaves them as they are.
    """
    kind = meant(node, module)
    if unread(node, module):
        return "other"
    if kind in ("view", "shuffle", "pad"):
        return _moving(moves)
    if kind == "hardtanh":
        return _cutting(bounds_of(node, module))
    if kind not in _BY_SHAPE or isinstance(module, Add | Multiply | Concatenate):
        return kind
    return _BY_SHAPE[kind](node, shapes, shape)


def _combining(node: fx.Node, shapes: list[Shape], _: Shape) -> str:
    """Element by element, without further settings and without numbers that depend on sizes."""
    plain = len(node.args) == 2 and not node.kwargs
    numbers = sum(isinstance(argument, int | float) for argument in node.args)
    return CALLS[node.target] if plain and len(shapes) + numbers == 2 else "other"


def _moving(moves: tuple[Move, ...] | None) -> str:
    """The same values in other places."""
    if not moves:
        return "other" if moves is None else "identity"
    if isinstance(moves[0], Padded):
        return "mirror_pad" if moves[0].mirrors else "pad" if moves[0].value == 0 else "constant_pad"
    if isinstance(moves[0], Parts):
        return "slice"
    if not isinstance(moves[0], Reshaped):
        return "permute"
    if len(moves) > 1:
        return "shuffle"
    return "flatten" if len(moves[0].sizes) == 1 else "reshape"


#: bounds that have an operator of their own
_CUTS = {(0.0, None): "relu", (0.0, 6.0): "relu6", (-1.0, 1.0): "relu_n1_to_1", (0.0, 1.0): "relu_0_to_1"}


def bounds_of(node: fx.Node, module: nn.Module | None) -> tuple[float | None, ...]:
    """Returns the lowest and the highest value that a call lets through, None where it has no such bound.

    Args:
        node: the call of a hard tanh, or of what cuts off.
        module: the module that it calls, None for functions and methods.

    Returns:
        two bounds; fewer where one is no number.
    """
    if module is not None:
        given: list[Any] = [module.min_val, module.max_val]
    else:
        default = (-1.0, 1.0) if node.target is F.hardtanh else (None, None)
        names = (("min_val", "min"), ("max_val", "max"))
        given = [
            node.args[at]
            if len(node.args) > at
            else next((node.kwargs[n] for n in name if n in node.kwargs), d)
            for at, name, d in zip((1, 2), names, default, strict=True)
        ]
    numbers = [float(bound) for bound in given if isinstance(bound, int | float)]
    bounds = iter(None if math.isinf(number) else number for number in numbers)
    return tuple(None if bound is None else next(bounds) for bound in given if not isinstance(bound, fx.Node))


def _cutting(bounds: tuple[float | None, ...]) -> str:
    if len(bounds) != 2 or bounds == (None, None):
        return "other"
    lower, upper = bounds
    return "clamp" if lower is None else _CUTS.get((lower, upper), "clamp")


def axes_of(node: fx.Node, kind: str, rank: int) -> tuple[int, ...]:
    """Returns the axes, without the batch, along which values are joined or over which they are averaged.

    Args:
        node: the call.
        kind: of the operation; others than these have none.
        rank: number of axes of what it reads, the batch left out.
    """
    if kind not in ("concatenate", "mean", "global_avg_pool"):
        return ()
    at = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0 if kind == "concatenate" else None)
    if node.op == "call_module" and kind == "concatenate":
        at = 1
    elif node.op == "call_module" or CALLS.get(node.target) == "global_avg_pool":
        at = (2, 3)[: rank - 1]
    given = at if isinstance(at, tuple | list) else (at,)
    return tuple(sorted(axis % (rank + 1) - 1 for axis in given if isinstance(axis, int)))


def _averaging(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """A mean over axes other than the batch."""
    axes = axes_of(node, "mean", len(shapes[0]))
    if not axes or -1 in axes:
        return "other"
    return "global_avg_pool" if len(shapes[0]) == 3 and axes == (1, 2) else "mean"


def _adapting(of_windows: str, node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """Over all positions, or over windows of one size at one distance."""
    (before,) = shapes
    if set(shape[1:]) == {1}:
        return f"global_{of_windows}"
    if before == shape:
        return "identity"
    even = even_pooling(of_windows == "max_pool", before[1:], shape[1:])
    return "other" if even is None else of_windows


def _concatenating(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """Along an axis other than the batch."""
    (axis,) = axes_of(node, "concatenate", len(shape)) or (-1,)
    alike = all(len(before) == len(shape) for before in shapes)
    whole = axis >= 0 and alike and sum(before[axis] for before in shapes) == shape[axis]
    return "concatenate" if whole else "other"


def _raising(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """To a power that has an operator of its own."""
    return {2: "square", 0.5: "sqrt", -0.5: "rsqrt"}.get(node.args[-1], "other")  # type: ignore[arg-type]


def _multiplying(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """Of two values with the same axes before the last two, which the runtime takes one after the other."""
    one, other = shapes if len(shapes) == 2 else ((), ())
    return "matmul" if 2 <= len(one) == len(other) <= 3 and one[:-2] == other[:-2] else "other"


def _expanding(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """Along axes of size 1."""
    if shape == shapes[0]:
        return "identity"
    return "expand" if len(shapes[0]) == len(shape) else "other"


def _upsampling(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    return "upsample" if len(shape) == 3 else "other"


#: kinds that shapes decide: (node, shapes read, shape made) -> kind
_BY_SHAPE: dict[str, Callable[[fx.Node, list[Shape], Shape], str]] = {
    **dict.fromkeys(COMBINING, _combining),
    "mean": _averaging,
    "global_avg_pool": partial(_adapting, "avg_pool"),
    "global_max_pool": partial(_adapting, "max_pool"),
    "concatenate": _concatenating,
    "expand": _expanding,
    "matmul": _multiplying,
    "power": _raising,
    "upsample": _upsampling,
}


def names_sizes(node: fx.Node) -> bool:
    """Whether a reshaping call has a size of its result, other than 1, written as a number."""
    if node.target not in ("view", "reshape", torch.reshape):  # others name axes
        return False
    sizes: list[Any] = []
    for argument in (*node.args[1:], *node.kwargs.values()):
        sizes.extend(argument if isinstance(argument, tuple | list) else (argument,))
    return any(isinstance(size, int) and size not in (-1, 1) for size in sizes[1:])
