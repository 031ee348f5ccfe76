"""What a candidate has beside the baseline: how much worse its quality is, and how much smaller its file."""

import math
from collections.abc import Mapping
from typing import Any

from ...spaces.errors import AtollError
from .figures import FIGURE
from .metrics import Metrics
from .quality_terms import QualityTerms

Figures = Mapping[str, Any] | Metrics


def quality_drop(metrics: Figures, baseline: Figures) -> float:
    """Returns how much worse a candidate is than the baseline, in the quality's unit; below 0 it is better.

    Args:
        metrics: the candidate's, with its quality as its user knows it.
        baseline: the baseline's, with the terms in which the quality is read.

    Raises:
        AtollError: a quality is missing or not finite.
    """
    of_baseline = figure_of(baseline, "quality", "baseline")
    return QualityTerms.of(baseline).drop(of_baseline, figure_of(metrics, "quality"))


def compression_ratio(baseline_bytes: float, model_bytes: float) -> float:
    """Returns how many times smaller a file is than the baseline's.

    Args:
        baseline_bytes, model_bytes: sizes of the two, >= 0; beside nothing every size is infinitely large.

    >>> compression_ratio(1000, 100), compression_ratio(1000, 0)
    (10.0, inf)
    """
    return baseline_bytes / model_bytes if model_bytes > 0 else math.inf


def cost_of(metrics: Figures, name: str, whose: str = "candidate") -> float:
    """Returns a figure, 0 for what the device was never measured for: of all alike, it decides nothing.

    Raises:
        AtollError: it is missing or not a finite number.

    >>> cost_of({"latency_ms": None, "macs": 3}, "latency_ms"), cost_of({"latency_ms": 2}, "latency_ms")
    (0.0, 2.0)
    """
    found = metrics if isinstance(metrics, Mapping) else vars(metrics)
    unmeasured = FIGURE[name].of_device and name in found and found[name] is None
    return 0.0 if unmeasured else figure_of(metrics, name, whose)


def figure_of(metrics: Figures, name: str, whose: str = "candidate") -> float:
    """Returns one figure as a float.

    Raises:
        AtollError: it is missing or not a finite number.
    """
    value = metrics.get(name) if isinstance(metrics, Mapping) else getattr(metrics, name, None)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise AtollError(f"{name} of the {whose} is {value!r}: it must be a number") from None
    if not math.isfinite(number):
        raise AtollError(f"{name} of the {whose} is {value!r}: it must be a finite number")
    return number
