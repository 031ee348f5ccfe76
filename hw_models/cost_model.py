"""The quantities that a device predicts, each with its work, its terms and its formula."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import latency, memory
from .layer_table import LayerTable
from .term import Term


@dataclass(frozen=True)
class CostModel:
    """One predicted quantity.

    Args:
        quantity: name with unit, as predictions and metrics are called.
        column: its column in a file of measurements.
        column_unit: how many units of the quantity one unit of the column is.
        terms: set-ups -> coefficients to fit.
        work: layer table -> what the quantity depends on.
        price: (work, coefficients, set-up) -> the quantity, > 0.
    """

    quantity: str
    column: str
    column_unit: float
    terms: Callable[[tuple[str, ...]], tuple[Term, ...]]
    work: Callable[[LayerTable], Any]
    price: Callable[[Any, Mapping[str, float], str], float]


LATENCY = CostModel(
    "latency_ms", "latency_ms", 1.0, latency.latency_terms, latency.latency_work, latency.latency_ms
)
MEMORY = CostModel(
    "peak_memory_bytes",
    "peak_memory_mib",
    memory.MIB,
    memory.memory_terms,
    memory.memory_work,
    memory.peak_memory_bytes,
)
COST_MODELS = (LATENCY, MEMORY)
