"""Made-up figures: a baseline, what each technique does to it, and a study that is answered from them."""

from dataclasses import replace
from typing import Any

from ..evaluators.ranking.metrics import Metrics
from .replay import Effect, Replay

#: about those of the papers' network on the papers' board
BASELINE = Metrics(
    quality=0.95,
    quality_name="accuracy",
    macs=32_899_776,
    latency_ms=22.88,
    latency_ms_low=20.0,
    latency_ms_high=25.0,
    latency_status="interpolated",
    peak_memory_bytes=8_900_000.0,
    peak_memory_bytes_low=8_000_000.0,
    peak_memory_bytes_high=9_900_000.0,
    peak_memory_status="interpolated",
    parameters=1_106_176,
    nonzero_parameters=1_106_176,
    payload_bytes=4_424_704,
    model_bytes=4_429_610,
)
# Roughly what each did on the real network; only their differences matter here.
EFFECTS = {
    "prune_channels": Effect(0.5, 0.008),
    "prune_weights": Effect(0.7, 0.002),
    "tensor_train": Effect(0.1, 0.01),
    "tucker": Effect(0.6, 0.006),
    "cluster": Effect(0.3, 0.004),
    "quantize": Effect(0.25, 0.0),
    "binarize": Effect(0.05, 0.03),
    "distill": Effect(1.0, -0.004),
}
#: a study over them, as a YAML file would hold it
STUDY: dict[str, Any] = {
    "task": "digits",
    "seed": 3,
    "techniques": list(EFFECTS),
    "finalist_seeds": 1,
    "limits": {"ensembles": 8},
}


def made_up_metrics(**changes: Any) -> Metrics:
    """Returns the figures of `BASELINE`, some of them others.

    >>> made_up_metrics(quality=0.5).quality
    0.5
    """
    return replace(BASELINE, **changes)


def made_up_replay(seconds: float = 0.0) -> Replay:
    """Returns an evaluator that answers any recipe of the techniques in `EFFECTS`.

    Args:
        seconds: how long an evaluation takes.
    """
    return Replay({"baseline": BASELINE}, EFFECTS, seconds)
