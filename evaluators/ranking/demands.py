"""What a study demands of a candidate: its constraints, and that its runtime loads the file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...hw_models.runtimes.micro import RUNS
from ...hw_models.runtimes.runtime import Runtime, offered
from .constraints import Constraint, Figures, parse_constraints


@dataclass(frozen=True)
class Loadable:
    """That a runtime loads the file; beside `Constraint`, whose words it has.

    Args:
        runtime: of the study.

    >>> demanded = Loadable(Runtime.named("tflite-2.14"))
    >>> demanded.explain({"minimum_runtime": "2.21.0", "minimum_runtime_reason": "int2"}, {})
    'tflite-2.14 does not load it: int2 needs TensorFlow Lite 2.21.0; `runtime: litert-2` does'
    """

    runtime: Runtime
    needs_training = False

    def __str__(self) -> str:
        return (
            f"micro_status = {RUNS}"
            if self.runtime.is_micro
            else f"minimum_runtime <= {self.runtime.release}"
        )

    def is_priced(self, price: Figures) -> bool:
        """Whether a price says what the file needs."""
        return self._needed(price) is not None

    def violation(self, metrics: Figures, baseline: Figures, favourable: bool = False) -> float:
        """Returns 1, twice a bound, where the runtime does not load the file, else 0.

        A file of which nobody said what it needs, as in stores of older versions, is not held to it.
        """
        needed = self._needed(metrics)
        return 0.0 if needed is None or self.runtime.loads(needed) else 1.0

    def explain(self, metrics: Figures, baseline: Figures, favourable: bool = False) -> str:
        """Returns what the file needs, and which runtime has it where there is one."""
        needed = self._needed(metrics) or ""
        if self.runtime.is_micro:
            return f"{self.runtime.name} does not load it: {needed}"
        reason = _text(metrics, "minimum_runtime_reason") or "the file"
        other = offered(needed)
        cure = f"; `runtime: {other}` does" if other else ""
        return f"{self.runtime.name} does not load it: {reason} needs TensorFlow Lite {needed}{cure}"

    def _needed(self, figures: Figures) -> str | None:
        return _text(figures, "micro_status" if self.runtime.is_micro else "minimum_runtime")


Demand = Constraint | Loadable


def demands(constraints: Iterable[str], runtime: Runtime | None) -> tuple[Demand, ...]:
    """Returns everything that a candidate is held to.

    Args:
        constraints: of the study, in their text form.
        runtime: of the study; None where neither it nor its device names one.

    Raises:
        AtollError: as `parse_constraints`.
    """
    return (*parse_constraints(constraints), *([] if runtime is None else [Loadable(runtime)]))


def violations(
    demanded: Iterable[Demand], metrics: Figures, baseline: Figures, favourable: bool = False
) -> dict[str, float]:
    """Returns the violation of each demand under its text form; all <= 0 means that all are met."""
    return {str(one): one.violation(metrics, baseline, favourable) for one in demanded}


def unloadable(demanded: Iterable[Demand], metrics: Figures) -> list[str]:
    """Returns, in a sentence, that the runtime among the demands does not load a file; else nothing."""
    held = (one for one in demanded if isinstance(one, Loadable))
    return [one.explain(metrics, metrics) for one in held if one.violation(metrics, metrics)]


def _text(figures: Figures, name: str) -> str | None:
    value: Any = figures.get(name) if isinstance(figures, Mapping) else getattr(figures, name, None)
    return value if isinstance(value, str) else None
