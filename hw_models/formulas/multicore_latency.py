"""Latency on several cores of a CPU: float multiply-accumulates, parameters, element-wise work.

    ms = ms_per_gmac * (MACs + depthwise_factor * depthwise MACs) * dtype factor
        + ms_per_mega_parameter * M parameters + ms_per_mega_element * M outputs of element-wise operations

Convolutions are shared out among the cores, the rest is bound by memory, which they share.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..tables.layer_table import MAC_KINDS, LayerTable
from .setup import Setup
from .term import Term, setup_name

#: Four Cortex-A53 at 1.5 GHz (Coral Dev Board data sheet), two float MACs a cycle each: 83 ms/GMAC at best.
TERMS = (
    Term("ms_per_gmac", 170.0, 0.5, "half of four cores' peak"),
    Term("depthwise_factor", 4.0, 0.5, "no reuse of inputs among channels: bound by memory"),
    Term("ms_per_mega_parameter", 4.0, 1.0, "4 bytes each at one GB/s"),
    Term("ms_per_mega_element", 12.0, 1.0, "two or three passes of 4 bytes each at one GB/s"),
    Term("int8_factor", 0.7, 0.5, "as on one core"),
)
#: kinds that are bound by memory; a pooling reads its window, a concatenation and a norm copy
ELEMENT_KINDS = ("elementwise", "norm", "pool", "move")
#: set-ups beside the first
SETUP_SPREAD = 0.5
#: two editions of Coral's table differ by 3 to 9 % for one network (MobileNet v2: 23 %)
NOISE = 0.08
#: where it is not certain what was measured
SURROGATE_NOISE = 0.5


@dataclass(frozen=True)
class MulticoreWork:
    """What latency depends on.

    Args:
        macs: (whether depthwise, whether int8, multiply-accumulates).
        parameters: weights and biases.
        elements: outputs of element-wise operations.
    """

    macs: tuple[tuple[bool, bool, int], ...]
    parameters: int
    elements: int


def multicore_work(table: LayerTable) -> MulticoreWork:
    """Collects the work of a network."""
    macs: dict[tuple[bool, bool], int] = {}
    for row in table.rows:
        if row.cost.kind in MAC_KINDS:
            key = (row.cost.kind == "depthwise", row.cost.compute == "int8")
            macs[key] = macs.get(key, 0) + row.cost.macs
    return MulticoreWork(
        tuple((*key, count) for key, count in sorted(macs.items())),
        table.parameters,
        int(table.total(lambda cost: cost.output_elements, *ELEMENT_KINDS)),
    )


def unpriced(table: LayerTable) -> tuple[str, ...]:
    """Returns the names of operations that the formula has no term for."""
    trains = {"tensor-train contraction" for row in table.rows if row.cost.kind == "contraction"}
    return tuple(sorted({*table.unknown, *trains}))


def multicore_terms(setups: tuple[Setup, ...]) -> tuple[Term, ...]:
    """Returns the coefficients to fit; the scale of the first set-up is 1 by definition."""
    scales = (Term(setup_name("scale", s.name), 1.0, SETUP_SPREAD, "same board") for s in setups[1:])
    return (*TERMS, *scales)


def multicore_latency_ms(work: MulticoreWork, coefficients: Mapping[str, float], setup: str) -> float:
    """Returns the time of one image in ms."""
    weighted_macs = 0.0
    for depthwise, int8, macs in work.macs:
        kind = coefficients["depthwise_factor"] if depthwise else 1.0
        weighted_macs += macs * kind * (coefficients["int8_factor"] if int8 else 1.0)
    ms = (
        coefficients["ms_per_gmac"] * weighted_macs * 1e-9
        + coefficients["ms_per_mega_parameter"] * work.parameters * 1e-6
        + coefficients["ms_per_mega_element"] * work.elements * 1e-6
    )
    # a network without any of that work takes a nanosecond all the same: prices are above 0
    return coefficients.get(setup_name("scale", setup), 1.0) * max(ms, 1e-6)


def noise(_: float, surrogate: bool) -> float:
    """Returns the expected |log error| of one row."""
    return SURROGATE_NOISE if surrogate else NOISE
