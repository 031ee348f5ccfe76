"""A recurrence, written as a loop over the steps, in float.

A loop is as long for any number of steps, holds its weights once and keeps nothing from run to run. The
operator UNIDIRECTIONAL_SEQUENCE_LSTM keeps its state in variables of the file, so that a second image would
begin where the first one ended, and there is none for a GRU.
"""

from collections.abc import Sequence

import numpy as np

from ...spaces.graph.graph import Operation
from ...spaces.layers.recurrence import CELLS
from ...spaces.layers.recurrent import Recurrent
from . import operators, operators_loop, operators_moving
from .values import LoweredValue, Workbench
from .weights import Weights
from .writer import TfliteModel


def lower_recurrence(
    bench: Workbench, operation: Operation, source: LoweredValue, whole: bool
) -> LoweredValue:
    """Writes a recurrence.

    Args:
        bench: the file under construction.
        operation: of the kind `recurrence`.
        source: the projected input, [steps, gates x units].
        whole: whether all steps are kept, or the last one alone.
    """
    source, model, module = bench.to_float(bench.in_torch_order(source)), bench.model, operation.module
    assert isinstance(module, Recurrent)
    steps, units = operation.shape
    rows = bench.shaped(source, (1, *source.shape))
    zeros = model.add_constant(np.zeros((1, 1, units)), "float32", structural=True)
    # what is given comes first, then the rest of the state, the input and the count
    carried = [zeros for _ in CELLS[module.cell].states]
    if whole:
        carried.insert(0, operators_moving.broadcast(model, zeros, (1, steps, units)))
    carried += [rows, model.add_index([0])]
    condition = TfliteModel()
    condition.inputs = [operators_loop.copy_of(condition, model, x) for x in carried]
    condition.outputs = [operators_loop.below(condition, condition.inputs[-1], steps)]
    body = TfliteModel()
    body.inputs = [operators_loop.copy_of(body, model, x) for x in carried]
    body.outputs = _step(body, module, steps, body.inputs, whole)
    found, *_ = operators_loop.loop(model, condition, body, carried)
    return LoweredValue(found, (steps if whole else 1, units), axes=source.axes)


def _step(model: TfliteModel, module: Recurrent, steps: int, state: Sequence[int], whole: bool) -> list[int]:
    """Writes one step; returns the state behind it."""
    cell = CELLS[module.cell]
    *before, rows, count = state
    known = dict(zip(cell.states, before[whole:], strict=True))
    at = operators_loop.counted_back(model, steps - 1, count) if module.backwards else count
    projected = operators_loop.row(model, rows, at)
    weights = Weights.of(module.weight, module.bias).add_to(model, "dense", None)
    product = operators.fully_connected(model, known[cell.states[0]], *weights, keep_num_dims=True)

    def call(operator: str, values: Sequence[int], made: int) -> Sequence[int]:
        if operator == "SPLIT":
            return operators_loop.split(model, values[0], made)
        if operator in _COMBINED:
            return [_COMBINED[operator](model, values[0], values[1])]
        build = operators.relu if operator == "RELU" else operators.function
        return [build(model, values[0], operator)]

    after = cell.run({**known, "projected": projected, "product": product}, call)
    if whole:
        after = [_kept(model, before[0], after[0], module.backwards), *after]
    return [*after, rows, operators_loop.counted_on(model, count)]


_COMBINED = {"ADD": operators.add, "SUB": operators.subtract, "MUL": operators.mul}


def _kept(model: TfliteModel, sequence: int, given: int, backwards: bool) -> int:
    """The sequence with what a step gives at its end, and without what is at the other one."""
    _, steps, units = model.tensors[sequence].shape
    start = 0 if backwards else 1
    rest = operators_moving.part(model, sequence, [(0, 1, 1), (start, steps - 1, 1), (0, units, 1)])
    return operators_moving.concatenation(model, [given, rest] if backwards else [rest, given], 1)
