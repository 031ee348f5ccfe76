"""In which order the axes of a value lie in a file, and what becomes of that where the value is moved.

The runtime computes on maps with channels last, torch with channels first, and neither needs a copy as long
as somebody remembers which axis is which: a permutation changes names alone, and values are really transposed
only where an operation needs them otherwise.

An order names for every axis of the file's tensor, without the batch, the axis of torch's that it is.
"""

from collections.abc import Sequence
from math import prod

from ..layers.layer import Layer
from ..operations.kinds import COMBINING, MOVES, POINTWISE
from ..operations.moves import Move, Padded, Parts, Permuted, Shape
from .graph import Operation

Order = tuple[int, ...]


def usual(rank: int) -> Order:
    """Returns the order of inputs and outputs, and of what convolutions and poolings read: channels last."""
    return (*range(1, rank), 0)[:rank]


def with_last(order: Order, axis: int) -> Order:
    """Returns an order in which an axis comes last: this one, or torch's own of the others."""
    return order if order[-1] == axis else (*(other for other in range(len(order)) if other != axis), axis)


def laid_out(shape: Shape, order: Order) -> Shape:
    """Returns torch's shape in the order of the file."""
    return tuple(shape[axis] for axis in order)


def in_torch_s(shape: Shape, order: Order) -> Shape:
    """Returns the file's shape in the order of torch."""
    return tuple(shape[order.index(axis)] for axis in range(len(order)))


def alike(shape: Shape, one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether values of torch's shape lie the same in two orders: axes of size 1 may be anywhere."""
    return _real(shape, one) == _real(shape, other)


def permuted(order: Order, axes: tuple[int, ...]) -> Order:
    """Returns the order behind a permutation, which names for each new axis the old one; nothing moves."""
    return tuple(axes.index(axis) for axis in order)


def without(order: Order, gone: tuple[int, ...]) -> Order:
    """Returns the order of the axes that are left."""
    left = [axis for axis in range(len(order)) if axis not in gone]
    return tuple(left.index(axis) for axis in order if axis in left)


def transposition(shape: Shape, before: Order, after: Order) -> tuple[Shape, tuple[int, ...]]:
    """Returns the fewest axes in which values can be transposed: sizes, and for each new one the old one.

    Args:
        shape: torch's.
        before, after: of the values.
    """
    runs: list[list[int]] = []
    new = list(_real(shape, after))
    for axis in _real(shape, before):
        follows = runs and new.index(axis) == new.index(runs[-1][-1]) + 1
        if follows:
            runs[-1].append(axis)
        else:
            runs.append([axis])
    sizes = tuple(prod(shape[axis] for axis in run) for run in runs)
    return sizes, tuple(sorted(range(len(runs)), key=lambda run: new.index(runs[run][0])))


def reshaped(shape: Shape, order: Order, sizes: Shape) -> tuple[Order, Order]:
    """Returns the order in which values must lie to be reshaped as they lie, and their order behind that.

    Axes that are split or merged among themselves may lie anywhere among the others; those that are merged
    must lie side by side.

    Args:
        shape: torch's, before.
        order: in which they lie.
        sizes: torch's shape after.
    """
    blocks = _blocks(shape, sizes)
    place = {axis: at for at, axis in enumerate(order)}
    blocks.sort(key=lambda block: max(place[axis] for axis in block[0]))
    single = tuple(axis for axis, size in enumerate(shape) if size == 1)
    needed = (*single, *(axis for old, _ in blocks for axis in old))
    made = tuple(axis for _, new in blocks for axis in new)
    found = (*(axis for axis, size in enumerate(sizes) if size == 1), *made)
    common = usual(len(sizes))
    return (
        order if alike(shape, order, needed) else needed,
        common if _real(sizes, common) == made else found,
    )


def wanted_orders(operation: Operation, shapes: Sequence[Shape], orders: Sequence[Order]) -> list[Order]:
    """Returns the orders in which the kernel of an operation reads its values: where it can, as they lie.

    Args:
        operation: with a kernel, or a move.
        shapes: torch's, of what it reads; () for constants, which lie as they are wanted.
        orders: in which that lies.
    """
    kind, module, first = operation.kind, operation.module, orders[0]
    rank = len(first)
    if rank < 2 or kind in (*MOVES, *POINTWISE, "identity", "mean", "standardise"):
        return list(orders)
    if isinstance(module, Layer) and module.features_last:
        return [with_last(first, rank - 1)]
    if kind == "norm":
        return [with_last(first, 0)]
    if kind == "softmax":
        return [with_last(first, getattr(module, "dim", 1) % (rank + 1) - 1)]
    if kind in (*COMBINING, "prelu", "concatenate"):
        sizes = [prod(shape) if len(shape) == rank else 0 for shape in shapes]
        lead = orders[sizes.index(max(sizes))]
        return [lead if len(order) == rank else order for order in orders]
    if kind == "matmul":  # the second one may lie with its rows or its columns last
        plain = (*range(rank),)
        return [plain, orders[1] if orders[1][: rank - 2] == plain[:-2] else plain]
    return [usual(len(order)) for order in orders]


def followed(moves: Sequence[Move], shape: Shape, axis: int) -> int | None:
    """Returns where an axis of torch's is behind some moves, None where it is cut, padded, split or merged.

    Args:
        moves: one after the other.
        shape: torch's, before.
        axis: in it.
    """
    for move in moves:
        size = shape[axis]
        if isinstance(move, Permuted):
            axis = move.axes.index(axis)
        elif isinstance(move, Parts | Padded):
            if move.shape(shape)[axis] != size:
                return None
        else:
            alone = [new for old, new in _blocks(shape, move.sizes) if old == [axis]]
            if len(alone) != 1 or len(alone[0]) != 1:
                return None
            (axis,) = alone[0]
        shape = move.shape(shape)
    return axis


def _real(shape: Shape, order: Sequence[int]) -> Order:
    return tuple(axis for axis in order if shape[axis] != 1)


def _blocks(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]]:
    """Returns the smallest runs of axes, old and new, with as many elements; axes of size 1 are left out."""
    old = [axis for axis, size in enumerate(before) if size != 1]
    new = [axis for axis, size in enumerate(after) if size != 1]
    blocks: list[tuple[list[int], list[int]]] = []
    while old and new:
        ours, theirs = [old.pop(0)], [new.pop(0)]
        while (left := prod(before[a] for a in ours)) != (right := prod(after[a] for a in theirs)):
            if left < right:
                ours.append(old.pop(0))
            else:
                theirs.append(new.pop(0))
        blocks.append((ours, theirs))
    return blocks
