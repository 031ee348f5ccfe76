"""Latency on an Edge TPU: tiles of multiply-accumulates, parameters read, parameters streamed past the cache.

    ms = start + ms_per_gmac * (MACs in full tiles + 32 * depthwise MACs)
        + ms_per_parameter_mb * MB of parameters
        + ms_per_streamed_mb * max(0, MB of parameters - room),      room = 8 MiB - most activations at once

The array multiplies 64 x 64 weights at a time, so that reduction and output channels count as full multiples
of 64; a depthwise convolution has one column a channel and leaves most of the array idle. Parameters stay on
the chip beside the activations as far as there is room; the rest comes in anew for every image.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..tables.layer_table import MAC_KINDS, LayerTable
from .setup import Setup
from .term import Term, setup_name

#: rows and columns of the array: 64 x 64 cells at 480 MHz are the 4 TOPS of Coral's data sheet
TILE = 64
#: how many times dearer a depthwise multiply-accumulate is than one of a full tile: of 64 columns a pair is
#: used; not fitted, since one network with depthwise convolutions among few cannot tell it from the others
DEPTHWISE_FACTOR = 32
#: on-chip memory for parameters and activations, Coral's documentation ("roughly 8 MB")
CHIP_BYTES = 8 * 2**20
#: kinds that run on the array
TILED_KINDS = ("conv", "pointwise", "dense", "contraction")

TERMS = (
    Term("start_ms", 0.3, 0.5, "an image of 224 x 224 x 3 over PCIe 2.0 x 1 (500 MB/s)"),
    Term("ms_per_gmac", 1.0, 0.5, "half of 4 TOPS; the peak would be 0.5"),
    Term("ms_per_parameter_mb", 0.2, 0.5, "weights enter the array through some 64 bits at 480 MHz"),
    Term("ms_per_streamed_mb", 2.0, 0.3, "PCIe 2.0 x 1: 500 MB/s"),
)
#: set-ups beside the first: another link or clock
SETUP_SPREAD = 0.5
#: two editions of Coral's table differ by 2 to 9 % for one network, and so may other rows
NOISE = 0.1
#: where it is not certain which network was measured
SURROGATE_NOISE = 0.5


@dataclass(frozen=True)
class EdgeTpuWork:
    """What latency depends on.

    Args:
        macs: multiply-accumulates of full tiles, depthwise ones included with their factor.
        parameter_bytes: weights and biases as the chip holds them, one byte a weight.
        activation_bytes: most activations at once.
    """

    macs: int
    parameter_bytes: int
    activation_bytes: int

    @property
    def streamed_bytes(self) -> int:
        """Parameters for which there is no room on the chip."""
        return max(0, self.parameter_bytes - cache_bytes(self.activation_bytes))


def cache_bytes(activation_bytes: int) -> int:
    """Returns the on-chip memory that is left for parameters."""
    return max(0, CHIP_BYTES - activation_bytes)


def edge_tpu_work(table: LayerTable) -> EdgeTpuWork:
    """Collects the work of what runs on the chip."""
    depthwise = table.total(lambda cost: cost.macs, *(k for k in MAC_KINDS if k not in TILED_KINDS), "norm")
    return EdgeTpuWork(
        int(table.total(lambda cost: cost.tiled_macs(TILE), *TILED_KINDS) + DEPTHWISE_FACTOR * depthwise),
        int(table.total(lambda cost: cost.weight_elements + 4 * cost.bias_elements)),
        max(row.live_bytes for row in table.rows),
    )


def edge_tpu_terms(setups: tuple[Setup, ...]) -> tuple[Term, ...]:
    """Returns the coefficients to fit; the scale of the first set-up is 1 by definition."""
    scales = (Term(setup_name("scale", s.name), 1.0, SETUP_SPREAD, "same chip") for s in setups[1:])
    return (*TERMS, *scales)


def edge_tpu_latency_ms(work: EdgeTpuWork, coefficients: Mapping[str, float], setup: str) -> float:
    """Returns the time of one image in ms."""
    return coefficients.get(setup_name("scale", setup), 1.0) * (
        coefficients["start_ms"]
        + coefficients["ms_per_gmac"] * work.macs * 1e-9
        + coefficients["ms_per_parameter_mb"] * work.parameter_bytes * 1e-6
        + coefficients["ms_per_streamed_mb"] * work.streamed_bytes * 1e-6
    )


def noise(_: float, surrogate: bool) -> float:
    """Returns the expected |log error| of one row."""
    return SURROGATE_NOISE if surrogate else NOISE
