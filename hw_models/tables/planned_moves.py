"""The operators of what leaves values as they are and moves them, before there is a file."""

from dataclasses import replace

from ...spaces.graph.axis_order import alike, permuted, reshaped, usual
from ...spaces.graph.graph import Operation
from ...spaces.operations.moves import Move, Padded, Parts, Permuted
from .operator_plan import OperatorPlan, Planned


def plan_moves(plan: OperatorPlan, operation: Operation, source: Planned) -> Planned:
    """Plans an operation that moves values: most are a matter of names, some copy, few transpose.

    Args:
        plan: where to.
        operation: with moves.
        source: what it reads.
    """
    rank = len(source.shape)
    maps = rank in (2, 3) and source.order == usual(rank)
    if operation.kind == "flatten" and maps and not alike(source.shape, source.order, range(rank)):
        return replace(source, shape=operation.shape, unflattened=source.shape, axes=None)
    source = plan.in_torch_order(source)
    for move in operation.moves:
        source = _moved(plan, operation.name, move, source)
    return source


def _moved(plan: OperatorPlan, name: str, move: Move, value: Planned) -> Planned:
    shape = move.shape(value.shape)
    if isinstance(move, Permuted):
        return replace(value, shape=shape, axes=permuted(value.order, move.axes))
    if isinstance(move, Parts | Padded):
        found = plan.run(name, move.operator, [value], shape, value.grid)
        return replace(found, axes=value.axes)
    needed, made = reshaped(value.shape, value.order, shape)
    return replace(plan.in_order(value, needed), shape=shape, axes=made)
