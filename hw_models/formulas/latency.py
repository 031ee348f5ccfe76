"""Latency on a CPU: work by kind and dtype, weights streamed, tensor-train permutations, times the set-up.

    t = scale(set-up) * (ns_per_mac * sum over kinds of factor(kind) * factor(dtype) * MACs
        + ns_per_weight_byte * bytes of weights + ns_per_moved_element * elements permuted by tensor trains
        + ns_per_rank_element * rank x elements)

Every coefficient is positive, so that more work never costs less time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..tables.layer_table import MAC_KINDS, LayerTable
from .setup import Setup
from .term import Term, setup_name

#: Four Cortex-A53 at 1.5 GHz (Coral Dev Board data sheet), one of them used: two float MACs a cycle at best,
#: some 0.33 ns each; single-core streaming of LPDDR4 at one to two GB/s.
TERMS = (
    Term("ns_per_mac", 0.5, 1.0, "float32 convolution at two thirds of the core's peak"),
    Term("pointwise_factor", 1.0, 0.3, "1x1, dense and contraction beside convolution: the same GEMM"),
    Term("depthwise_factor", 0.7, 0.5, "no GEMM, but neither im2col nor packing: own judgement"),
    Term("int8_factor", 0.5, 0.5, "operands are four times as dense, accumulation is not"),
    Term("ns_per_weight_byte", 1.0, 1.0, "memory bandwidth"),
    Term("ns_per_moved_element", 10.0, 1.0, "a strided copy: about a cache miss for a few elements"),
    Term("ns_per_rank_element", 5.0, 1.0, "narrow contractions run far below the peak"),
)
#: set-ups beside the first: another runtime, thread count or board revision
SETUP_SPREAD = 0.5
#: repeats of one network agree within 0.01 (published rows p1_baseline, p1_pruned and p1_distilled), so this
#: is what such a formula leaves unexplained
NOISE = 0.03


def noise(_: float, surrogate: bool) -> float:
    """Returns the expected |log error| of one row; a stand-in has its publication's operation count."""
    return NOISE


@dataclass(frozen=True)
class LatencyWork:
    """What latency depends on.

    Args:
        macs: (kind factor's name or "", whether int8) -> multiply-accumulates.
        weight_bytes: of all weights as their kernels read them.
        moved_elements, rank_elements: of tensor-train contractions.
    """

    macs: tuple[tuple[str, bool, int], ...]
    weight_bytes: int
    moved_elements: int
    rank_elements: int


def latency_work(table: LayerTable) -> LatencyWork:
    """Collects the work of a network; fewer stored bits alone are no less work."""
    macs: dict[tuple[str, bool], int] = {}
    for row in table.rows:
        if row.cost.kind in MAC_KINDS:
            key = (_kind_factor(row.cost.kind), row.cost.compute == "int8")
            macs[key] = macs.get(key, 0) + row.cost.macs
    return LatencyWork(
        tuple((*key, count) for key, count in sorted(macs.items())),
        int(table.total(lambda cost: cost.kernel_weight_bytes)),
        int(table.total(lambda cost: cost.moved_elements)),
        int(table.total(lambda cost: cost.rank_elements)),
    )


def _kind_factor(kind: str) -> Literal["", "pointwise_factor", "depthwise_factor"]:
    if kind == "conv":
        return ""
    return "depthwise_factor" if kind == "depthwise" else "pointwise_factor"


def latency_terms(setups: tuple[Setup, ...]) -> tuple[Term, ...]:
    """Returns the coefficients to fit; the scale of the first set-up is 1 by definition."""
    scales = (Term(setup_name("scale", s.name), 1.0, SETUP_SPREAD, "same board") for s in setups[1:])
    return (*TERMS, *scales)


def latency_ms(work: LatencyWork, coefficients: Mapping[str, float], setup: str) -> float:
    """Returns the time of one image in ms."""
    weighted_macs = 0.0
    for kind_factor, int8, macs in work.macs:
        kind = coefficients[kind_factor] if kind_factor else 1.0
        weighted_macs += macs * kind * (coefficients["int8_factor"] if int8 else 1.0)
    ns = (
        coefficients["ns_per_mac"] * weighted_macs
        + coefficients["ns_per_weight_byte"] * work.weight_bytes
        + coefficients["ns_per_moved_element"] * work.moved_elements
        + coefficients["ns_per_rank_element"] * work.rank_elements
    )
    # a network without any of that work takes some time all the same, and prices are above 0
    return coefficients.get(setup_name("scale", setup), 1.0) * max(ns, 1.0) * 1e-6
