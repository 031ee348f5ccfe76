"""What a set of measurements covers: the kernels that ran and the sizes that they ran at."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

from ..tables.layer_table import MAC_KINDS, LayerTable, TableRow

#: how far beyond the measured sizes the formulas are still trusted: they are sums of linear terms, so a
#: factor of two moves no term out of proportion (own judgement)
SLACK = 2.0
#: (size, whether too little of it is also outside: the other terms vanish on their way to zero)
_SIZES: tuple[tuple[str, Callable[[LayerTable], float], bool], ...] = (
    ("macs", lambda table: table.macs, True),
    ("arena_bytes", lambda table: table.arena_bytes, True),
    ("weight_bytes", lambda table: table.total(lambda cost: cost.kernel_weight_bytes), False),
    ("moved_elements", lambda table: table.total(lambda cost: cost.moved_elements), False),
    ("rank_elements", lambda table: table.total(lambda cost: cost.rank_elements), False),
)


@dataclass(frozen=True)
class Coverage:
    """Kernels (`conv/int8`, …) and the least and most of every size among the rows of a fit."""

    kernels: tuple[str, ...]
    sizes: dict[str, tuple[float, float]]

    @classmethod
    def of(cls, tables: Iterable[LayerTable]) -> Self:
        """Returns what the tables cover."""
        tables = list(tables)
        kernels = sorted({kernel for table in tables for kernel in _kernels(table)})
        found = {name: [size(table) for table in tables] for name, size, _ in _SIZES}
        return cls(tuple(kernels), {name: (min(values), max(values)) for name, values in found.items()})

    def gaps(self, table: LayerTable) -> list[str]:
        """Returns, in words, what of a network lies outside; nothing where it is covered."""
        usual = sorted({_kernel(row) for row in table.rows if _counts(row) and row.cost.calibrated})
        gaps = [f"kernel {name} was never measured" for name in usual if name not in self.kernels]
        others = [row for row in table.rows if not row.cost.calibrated and _kernel(row) not in self.kernels]
        gaps += [f"{row.name} runs in a kernel that was never measured" for row in others]
        for name, size, both in _SIZES:
            low, high = self.sizes[name]
            value = size(table)
            if value > high * SLACK or (both and value < low / SLACK):
                gaps.append(f"{name} is {value:.3g}, measured were {low:.3g} to {high:.3g}")
        return gaps

    def holds(self, row: TableRow) -> bool:
        """Whether an operation runs in a measured kernel; what has no multiply-accumulates always does."""
        return row.cost.kind not in MAC_KINDS or _kernel(row) in self.kernels

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON; `from_json` reads it."""
        return {
            "kernels": list(self.kernels),
            "sizes": {name: list(ends) for name, ends in self.sizes.items()},
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Reads what `to_json` gave."""
        sizes = {name: (float(low), float(high)) for name, (low, high) in stored["sizes"].items()}
        return cls(tuple(stored["kernels"]), sizes)


def _kernels(table: LayerTable) -> list[str]:
    """Returns the kernels that are priced: those with multiply-accumulates, and unusual ones."""
    return sorted({_kernel(row) for row in table.rows if _counts(row)})


def _counts(row: TableRow) -> bool:
    return row.cost.kind in MAC_KINDS or not row.cost.calibrated


def _kernel(row: TableRow) -> str:
    """Returns the name of a kernel; one that the publications do not have is named by its operands too."""
    cost = row.cost
    name = f"{cost.kind}/{cost.compute}"
    return name if cost.calibrated else f"{name}/weights{cost.weight_bits}/activations{cost.activation_bits}"
