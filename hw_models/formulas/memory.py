"""Peak memory of the process on a CPU: file, arena, packing buffers and what the runtime itself takes.

    bytes = offset(set-up) + file + widened weights + max over operations of (live activations + im2col)
        + max over matrix products of (packed weights + packed activations)

        + copies(set-up) x float weights of convolutions, in set-ups with several threads

Only the offsets and the copies are fitted: the rest is the runtime's known behaviour (TensorFlow Lite's arena
planner and im2col, the packing of both operands by its matrix library ruy).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot

from ..tables.layer_table import LayerTable, TableRow
from .setup import Setup
from .term import Term, setup_name

MIB = 2**20
#: structure of a `.tflite` file around its weights: 7 to 10 kB measured on exports of the papers' networks
FILE_OVERHEAD_BYTES = (7_000, 8_500, 10_000)
#: kinds whose operands are packed; a dense layer on one image is a matrix-vector product and is not
PACKED_KINDS = ("conv", "pointwise", "contraction")
#: kinds whose float weights are kept a second time, transposed, by kernels for several threads. Own
#: measurement of LiteRT 2.3 without its delegate (2026): a ResNet-50 with 89.6 MiB of weights takes 29 MiB
#: beside its file with one thread and 114 with two.
COPIED_KINDS = ("conv", "pointwise")
#: what the formula leaves unexplained: a share, and the steps in which an allocator grows (glibc: 128 KiB,
#: M_TOP_PAD; half of one on average)
NOISE, NOISE_BYTES = 0.03, 65_536
#: how far off the layout of a stand-in's activations may be: its publication gives operation count and size,
#: but no layers
STAND_IN_NOISE = 0.1


def noise(value: float, surrogate: bool) -> float:
    """Returns the expected |log error| of one row of that many bytes."""
    return hypot(NOISE, NOISE_BYTES / value, STAND_IN_NOISE if surrogate else 0.0)


@dataclass(frozen=True)
class MemoryWork:
    """What peak memory depends on, in bytes."""

    file_bytes: int
    widened_bytes: int
    arena_bytes: int
    packing_bytes: int
    copied_bytes: int

    @property
    def total(self) -> int:
        """All but the runtime's own and copies for its threads."""
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
    copied = sum(
        row.cost.kernel_weight_bytes
        for row in table.rows
        if row.cost.kind in COPIED_KINDS and row.cost.compute == "float32"
    )
    return MemoryWork(file_bytes, table.widened_weight_bytes, table.arena_bytes, packing, copied)


def packed_bytes(row: TableRow) -> int:
    """Returns the bytes of both operands of an operation's matrix product, as its kernel packs them."""
    if row.cost.kind not in PACKED_KINDS:
        return 0
    activations = row.cost.patch_elements or row.cost.input_elements
    return (row.cost.weight_elements + activations) * row.cost.kernel_bytes


def memory_terms(setups: tuple[Setup, ...]) -> tuple[Term, ...]:
    """Returns the coefficients to fit: what the runtime itself takes in each set-up, and its copies."""
    own = "a TensorFlow Lite interpreter takes one to a few MiB before any tensor"
    offsets = (Term(setup_name("offset_mib", setup.name), 2.0, 1.0, own) for setup in setups)
    copies = (
        Term(setup_name("copies", setup.name), 1.0, 0.3, "own measurement, see COPIED_KINDS")
        for setup in setups
        if setup.several_threads
    )
    return (*offsets, *copies)


def peak_memory_bytes(work: MemoryWork, coefficients: Mapping[str, float], setup: str) -> float:
    """Returns the peak memory in bytes."""
    copies = coefficients.get(setup_name("copies", setup), 0.0)
    return MIB * coefficients[setup_name("offset_mib", setup)] + work.total + copies * work.copied_bytes
