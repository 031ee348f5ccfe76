"""One figure of a benchmark: a JSON line on stdout with its target and whether it was met."""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any, Literal


def report(
    name: str, value: float, unit: str, target: float | None, better: Literal["lower", "higher"]
) -> None:
    """Print one figure.

    Args:
        name: what was measured, `suite/figure`.
        value: the figure, in `unit`.
        target: what was promised, in `unit`; None for a figure that is only shown.
        better: which side of the target is good.
    """
    met = None if target is None else value <= target if better == "lower" else value >= target
    # Four digits are more than repeated runs agree on.
    shown = float(f"{value:.4g}")
    line = {"name": name, "value": shown, "unit": unit, "better": better, "target": target, "met": met}
    print(json.dumps(line), flush=True)


def median_seconds(function: Callable[[], Any], repeats: int) -> float:
    """Return the median wall time of `repeats` calls after one that is not counted."""
    function()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)
