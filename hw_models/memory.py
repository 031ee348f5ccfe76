"""Peak memory of the process on a CPU: file, arena, packing buffers and what the runtime itself takes.

    bytes = offset(set-up) + file + widened weights + max over operations of (live activations + im2col)
        + max over matrix products of (packed weights + packed activations)

Only the offsets are fitted: the rest is the runtime's known behaviour (TensorFlow Lite's arena planner and
im2col, the packing of both operands by its matrix library ruy).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .layer_table import LayerTable, TableRow
from .term import Term, setup_name

MIB = 2**20
#: structure of a `.tflite` file around its weights: 7 to 10 kB measured on exports of the papers' networks
FILE_OVERHEAD_BYTES = (7_000, 8_500, 10_000)
#: kinds whose operands are packed; a dense layer on one image is a matrix-vector product and is not
PACKED_KINDS = ("conv", "pointwise", "contraction")


@dataclass(frozen=True)
class MemoryWork:
    """What peak memory depends on, in bytes."""

    file_bytes: int
    widened_bytes: int
    arena_bytes: int
    packing_bytes: int

    @property
    def total(self) -> int:
        """All but the runtime's own."""
        return self.file_bytes + self.widened_bytes + self.arena_bytes + self.packing_bytes


def memory_work(table: LayerTable, file_bytes: int | None = None) -> MemoryWork:
    """Collects the memory of a network.

    Args:
        table: the network's.
        file_bytes: size of its artifact; weights and a usual overhead where it is not known.
    """
    if file_bytes is None:
        file_bytes = table.weight_bytes + FILE_OVERHEAD_BYTES[1]
    packing = max((packed_bytes(row) for row in table.rows), default=0)
    return MemoryWork(file_bytes, table.widened_weight_bytes, table.arena_bytes, packing)


def packed_bytes(row: TableRow) -> int:
    """Returns the bytes of both operands of an operation's matrix product, as its kernel packs them."""
    if row.cost.kind not in PACKED_KINDS:
        return 0
    activations = row.cost.patch_elements or row.cost.input_elements
    return (row.cost.weight_elements + activations) * row.cost.kernel_bytes


def memory_terms(setups: tuple[str, ...]) -> tuple[Term, ...]:
    """Returns the coefficients to fit: what the runtime itself takes in each set-up."""
    source = "a TensorFlow Lite interpreter takes one to a few MiB before any tensor"
    return tuple(Term(setup_name("offset_mib", setup), 2.0, 1.0, source) for setup in setups)


def peak_memory_bytes(work: MemoryWork, coefficients: Mapping[str, float], setup: str) -> float:
    """Returns the peak memory in bytes."""
    return MIB * coefficients[setup_name("offset_mib", setup)] + work.total
