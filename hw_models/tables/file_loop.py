"""Loops of a ``.tflite`` file that run a number of times which the file says."""

from dataclasses import dataclass

import numpy as np

from .operator_table import OPERATORS, UNKNOWN
from .tflite_file import FileOperator, TfliteFile

_PRODUCT = "FULLY_CONNECTED"


@dataclass(frozen=True)
class Loop:
    """A loop with one matrix product at every step.

    Args:
        condition: says whether there is another step.
        body: what a step does.
        times: how often.
    """

    condition: TfliteFile
    body: TfliteFile
    times: int

    @property
    def inside_bytes(self) -> int:
        """Bytes of the tensors inside that the file does not hold: both graphs have a copy of the state."""
        return _computed_bytes(self.condition) + _computed_bytes(self.body)


def loop_of(file: TfliteFile, operator: FileOperator) -> Loop | None:
    """Returns the loop that an operator runs; None for others, and for loops of any other kind."""
    if operator.name != "WHILE" or operator.options is None:
        return None
    numbers = [operator.options.number(place, "<i") - 1 for place in (0, 1)]
    if not all(0 <= number < len(file.others) for number in numbers):
        return None
    condition, body = (file.others[number] for number in numbers)
    states = (operator.inputs, operator.outputs, condition.inputs, body.inputs, body.outputs)
    alike = len({len(state) for state in states}) == 1
    times = _times(file, operator, condition, body) if alike else 0
    kinds = [OPERATORS.get(one.name, UNKNOWN).kind for one in body.operators if one.name != _PRODUCT]
    if times < 1 or len(kinds) != len(body.operators) - 1 or not {*kinds} <= {"elementwise", "move"}:
        return None
    return Loop(condition, body, times)


def _computed_bytes(graph: TfliteFile) -> int:
    made = {*graph.inputs, *(index for operator in graph.operators for index in operator.outputs)}
    return sum(graph.tensors[index].bytes for index in made)


def _times(file: TfliteFile, operator: FileOperator, condition: TfliteFile, body: TfliteFile) -> int:
    """Returns how often a loop runs that counts from zero up to a constant, 0 for any other."""
    if [one.name for one in condition.operators] != ["LESS"]:
        return 0
    counter, limit = condition.operators[0].inputs
    if counter not in condition.inputs:
        return 0
    place = condition.inputs.index(counter)
    start, step = operator.inputs[place], body.inputs[place]
    counts = [one for one in body.operators if body.outputs[place] in one.outputs]
    if [(one.name, one.inputs[:1]) for one in counts] != [("ADD", (step,))]:
        return 0
    numbers = [_number(file, start), _number(body, counts[0].inputs[1]), _number(condition, limit)]
    return numbers[2] if numbers[:2] == [0, 1] else 0


def _number(graph: TfliteFile, index: int) -> int:
    """Returns a constant of one whole number, -1 for any other tensor."""
    found = graph.values(index, np.int32)
    return int(found[0]) if graph.tensors[index].dtype == "INT32" and found.size == 1 else -1
