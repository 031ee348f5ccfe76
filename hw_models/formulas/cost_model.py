"""The formulas that price a quantity, each with its work, its terms and what it is expected to miss."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from ..tables.layer_table import LayerTable
from . import (
    delegate_latency,
    delegate_memory,
    edge_tpu_latency,
    edge_tpu_rules,
    latency,
    memory,
    multicore_latency,
)
from .setup import Setup
from .term import Term

#: quantity -> (its column in a file of measurements, how many units of the quantity one of the column is)
QUANTITIES: dict[str, tuple[str, float]] = {
    "latency_ms": ("latency_ms", 1.0),
    "peak_memory_bytes": ("peak_memory_mib", memory.MIB),
}


@dataclass(frozen=True)
class CostModel:
    """One formula of one quantity.

    Args:
        quantity: name with unit, as predictions and metrics are called.
        formula: its name, as `device.toml` says it.
        terms: set-ups -> coefficients to fit, all positive.
        work: (layer table, bytes of the file where known) -> what the quantity depends on.
        price: (work, coefficients, set-up) -> the quantity, > 0.
        noise: (figure, whether the network is a stand-in) -> expected |log(predicted / measured)| of one
            row where the coefficients are right.
        additive: whether a network costs what its operations cost, one by one.
        robust: whether single rows may be far off: their pull then grows with the error, not its square.
        unknown: names of a network's operations that the formula cannot price.
    """

    quantity: str
    formula: str
    terms: Callable[[tuple[Setup, ...]], tuple[Term, ...]]
    work: Callable[[LayerTable, int | None], Any]
    price: Callable[[Any, Mapping[str, float], str], float]
    noise: Callable[[float, bool], float]
    additive: bool = True
    robust: bool = False
    unknown: Callable[[LayerTable], tuple[str, ...]] = lambda table: table.unknown

    @property
    def column(self) -> str:
        """Name of its column in a file of measurements."""
        return QUANTITIES[self.quantity][0]

    @property
    def column_unit(self) -> float:
        """How many units of the quantity one unit of the column is."""
        return QUANTITIES[self.quantity][1]


COST_MODELS: tuple[CostModel, ...] = (
    CostModel(
        "latency_ms",
        "cpu",
        latency.latency_terms,
        lambda table, _: latency.latency_work(table),
        latency.latency_ms,
        latency.noise,
    ),
    CostModel(
        "peak_memory_bytes",
        "cpu",
        memory.memory_terms,
        memory.memory_work,
        memory.peak_memory_bytes,
        memory.noise,
        additive=False,
        robust=True,
    ),
    CostModel(
        "latency_ms",
        "edge_tpu",
        edge_tpu_latency.edge_tpu_terms,
        lambda table, _: edge_tpu_latency.edge_tpu_work(table),
        edge_tpu_latency.edge_tpu_latency_ms,
        edge_tpu_latency.noise,
        robust=True,
        unknown=edge_tpu_rules.untimed,
    ),
    CostModel(
        "latency_ms",
        "multicore_cpu",
        multicore_latency.multicore_terms,
        lambda table, _: multicore_latency.multicore_work(table),
        multicore_latency.multicore_latency_ms,
        multicore_latency.noise,
        robust=True,
        unknown=multicore_latency.unpriced,
    ),
    CostModel(
        "latency_ms",
        "delegate",
        delegate_latency.latency_terms,
        lambda table, _: delegate_latency.latency_work(table),
        delegate_latency.latency_ms,
        delegate_latency.noise,
        robust=True,
    ),
    CostModel(
        "peak_memory_bytes",
        "delegate",
        delegate_memory.memory_terms,
        delegate_memory.memory_work,
        delegate_memory.peak_memory_bytes,
        delegate_memory.noise,
        additive=False,
        robust=True,
    ),
)


def cost_model(quantity: str, formula: str) -> CostModel:
    """Returns the formula of a quantity; unknown names raise with the nearest known one."""
    known = [model.formula for model in COST_MODELS if model.quantity == quantity]
    for model in COST_MODELS:
        if (model.quantity, model.formula) == (quantity, formula):
            return model
    raise AtollError(f"unknown formula {formula!r} of {quantity}; {known_names(formula, known)}")
