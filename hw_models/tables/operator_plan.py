"""The operators of a network before there is a file: what each reads and makes, and what it costs.

The moves between float and int8 and between torch's order and the runtime's are made here, where an operation
needs them, as the file writer makes them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from math import prod

from ...spaces.graph.axis_order import Order, alike, usual
from ...spaces.layers.activation_grid import ActivationGrid
from ...spaces.layers.bits import FLOAT_BITS
from ...spaces.layers.cost import OperationCost
from .layer_table import TracedValue
from .operator_table import OPERATORS

Shape = tuple[int, ...]


@dataclass(frozen=True)
class FixedGrid:
    """A grid that no module stands for: of signs, or before a shift."""

    bits: int = 8


AnyGrid = ActivationGrid | FixedGrid


@dataclass(frozen=True)
class Planned:
    """One value of the network, as a tensor of the file will hold it.

    Args:
        name: of the planned tensor.
        shape: without the batch, channels first.
        grid: None for float.
        unflattened: maps whose flattening in torch's order is still to be carried out; a dense layer reads
            them as they lie.
        constant: whether the file holds it.
        axes: the order in which its axes lie (`spaces.graph.axis_order`), None for the usual one.
    """

    name: str
    shape: Shape
    grid: AnyGrid | None = None
    unflattened: Shape | None = None
    constant: bool = False
    axes: Order | None = None

    @property
    def order(self) -> Order:
        """The order in which its axes lie."""
        return usual(len(self.shape)) if self.axes is None else self.axes


class OperatorPlan:
    """Operators in the order of execution.

    Args:
        zero_biases: whether convolutions without a bias have one of zeros, which the runtime asks for.
    """

    def __init__(self, zero_biases: bool = True) -> None:
        self.zero_biases = zero_biases
        self.values: dict[str, TracedValue] = {}
        self._path = ""

    def at(self, path: str) -> None:
        """Says which layer the operators to come are of."""
        self._path = path

    def image(self, name: str, shape: Shape, grid: AnyGrid | None) -> Planned:
        """Adds the network's input."""
        self.values[name] = TracedValue(name, "", (), shape, _bits(grid))
        return Planned(name, shape, grid)

    def run(
        self,
        name: str,
        operator: str,
        sources: Sequence[Planned],
        shape: Shape,
        grid: AnyGrid | None,
        bits: int | None = None,
    ) -> Planned:
        """Adds an operator without weights.

        Args:
            name: of what it makes; numbered where that is taken.
            operator: in `OPERATORS`.
            sources: the values that it reads, numbers aside.
            shape: of what it makes.
            grid: of what it makes, None for float.
            bits: of an element, where neither a grid nor float says them.
        """
        entry = OPERATORS[operator]
        bits = _bits(grid) if bits is None else bits
        computed = [source for source in sources if not source.constant]
        constants = [source for source in sources if source.constant]
        cost = OperationCost(
            kind=entry.kind,
            weight_elements=sum(prod(source.shape) for source in constants),
            weight_bits=_bits(constants[0].grid) if constants else FLOAT_BITS,
            input_elements=prod(shape) if entry.picks else sum(prod(source.shape) for source in computed),
            output_elements=prod(shape),
            activation_bits=bits,
            compute="int8" if bits == 8 else "float32",
            moved_elements=prod(shape) if operator == "TRANSPOSE" else 0,
            calibrated=entry.calibrated,
            operation=operator,
        )
        in_place = entry.in_place and sources[0].shape == shape
        return self._add(name, [source.name for source in computed], shape, grid, bits, cost, in_place)

    def weigh(
        self, name: str, source: Planned, shape: Shape, grid: AnyGrid | None, cost: OperationCost
    ) -> Planned:
        """Adds an operator with weights; its cost is a layer's, with what it really reads."""
        cost = replace(cost, input_elements=prod(source.shape), activation_bits=_bits(source.grid))
        return self._add(name, [source.name], shape, grid, _bits(grid), cost, in_place=False)

    def multiply(self, name: str, sources: Sequence[Planned], shape: Shape, grid: AnyGrid | None) -> Planned:
        """Adds a product of two computed values, row by column; `shape` is that of what it makes."""
        one, other = sources
        bits = _bits(one.grid)
        reduction = one.shape[-1]
        cost = OperationCost(
            kind="contraction",
            macs=prod(shape) * reduction,
            weight_bits=_bits(other.grid),
            input_elements=prod(one.shape) + prod(other.shape),
            output_elements=prod(shape),
            activation_bits=bits,
            compute="float32" if grid is None else "int8",
            reduction=reduction,
            columns=shape[-1],
        )
        names = [source.name for source in sources]
        return self._add(name, names, shape, grid, _bits(grid), cost, in_place=False)

    def loop(
        self,
        name: str,
        source: Planned,
        shape: Shape,
        costs: tuple[OperationCost, OperationCost],
        held_bytes: int,
    ) -> Planned:
        """Adds a loop: what it holds carries the cost of its product, what it makes that of all else.

        Args:
            name: of what it makes.
            source: what it reads, float.
            shape: of what it makes.
            costs: of the product at every step, and of all else.
            held_bytes: computed tensors of its own, besides what it reads and makes.
        """
        product, steps = costs
        held = self._add(f"{name}.held", [source.name], (held_bytes,), None, 8, product, in_place=False)
        return self._add(name, [source.name, held.name], shape, None, FLOAT_BITS, steps, in_place=False)

    def _add(
        self,
        name: str,
        inputs: Sequence[str],
        shape: Shape,
        grid: AnyGrid | None,
        bits: int,
        cost: OperationCost,
        in_place: bool,
    ) -> Planned:
        name = next(free for free in _numbered(name) if free not in self.values)
        self.values[name] = TracedValue(name, self._path, tuple(inputs), shape, bits, (cost,), in_place)
        return Planned(name, shape, grid)

    def on_grid(self, value: Planned, grid: AnyGrid | None) -> Planned:
        """Returns the value on a grid; unchanged for None."""
        if grid is None or value.grid is grid:
            return value
        if value.constant:
            return replace(value, grid=grid)
        found = self.run(f"{value.name}.quantize", "QUANTIZE", [value], value.shape, grid)
        return replace(found, unflattened=value.unflattened, axes=value.axes)

    def to_float(self, value: Planned) -> Planned:
        """Returns the value as float."""
        if value.grid is None:
            return value
        if value.constant:
            return replace(value, grid=None)
        found = self.run(f"{value.name}.dequantize", "DEQUANTIZE", [value], value.shape, None)
        return replace(found, unflattened=value.unflattened, axes=value.axes)

    def in_order(self, value: Planned, order: Order) -> Planned:
        """Returns the value with its axes in an order."""
        if not value.constant and not alike(value.shape, value.order, order):
            value = self.run(f"{value.name}.transpose", "TRANSPOSE", [value], value.shape, value.grid)
        return replace(value, axes=order)

    def in_torch_order(self, value: Planned) -> Planned:
        """Returns the value with a flattening in torch's order carried out."""
        if value.unflattened is None:
            return value
        return self.run(f"{value.name}.transpose", "TRANSPOSE", [value], value.shape, value.grid)

    def give_back(self, value: Planned) -> None:
        """Says that the network returns a value."""
        value = self.in_torch_order(value)
        name = self.in_order(value, usual(len(value.shape))).name
        self.values[name] = replace(self.values[name], output=True)


def _bits(grid: AnyGrid | None) -> int:
    return FLOAT_BITS if grid is None else grid.bits


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}{number}" for number in count(2))
