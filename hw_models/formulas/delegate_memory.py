"""Peak memory of the process under LiteRT with its XNNPACK delegate: file, packed weights, arena, pointers.

    bytes = offset(set-up) + bytes of one operation * operations + file (mapped, and read once)
        + packed weights of the delegate's kernels + widening * weights that are widened before it
        + plain factor * weights of plain kernels, a byte each
        + arena factor * (most activations, with the scratch of plain kernels, at once)
        + pointer bytes * (positions * window of convolutions)

The delegate copies every weight into the order in which its kernels read it, and instead of unfolding images
it keeps a pointer to each input row of each window (indirection buffer, Dukhan 2019, arXiv:1907.02129).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot

from ..tables.layer_table import LayerTable, TableRow
from .delegate_latency import is_plain
from .kernel_shape import KernelShape
from .memory import FILE_OVERHEAD_BYTES, MIB
from .setup import Setup
from .term import Term, setup_name

TERMS = (
    Term("kib_per_operation", 10.0, 1.0, "kernel objects and tensor structures: own guess"),
    Term("arena_factor", 1.0, 0.3, "activations overlap where their lifetimes allow it"),
    Term("pointer_bytes", 8.0, 0.5, "a pointer on 64 bits; rounded up to the kernel's block of positions"),
    Term("widening_factor", 1.0, 0.5, "the widened copy itself; packed, it is there once more"),
    Term(
        "plain_factor", 0.5, 1.0, "what plain kernels keep of weights below 8 bits: between nothing and all"
    ),
)
#: what the formula leaves unexplained: a share, and the steps in which an allocator grows
NOISE, NOISE_BYTES = 0.03, 200_000
_CONVOLUTIONS = ("conv", "depthwise", "norm")


def noise(value: float, surrogate: bool) -> float:
    """Returns the expected |log error| of one row of that many bytes."""
    return hypot(NOISE, NOISE_BYTES / value)


@dataclass(frozen=True)
class DelegateMemoryWork:
    """What peak memory depends on: bytes, weights of plain kernels, operations, pointers."""

    file_bytes: int
    packed_bytes: float
    widened_bytes: float
    plain_weights: int
    arena_bytes: float
    operations: int
    pointers: float


def memory_work(table: LayerTable, file_bytes: int | None = None) -> DelegateMemoryWork:
    """Collects the memory of a network.

    Args:
        table: the network's.
        file_bytes: size of its artifact; weights and a usual overhead where it is not known.
    """
    if file_bytes is None:
        file_bytes = table.weight_bytes + FILE_OVERHEAD_BYTES[1]
    delegated = [row for row in table.rows if not is_plain(row)]
    return DelegateMemoryWork(
        file_bytes=file_bytes,
        packed_bytes=sum(_packed_bytes(row) for row in delegated),
        widened_bytes=sum(_widened_bytes(row) for row in table.rows),
        plain_weights=sum(row.cost.weight_elements for row in table.rows if is_plain(row)),
        arena_bytes=max(row.live_bytes + (_scratch_bytes(row) if is_plain(row) else 0) for row in table.rows),
        operations=len(table.rows),
        pointers=sum(_pointers(row) for row in delegated),
    )


def _packed_bytes(row: TableRow) -> float:
    """Weights in the kernel's width; dense ones stay at the bits in which they are stored."""
    bits = min(8 * row.cost.kernel_bytes, row.cost.weight_bits if row.cost.kind == "dense" else 32)
    return row.cost.weight_elements * bits / 8


def _widened_bytes(row: TableRow) -> float:
    """Weights that a DEQUANTIZE of the file turns to float before any kernel reads them."""
    narrow = row.cost.weight_bits < 32 and row.cost.compute == "float32"
    return 4.0 * row.cost.weight_elements if narrow and row.cost.activation_bits == 32 else 0.0


def _scratch_bytes(row: TableRow) -> float:
    """The patch matrix of a plain kernel, and the integers that it unpacks as it runs."""
    int8 = row.cost.activation_bits == 8
    return row.cost.patch_elements * (1 if int8 else 4) + (row.cost.weight_elements if int8 else 0)


def _pointers(row: TableRow) -> float:
    shape = KernelShape.of(row) if row.cost.kind in _CONVOLUTIONS else None
    return 0.0 if shape is None else shape.positions * shape.window


def memory_terms(setups: tuple[Setup, ...]) -> tuple[Term, ...]:
    """Returns the coefficients to fit."""
    own = "LiteRT 2.3 takes 3 to 4 MiB before any tensor, 2026"
    return (*TERMS, *(Term(setup_name("offset_mib", setup.name), 3.5, 0.5, own) for setup in setups))


def peak_memory_bytes(work: DelegateMemoryWork, coefficients: Mapping[str, float], setup: str) -> float:
    """Returns the peak memory in bytes."""
    return (
        MIB * coefficients[setup_name("offset_mib", setup)]
        + 1024 * coefficients["kib_per_operation"] * work.operations
        + work.file_bytes
        + work.packed_bytes
        + coefficients["widening_factor"] * work.widened_bytes
        + coefficients["plain_factor"] * work.plain_weights
        + coefficients["arena_factor"] * work.arena_bytes
        + coefficients["pointer_bytes"] * work.pointers
    )
