"""Latency of LiteRT with its XNNPACK delegate, one thread: what each kernel loops over, times its price.

    t = us_per_operation * operations
        + float: ns per MAC and per step of convolutions and of 1x1 ones, ns per MAC of depthwise ones
        + int8: ns per tile, per tile of outputs and per MAC; per MAC and output of depthwise ones
        + plain kernels (weights below 8 bits, some functions of int8 values: the delegate leaves them alone):
          ns per MAC, patch element and element
        + ns per element read or written, per element transposed
        + ns per weight byte; more for those beyond the near and the far cache

Kernels work on blocks of channels, so counts are rounded up to them: 33 channels cost what 64 do. A "step" is
one input value of one position put beside one block of outputs; a "tile" is 64 inputs times 64 outputs, the
unit of AMX, which processors without it do not have: for those the int8 MACs count. Every coefficient is
positive.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from ..tables.layer_table import LayerTable, TableRow
from .edge_tpu_rules import operator_of
from .kernel_shape import KernelShape
from .memory import MIB
from .setup import Setup
from .term import Term, setup_name

_OWN = "single operators timed on a Xeon with AVX-512 and AMX, LiteRT 2.3, 2026"
TERMS = (
    Term("us_per_operation", 0.3, 1.0, f"{_OWN}: the smallest ones take 0.5 us"),
    Term("ns_per_conv_mac", 0.009, 1.0, f"{_OWN}: 3x3 of 8 to 512 channels"),
    Term("ns_per_conv_step", 0.25, 1.0, f"{_OWN}: the same"),
    Term("ns_per_gemm_mac", 0.006, 1.0, f"{_OWN}: 1x1 of 8 to 1024 channels"),
    Term("ns_per_gemm_step", 0.15, 1.0, f"{_OWN}: the same"),
    Term("ns_per_depthwise_mac", 0.03, 1.0, f"{_OWN}: 3x3"),
    Term("ns_per_int8_tile", 3.3, 1.5, f"{_OWN}: 3x3 of 16 to 256 channels"),
    Term("ns_per_int8_output_tile", 10.5, 1.0, f"{_OWN}: 1x1 of 8 to 64 channels"),
    Term("ns_per_int8_mac", 0.0005, 1.5, "four int8 products a lane and cycle (VNNI) beside the tiles"),
    Term("ns_per_int8_depthwise_mac", 0.055, 1.0, f"{_OWN}: 1x1, 3x3 and 5x5"),
    Term("ns_per_int8_depthwise_output", 0.2, 1.0, f"{_OWN}: the same; rounding to the output's grid"),
    Term("ns_per_plain_mac", 0.08, 1.0, f"{_OWN}: float convolutions of widened int4 weights"),
    Term("ns_per_plain_int8_mac", 0.018, 1.0, f"{_OWN}: int4 convolutions on int8"),
    Term("ns_per_plain_depthwise_mac", 0.4, 1.0, f"{_OWN}: int4 depthwise convolutions on int8"),
    Term("ns_per_plain_patch_element", 0.05, 1.0, "im2col: a copy of a few elements at a time"),
    Term("ns_per_float_element", 0.06, 1.0, f"{_OWN}: sums, poolings"),
    Term("ns_per_int8_element", 0.05, 1.0, f"{_OWN}: sums, poolings"),
    Term("ns_per_plain_int8_element", 1.8, 1.0, f"{_OWN}: ReLU and average pooling on int8"),
    Term("ns_per_moved_element", 0.25, 1.0, f"{_OWN}: transpositions"),
    Term("ns_per_weight_byte", 0.008, 1.0, f"{_OWN}: dense layers of 1 MiB"),
    Term("ns_per_far_byte", 0.03, 1.0, f"{_OWN}: dense layers of 4 and 64 MiB"),
    Term("ns_per_memory_byte", 0.06, 1.0, f"{_OWN}: networks of 90 and 130 MiB"),
    Term("near_cache_mib", 1.0, 0.5, "half of a second-level cache of 2 MiB"),
    Term("far_cache_mib", 40.0, 0.5, "a core's share of the last-level cache, of a machine with neighbours"),
)
#: channels that a float kernel makes at once: 16 lanes, from 32 on two registers of them
_NARROW_BLOCK, _BLOCK = 16, 32
#: positions, and inputs and outputs, of an int8 tile (AMX: 16 rows of 64 bytes, four of them side by side)
_TILE_ROWS, _TILE = 16, 64
#: operators that the delegate does not take on int8 (own measurement: thirty times the time of others)
_PLAIN_INT8 = ("AVERAGE_POOL_2D", "ELU", "HARD_SWISH", "LEAKY_RELU", "RELU", "RELU6")
_GEMM_KINDS = ("pointwise", "contraction", "dense")
_CONVOLUTIONS = ("conv", "pointwise", "depthwise", "norm")
#: a set-up beside the first: another machine, runtime or number of threads
SETUP_SPREAD = 0.7
#: medians of two sessions on an idle machine differ by 3 to 5 %
NOISE = 0.05


def noise(_: float, surrogate: bool) -> float:
    """Returns the expected |log error| of one row."""
    return NOISE


@dataclass(frozen=True)
class DelegateWork:
    """What latency depends on.

    Args:
        amounts: (coefficient, how much of it; in thousands for us, so that all of them give ns).
        weight_bytes: of all weights as their kernels read them, in one run.
    """

    amounts: tuple[tuple[str, float], ...]
    weight_bytes: float


def latency_work(table: LayerTable) -> DelegateWork:
    """Collects the work of a network."""
    amounts: Counter[str] = Counter()
    for row in table.rows:
        for name, amount in _amounts(row):
            amounts[name] += amount  # type: ignore[assignment]
    return DelegateWork(tuple(sorted(amounts.items())), table.total(lambda cost: cost.kernel_weight_bytes))


def is_plain(row: TableRow) -> bool:
    """Whether the delegate leaves an operation to LiteRT: a convolution with weights below 8 bits."""
    return row.cost.kind in _CONVOLUTIONS and 0 < row.cost.weight_bits < 8


def _amounts(row: TableRow) -> Iterator[tuple[str, float]]:
    cost = row.cost
    int8 = cost.activation_bits == 8 or cost.compute == "int8"
    yield "us_per_operation", 1000.0
    yield "ns_per_moved_element", cost.moved_elements
    plain = int8 and operator_of(row) in _PLAIN_INT8
    element = "ns_per_plain_int8_element" if plain else f"ns_per_{'int8' if int8 else 'float'}_element"
    yield element, cost.input_elements + cost.output_elements
    if is_plain(row):
        yield from _plain(row)
    elif cost.kind in ("depthwise", "norm"):
        yield ("ns_per_int8_depthwise_mac" if int8 else "ns_per_depthwise_mac"), cost.macs
        if int8:
            yield "ns_per_int8_depthwise_output", cost.output_elements
    elif cost.kind == "conv" or cost.kind in _GEMM_KINDS:
        shape = KernelShape.of(row)
        if shape is None:  # a product of two activations
            yield "ns_per_gemm_mac", cost.macs
        elif cost.kind == "dense" and shape.positions <= 1:
            return  # a matrix times a vector takes as long as its weights take to arrive
        elif cost.compute == "int8":
            yield from _int8(shape)
        else:
            yield from _float(shape, cost.kind == "conv")


def _plain(row: TableRow) -> Iterator[tuple[str, float]]:
    cost = row.cost
    yield "ns_per_plain_patch_element", cost.patch_elements
    if cost.kind in ("depthwise", "norm"):
        yield "ns_per_plain_depthwise_mac", cost.macs
    else:
        yield ("ns_per_plain_int8_mac" if cost.activation_bits == 8 else "ns_per_plain_mac"), cost.macs


def _float(shape: KernelShape, convolution: bool) -> Iterator[tuple[str, float]]:
    block = _NARROW_BLOCK if shape.outputs < _BLOCK else _BLOCK
    blocks = ceil(shape.outputs / block)
    steps = shape.positions * shape.reduction * blocks
    yield ("ns_per_conv_mac" if convolution else "ns_per_gemm_mac"), steps * block
    yield ("ns_per_conv_step" if convolution else "ns_per_gemm_step"), steps


def _int8(shape: KernelShape) -> Iterator[tuple[str, float]]:
    positions = ceil(shape.positions / _TILE_ROWS) * _TILE_ROWS
    outputs = ceil(shape.outputs / _TILE)
    inputs = shape.window * ceil(shape.reduction / shape.window / _TILE)
    blocks = ceil(shape.outputs / _NARROW_BLOCK)
    yield "ns_per_int8_tile", positions * outputs * inputs
    yield "ns_per_int8_output_tile", positions * outputs
    yield "ns_per_int8_mac", shape.positions * shape.reduction * blocks * _NARROW_BLOCK


def latency_terms(setups: tuple[Setup, ...]) -> tuple[Term, ...]:
    """Returns the coefficients to fit; the scale of the first set-up is 1 by definition."""
    scales = (
        Term(setup_name("scale", s.name), 1.0, SETUP_SPREAD, "another machine or runtime") for s in setups[1:]
    )
    return (*TERMS, *scales)


def latency_ms(work: DelegateWork, coefficients: Mapping[str, float], setup: str) -> float:
    """Returns the time of one image in ms."""
    ns = coefficients["ns_per_weight_byte"] * work.weight_bytes
    for name, amount in work.amounts:
        ns += coefficients[name] * amount
    for cache, price in (("near_cache_mib", "ns_per_far_byte"), ("far_cache_mib", "ns_per_memory_byte")):
        ns += coefficients[price] * max(0.0, work.weight_bytes - MIB * coefficients[cache])
    return coefficients.get(setup_name("scale", setup), 1.0) * ns * 1e-6
