"""Values in other places, written as operators: most are a matter of names, some copy, few transpose."""

from dataclasses import replace

from ...spaces.graph.axis_order import alike, laid_out, permuted, reshaped, usual
from ...spaces.graph.graph import Operation
from ...spaces.operations.moves import Move, Padded, Parts, Permuted
from . import operators_moving as operators
from .values import LoweredValue, Workbench


def lower_moves(bench: Workbench, operation: Operation, source: LoweredValue) -> LoweredValue:
    """Writes an operation that leaves values as they are and moves them.

    Args:
        bench: the file under construction.
        operation: with moves.
        source: what it reads.
    """
    rank = len(source.shape)
    maps = rank in (2, 3) and source.order == usual(rank)
    if operation.kind == "flatten" and maps and not alike(source.torch_shape, source.order, range(rank)):
        unflattened = (*(1,) * (3 - rank), *source.shape)
        return LoweredValue(source.index, operation.shape, unflattened=unflattened)
    source = bench.in_torch_order(source)
    for move in operation.moves:
        source = _moved(bench, move, source)
    return source


def _moved(bench: Workbench, move: Move, value: LoweredValue) -> LoweredValue:
    order, shape = value.order, move.shape(value.torch_shape)
    if isinstance(move, Permuted):
        return replace(value, axes=permuted(order, move.axes))
    if isinstance(move, Parts | Padded):
        x = bench.shaped(value, (1, *value.shape))
        if isinstance(move, Parts):
            index = operators.part(bench.model, x, [(0, 1, 1), *(move.parts[axis] for axis in order)])
        else:
            pads = [(0, 0), *(move.pads[axis] for axis in order)]
            mirrors = move.mirrors
            index = (
                operators.mirror_pad(bench.model, x, pads)
                if mirrors
                else operators.pad(bench.model, x, pads, move.value)
            )
        return replace(value, index=index, shape=laid_out(shape, order))
    needed, made = reshaped(value.torch_shape, order, shape)
    return replace(bench.in_order(value, needed), shape=laid_out(shape, made), axes=made)
