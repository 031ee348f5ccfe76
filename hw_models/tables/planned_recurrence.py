"""The operators of a recurrence, before there is a file: a loop over the steps."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from ...spaces.graph.graph import Operation
from ...spaces.layers.cost import loop_costs
from ...spaces.layers.recurrence import CELLS
from ...spaces.layers.recurrent import Recurrent
from .operator_plan import OperatorPlan, Planned, Shape


def plan_recurrence(plan: OperatorPlan, operation: Operation, source: Planned, whole: bool) -> Planned:
    """Plans a recurrence.

    Args:
        plan: where to.
        operation: of the kind `recurrence`.
        source: what it reads, float.
        whole: whether it keeps all steps, or the last one alone.
    """
    module = operation.module
    assert isinstance(module, Recurrent)
    steps, units = operation.shape
    states = [(1, units) for _ in CELLS[module.cell].states]
    kept = [(steps, units)] if whole else []
    body = _body(module, source, states, kept)
    carried = sum(4 * prod(shape) for shape in ((1,), source.shape, *states, *kept))
    inside = sum(4 * prod(value.shape) for value in body.values.values())
    first = (kept or states)[0]
    # the counter's condition is one byte; a sequence of zeros to begin with is filled as the loop starts
    held = carried + 1 + inside + carried - 4 * prod(first) + sum(4 * prod(shape) for shape in kept)
    costs = loop_costs([cost for value in body.values.values() for cost in value.costs], steps)
    return plan.loop(operation.name, source, first, costs, held)


def _body(module: Recurrent, source: Planned, states: Sequence[Shape], kept: Sequence[Shape]) -> OperatorPlan:
    """Returns the operators of one step."""
    cell, units = CELLS[module.cell], module.units
    body = OperatorPlan()
    count = body.image("count", (1,), None)
    rows = body.image("rows", source.shape, None)
    known = {name: body.image(name, shape, None) for name, shape in zip(cell.states, states, strict=True)}
    sequence = [body.image("sequence", shape, None) for shape in kept]

    def call(operator: str, values: Sequence[Planned], made: int) -> Sequence[Planned]:
        found = body.run(operator, operator, values, values[0].shape, None)
        return [replace(found, shape=(1, units))] * made if made > 1 else [found]

    index = body.run("from_behind", "SUB", [count], (1,), None) if module.backwards else count
    gates = cell.gates * units
    projected = body.run("projected", "GATHER", [rows, index], (1, gates), None)
    (cost,) = module.costs(source.shape, (source.shape[0], units))
    product = body.weigh("product", known[cell.states[0]], (1, gates), None, cost)
    given, *_ = cell.run({**known, "projected": projected, "product": product}, call)
    body.run("next", "ADD", [count], (1,), None)
    for before in sequence:
        steps = before.shape[0]
        rest = body.run("rest", "SLICE", [before], (steps - 1, units), None)
        body.run("kept", "CONCATENATION", [rest, given], before.shape, None)
    return body
