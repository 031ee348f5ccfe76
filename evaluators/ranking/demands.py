"""What a study demands of a candidate: its constraints, and that its runtime runs the file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...hw_models.runtimes.micro import RUNS
from ...hw_models.runtimes.need import NOT_IN, excepted
from ...hw_models.runtimes.runtime import Runtime, offered
from .constraints import Constraint, Figures, parse_constraints


@dataclass(frozen=True)
class Loadable:
    """That a runtime loads the file and computes what is meant; beside `Constraint`, whose words it has.

    Args:
        runtime: of the study.

    >>> demanded = Loadable(Runtime.named("tflite-2.14"))
    >>> demanded.explain({"minimum_runtime": "2.21.0", "minimum_runtime_reason": "int2"}, {})
    'tflite-2.14 does not load it: int2 needs TensorFlow Lite 2.21.0; `runtime: litert-2` does'
    """

    runtime: Runtime
    needs_training = False

    def __str__(self) -> str:
        if self.runtime.is_micro:
            return f"micro_status = {RUNS}"
        # the view of recipes reads both
        held = f"minimum_runtime <= {self.runtime.release}"
        return f"{held} in {self.runtime.line}" if self.runtime.line in _FAULTY else held

    def is_priced(self, price: Figures) -> bool:
        """Whether a price says what the file needs."""
        return self._needed(price) is not None or self._is_faulty(price)

    def violation(self, metrics: Figures, baseline: Figures, favourable: bool = False) -> float:
        """Returns 1, twice a bound, where the runtime does not load the file, else 0.

        A file of which nobody said what it needs, as in stores of older versions, is not held to it.
        """
        needed = self._needed(metrics)
        loads = needed is None or self.runtime.loads(needed)
        return 0.0 if loads and not self._is_faulty(metrics) else 1.0

    def explain(self, metrics: Figures, baseline: Figures, favourable: bool = False) -> str:
        """Returns what the file needs, or what the runtime does to it; and which has it where one has."""
        needed = self._needed(metrics) or ""
        if self.runtime.is_micro:
            return f"{self.runtime.name} does not load it: {needed}"
        reason = _text(metrics, "minimum_runtime_reason") or "the file"
        not_in = excepted(reason)
        other = offered(needed, not_in) if needed else None
        cure = f"; `runtime: {other}` does" if other else ""
        if self._is_faulty(metrics):
            return (
                f"{self.runtime.name} does not run half precision right with XNNPACK, its default, as "
                f"{', '.join(not_in)} do not{cure}"
            )
        return f"{self.runtime.name} does not load it: {reason} needs TensorFlow Lite {needed}{cure}"

    def _is_faulty(self, figures: Figures) -> bool:
        """Whether the file is known not to run in this runtime though others as old or older run it."""
        reason = _text(figures, "minimum_runtime_reason") or ""
        return not self.runtime.is_micro and self.runtime.line in excepted(reason)

    def _needed(self, figures: Figures) -> str | None:
        return _text(figures, "micro_status" if self.runtime.is_micro else "minimum_runtime")


#: runtimes that newer and older ones are better than
_FAULTY = {name for names in NOT_IN.values() for name in names}
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
