"""Where LiteRT Micro puts the tensors of a file: their lifetimes, kernels' scratch, and its greedy placement.

Source: tflite-micro, `micro_allocation_info.cc` (lifetimes; a loop's graphs are part of the one plan) and
`memory_planner/greedy_memory_planner.cc` (placement).
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...spaces.errors import AtollError
from ..tables.tflite_file import FileOperator, TfliteFile

ALIGNMENT = 16  # bytes; MicroArenaBufferAlignment
_INT32 = 4
#: loops in one another, and buffers to be placed, whose time goes with their square (own choice: files that
#: Atoll writes have no loop in another, and vit_tiny, which has most operators of the zoo, has 629)
_DEEPEST, _MOST_BUFFERS = 16, 20_000


@dataclass(frozen=True)
class Lifetime:
    """A buffer: its aligned size in bytes, and the first and last step at which it must be there.

    `what` it is for: a value that the input decides, a constant that is widened as the file runs, or the
    working memory of a kernel.
    """

    size: int
    first: int
    last: int
    what: Literal["value", "constant", "scratch"] = "value"


def aligned(size: int) -> int:
    """Returns a size in bytes rounded up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def lifetimes(file: TfliteFile) -> list[Lifetime]:
    """Returns the computed tensors of all graphs of a file in their order, and scratch behind them.

    The input is there from step 0, operators are steps 1, 2, …; the graphs of a loop take further steps
    within its own.

    Raises:
        AtollError: there are more, or loops are deeper in one another, than can be placed in seconds.
    """
    found = _Marked(file).lifetimes()
    if len(found) > _MOST_BUFFERS:
        raise AtollError(f"got a file with {len(found):,} buffers to place, allowed are {_MOST_BUFFERS:,}")
    return found


def scratch_bytes(file: TfliteFile, operator: FileOperator) -> tuple[int, ...]:
    """Returns the working memory that a reference kernel asks for, a buffer each, in bytes.

    Found by running one file an operator, and by reading the kernels.
    """
    output = file.tensors[operator.outputs[0]]
    if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        weight = file.tensors[operator.places[1]]
        return (weight.elements,) if weight.dtype == "INT4" else ()  # spread to bytes
    if operator.name == "TRANSPOSE_CONV" and output.dtype == "INT8":
        return (_INT32 * output.elements,)  # sums, before they are brought to the output's grid
    if operator.name == "MEAN":
        axes = (len(file.tensors[operator.inputs[0]].shape), file.tensors[operator.inputs[1]].elements)
        sums = (output.elements,) if output.dtype == "INT8" else ()
        return tuple(_INT32 * count for count in (*axes, *sums))
    if operator.name == "MIRROR_PAD":
        return (_INT32 * len(output.shape),) * 2
    return ()


def greedy_plan(buffers: Sequence[Lifetime]) -> int:
    """Returns the bytes that the placement takes: largest first, each into the first gap that is free.

    Of equal ones the last comes first, for the runtime sorts them from the end.
    """
    placed: list[tuple[int, Lifetime]] = []
    for buffer in sorted(reversed(buffers), key=lambda buffer: -buffer.size):
        offset = 0
        for start, other in placed:
            if other.first > buffer.last or other.last < buffer.first:
                continue
            if start - offset >= buffer.size:
                break
            offset = max(offset, start + other.size)
        insort(placed, (offset, buffer), key=lambda entry: entry[0])
    return max((offset + buffer.size for offset, buffer in placed), default=0)


class _Marked:
    """The steps of a file, one after the other, and what must be there in each."""

    def __init__(self, file: TfliteFile) -> None:
        self.graphs = file.graphs
        self.step = 0
        self.entered = {0}  # a file of somebody else may have a graph that runs itself
        self.spans: dict[tuple[int, int], tuple[int, int]] = {}
        self.scratch: list[tuple[tuple[int, int], Lifetime]] = []
        self.mark(0, 0)

    def lifetimes(self) -> list[Lifetime]:
        """Returns them in the order in which the runtime adds them."""
        tensors = [self.lifetime(number, index) for number, index in sorted(self.spans)]
        return [*tensors, *(buffer for _, buffer in sorted(self.scratch, key=lambda entry: entry[0]))]

    def lifetime(self, number: int, index: int) -> Lifetime:
        """Returns that of a tensor of a graph."""
        graph = self.graphs[number]
        of_input = index in graph.computed
        size = aligned(graph.tensors[index].bytes)
        return Lifetime(size, *self.spans[number, index], "value" if of_input else "constant")

    def mark(self, number: int, depth: int) -> None:
        """Goes through a graph, inside so many loops, from the step that was reached."""
        if depth > _DEEPEST:
            raise AtollError(f"got a file with loops more than {_DEEPEST} deep, allowed are so many")
        graph = self.graphs[number]
        self.begin(number, (*graph.inputs, *graph.outputs))
        for at, operator in enumerate(graph.operators):
            self.step += 1
            self.begin(number, operator.outputs)
            first = self.step
            for inside in self.graphs_of(operator):
                self.step += 1
                self.mark(inside, depth + 1)
            self.use(number, (*operator.inputs, *operator.outputs))
            for size in scratch_bytes(graph, operator):
                self.scratch.append(((number, at), Lifetime(aligned(size), first, self.step, "scratch")))
        self.use(number, graph.outputs)

    def begin(self, number: int, tensors: Sequence[int]) -> None:
        """Tensors that are made now."""
        for index in tensors:
            tensor = self.graphs[number].tensors[index]
            if not (tensor.constant or tensor.variable) and tensor.bytes:
                self.spans[number, index] = (self.step, self.step)

    def use(self, number: int, tensors: Sequence[int]) -> None:
        """Tensors that must still be there."""
        for index in tensors:
            if (number, index) in self.spans:
                self.spans[number, index] = (self.spans[number, index][0], self.step)

    def graphs_of(self, operator: FileOperator) -> list[int]:
        """Returns the numbers of the graphs that a loop runs, its condition first; none of others."""
        if operator.name != "WHILE" or operator.options is None:
            return []
        numbers = [operator.options.number(place, "<i") for place in (0, 1)]
        found = [one for one in numbers if 0 < one < len(self.graphs) and one not in self.entered]
        self.entered.update(found)
        return found
