"""The recurrence of LSTM, GRU and plain recurrent layers: what a step does with the state before it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import AtollError
from ..nearest import known_names

Value = TypeVar("Value")
#: carries out an operator: (name, what it reads, how many values it makes) -> these
Call = Callable[[str, Sequence[Value], int], Sequence[Value]]


@dataclass(frozen=True)
class Cell:
    """One step of a recurrence, in the runtime's operators.

    Args:
        gates: values a unit that are projected from the input and from the state.
        states: names of what goes from step to step; the first one is what a step gives.
        steps: (operator, what it makes, what it reads) in the order of execution. `projected` is the input's
            part of the gates and `product` the state's; SPLIT gives parts as wide as the units.
    """

    gates: int
    states: tuple[str, ...]
    steps: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]

    def run(self, values: dict[str, Value], call: Call[Value]) -> list[Value]:
        """Carries out one step.

        Args:
            values: `projected`, `product` and the states, by name.
            call: carries out an operator.

        Returns:
            the states behind it, in their order.
        """
        known = dict(values)
        for name, makes, reads in self.steps:
            made = call(name, [known[one] for one in reads], len(makes))
            known.update(zip(makes, made, strict=True))
        return [known[state] for state in self.states]


def _cell(gates: int, states: str, lines: str) -> Cell:
    steps = []
    for line in lines.strip().splitlines():
        makes, _, called = line.partition("=")
        operator, *reads = called.split()
        steps.append((operator, tuple(makes.split()), tuple(reads)))
    return Cell(gates, tuple(states.split()), tuple(steps))


#: what torch's documentation of nn.LSTM, nn.GRU and nn.RNN says; the LSTM is that of Hochreiter & Schmidhuber
#: 1997 with forget gates, the GRU that of Cho et al. 2014 with the reset behind the product
CELLS: dict[str, Cell] = {
    "lstm": _cell(4, "h c", """
        sums = ADD projected product
        i f g o = SPLIT sums
        i = LOGISTIC i
        f = LOGISTIC f
        g = TANH g
        o = LOGISTIC o
        kept = MUL f c
        new = MUL i g
        c = ADD kept new
        shown = TANH c
        h = MUL o shown
    """),
    "gru": _cell(3, "h", """
        r z n = SPLIT projected
        hr hz hn = SPLIT product
        r = ADD r hr
        r = LOGISTIC r
        z = ADD z hz
        z = LOGISTIC z
        hn = MUL r hn
        n = ADD n hn
        n = TANH n
        more = SUB h n
        more = MUL z more
        h = ADD n more
    """),
    "rnn_tanh": _cell(1, "h", """
        sums = ADD projected product
        h = TANH sums
    """),
    "rnn_relu": _cell(1, "h", """
        sums = ADD projected product
        h = RELU sums
    """),
}  # fmt: skip
_TORCH: dict[str, Callable[..., Tensor]] = {
    "ADD": torch.add,
    "SUB": torch.sub,
    "MUL": torch.mul,
    "LOGISTIC": torch.sigmoid,
    "TANH": torch.tanh,
    "RELU": torch.relu,
}


class Recurrence(nn.Module):
    """Step after step over a sequence, from a state of zeros; a dense layer before it projects the input.

    Adoption puts the layer `Recurrent` in its place.

    Args:
        cell: in `CELLS`.
        units: of the state, >= 1.
        bias: whether one is added to the state's part of the gates.
        backwards: whether it begins at the last step; what it gives lies in the order of the input.
    """

    def __init__(self, cell: str, units: int, bias: bool = True, backwards: bool = False) -> None:
        super().__init__()
        self.cell, self.units, self.backwards = cell, units, backwards
        rows = cell_of(cell, units).gates * units
        self.weight = nn.Parameter(torch.zeros(rows, units))
        self.bias = nn.Parameter(torch.zeros(rows)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Returns [N, steps, units] for the projected input [N, steps, gates x units]."""
        return recur(self.cell, x, self.weight, self.bias, self.backwards)


def cell_of(name: str, units: int) -> Cell:
    """Returns the cell of that name.

    Raises:
        AtollError: there is none, or none of so many units.
    """
    if name not in CELLS:
        raise AtollError(f"unknown recurrence {name!r}; {known_names(name, CELLS)}")
    if units < 1:
        raise AtollError(f"got a recurrence of {units} units, allowed is one or more")
    return CELLS[name]


def recur(name: str, x: Tensor, weight: Tensor, bias: Tensor | None, backwards: bool) -> Tensor:
    """Returns what each step gives, [N, steps, units].

    Args:
        name: of the cell, in `CELLS`.
        x: [N, steps, gates x units], projected.
        weight: [gates x units, units], of the state.
        bias: [gates x units], or None.
        backwards: whether the last step comes first.
    """
    count, steps, _ = x.shape
    if x.is_meta:  # a hundred steps there take longer than all the rest of a plan
        return x.new_empty(count, steps, weight.shape[1])
    cell = CELLS[name]
    states = [x.new_zeros(count, weight.shape[1]) for _ in cell.states]
    found: list[Any] = [None] * steps
    for at in reversed(range(steps)) if backwards else range(steps):
        values = dict(zip(cell.states, states, strict=True))
        product = F.linear(states[0], weight, bias)
        states = cell.run({**values, "projected": x[:, at], "product": product}, _call)
        found[at] = states[0]
    return torch.stack(found, 1)


def _call(operator: str, values: Sequence[Tensor], made: int) -> Sequence[Tensor]:
    if operator == "SPLIT":
        return values[0].chunk(made, -1)
    return [_TORCH[operator](*values)]
