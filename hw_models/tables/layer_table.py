"""The static profile of a network: one row an operation, with the memory that is alive while it runs.

A table prices a network without the network: it needs no torch and goes through JSON and back.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from typing import Any, Self

from ...spaces.errors import AtollError
from ...spaces.layers.cost import OperationCost

#: kinds whose multiply-accumulates count as the network's; scale-and-shift of a norm is element-wise work
MAC_KINDS = ("conv", "pointwise", "depthwise", "dense", "contraction")
#: version of the JSON form
FORMAT = 1


@dataclass(frozen=True)
class TableRow:
    """One operation as it runs.

    Args:
        name: name of the value that it makes; stages of one layer are numbered, `dense1.0`.
        path: dotted name of the module, empty for functions.
        input_shape, output_shape: of the layer, without the batch.
        cost: its terms.
        live_bytes: activation tensors alive while it runs, its own inputs and output included.
    """

    name: str
    path: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    cost: OperationCost
    live_bytes: int

    @property
    def im2col_bytes(self) -> int:
        """Bytes of the patch matrix of a convolution, in the operands' width of its kernel."""
        return self.cost.patch_elements * self.cost.kernel_bytes


@dataclass(frozen=True)
class LayerTable:
    """Rows in the order of execution, for one image.

    Args:
        name: what network it is, for messages.
        input_shape: (channels, height, width).
        rows: at least one.
        surrogate: whether it stands in for a network that its publication does not define.
    """

    name: str
    input_shape: tuple[int, ...]
    rows: tuple[TableRow, ...]
    surrogate: bool = False

    def __post_init__(self) -> None:
        if not self.rows:
            raise AtollError(f"layer table {self.name!r}: got no operations, allowed is one at least")

    def total(self, term: Callable[[OperationCost], float], *kinds: str) -> float:
        """Returns the sum of a term over the operations of the given kinds (all where none is named)."""
        return sum(term(row.cost) for row in self.rows if not kinds or row.cost.kind in kinds)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions, dense layers and contractions."""
        return int(self.total(lambda cost: cost.macs, *MAC_KINDS))

    @cached_property
    def parameters(self) -> int:
        """Weights and biases, those that folded norms leave included."""
        return int(self.total(lambda cost: cost.weight_elements + cost.bias_elements))

    @cached_property
    def weight_bytes(self) -> int:
        """Weights and biases as the artifact stores them."""
        return int(self.total(lambda cost: cost.weight_bytes))

    @cached_property
    def widened_weight_bytes(self) -> int:
        """Copies of weights that are stored narrower than their kernel reads them."""
        return int(self.total(lambda cost: max(0, cost.kernel_weight_bytes - cost.weight_bytes)))

    @cached_property
    def arena_bytes(self) -> int:
        """Most bytes of activations and im2col scratch at once."""
        return max(row.live_bytes + row.im2col_bytes for row in self.rows)

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """What operations are called that have no kind, so that nothing prices them."""
        return tuple(sorted({row.cost.operation for row in self.rows if row.cost.kind == "unknown"}))

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON; `from_json` reads it."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Reads what `to_json` gave.

        Raises:
            AtollError: for another format, missing or unknown keys.
        """
        if stored.get("format") != FORMAT:
            raise AtollError(f"layer table: got format {stored.get('format')!r}, allowed is {FORMAT}")
        try:
            rows = tuple(
                TableRow(
                    **{
                        **row,
                        "input_shape": tuple(row["input_shape"]),
                        "output_shape": tuple(row["output_shape"]),
                        "cost": OperationCost(**row["cost"]),
                    }
                )
                for row in stored["rows"]
            )
            return cls(stored["name"], tuple(stored["input_shape"]), rows, stored["surrogate"])
        except (KeyError, TypeError) as error:
            raise AtollError(f"layer table: not in the form that to_json writes ({error})") from error


@dataclass(frozen=True)
class TracedValue:
    """One tensor of a network and the operations that make it, before memory is laid out.

    Args:
        name: unique.
        path: dotted name of the module, empty for functions.
        inputs: names of the values read.
        shape: without the batch.
        bits: width of one element.
        costs: operations that make it, in order; none for the network's input and for views.
        in_place: whether it may overwrite its first input where nothing else reads that.
        view: whether it shares its input's memory.
        output: whether the network returns it, so that it is alive to the end.
    """

    name: str
    path: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    bits: int
    costs: tuple[OperationCost, ...] = ()
    in_place: bool = False
    view: bool = False
    output: bool = False


def table_of_values(name: str, input_shape: tuple[int, ...], values: Sequence[TracedValue]) -> LayerTable:
    """Lays out memory by liveness and returns the table.

    A buffer is alive from the operation that writes it to the last that reads it or a view of it; an
    in-place operation goes on with its input's buffer where this is its last reader.

    Args:
        values: in the order of execution; the last one is an output of the network.
    """
    by_name = {value.name: value for value in values}
    last_read = {source: at for at, value in enumerate(values) for source in value.inputs}
    last_read.update({value.name: len(values) for value in (*(v for v in values if v.output), values[-1])})
    buffer: dict[str, str] = {}  # value -> the value whose memory it lives in
    for at, value in enumerate(values):
        first = value.inputs[0] if value.inputs else ""
        reuses = value.view or (value.in_place and _dies_at(buffer[first], at, buffer, last_read))
        buffer[value.name] = buffer[first] if reuses else value.name
    end: dict[str, int] = {}
    for value in values:
        own = buffer[value.name]
        end[own] = max(end.get(own, 0), last_read.get(value.name, 0))
    start = {value.name: at for at, value in enumerate(values)}
    size = {own: 0 for own in end}
    for value in values:
        own = buffer[value.name]
        size[own] = max(size[own], (prod(value.shape) * value.bits + 7) // 8)

    rows = []
    for at, value in enumerate(values):
        touched = {buffer[source] for source in value.inputs} | {buffer[value.name]}
        around = sum(n for own, n in size.items() if start[own] < at <= end[own] and own not in touched)
        own_bytes = sum(size[own] for own in touched)
        shape = by_name[value.inputs[0]].shape if value.inputs else ()
        for position, cost in enumerate(value.costs):
            several = len(value.costs) > 1
            inner = (cost.input_elements + cost.output_elements) * cost.activation_bits // 8
            rows.append(
                TableRow(
                    name=f"{value.name}.{position}" if several else value.name,
                    path=value.path,
                    input_shape=shape,
                    output_shape=value.shape,
                    cost=cost,
                    live_bytes=around + (max(inner, size[buffer[value.name]]) if several else own_bytes),
                )
            )
    return LayerTable(name, tuple(input_shape), tuple(rows))


def _dies_at(own: str, at: int, buffer: dict[str, str], last_read: dict[str, int]) -> bool:
    """Whether no value in that memory is read after the operation."""
    return all(last_read.get(name, 0) <= at for name, place in buffer.items() if place == own)
