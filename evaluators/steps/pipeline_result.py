"""What a pipeline gives: a network, and what every step did to it."""

from dataclasses import dataclass, fields
from typing import Any

from torch import nn

from ...spaces.technique.technique import Decisions
from ..ranking.figures import FIGURE
from ..ranking.metrics import Metrics


@dataclass(frozen=True)
class StepRecord:
    """What one step did and what the network was worth after it.

    Args:
        position: 1 for the first step; 0 for the baseline.
        step: its text.
        technique, stage: what it is.
        epochs: passes over the training split that it spent.
        seconds: wall time of making it (not of reading it back).
        cached: whether this trial found it in the cache.
        worker_pid: the process that made it.
        quality, payload_bytes, model_bytes, packed_bytes, macs, latency_ms, peak_memory_bytes, parameters:
            after the step, on the validation split; latency, memory and model bytes predicted.
        notes: what the technique wants its reader to know (fates of constraints, layers left alone).
    """

    position: int
    step: str
    technique: str
    stage: str
    epochs: float
    seconds: float
    cached: bool
    worker_pid: int
    quality: float
    payload_bytes: int
    model_bytes: int
    packed_bytes: int | None
    macs: int
    latency_ms: float | None
    peak_memory_bytes: float
    parameters: int
    notes: dict[str, Any]


#: what a record has of the metrics after its step
MEASURED_AFTER_A_STEP = tuple(
    field.name
    for field in fields(StepRecord)
    if field.name in FIGURE and FIGURE[field.name].source == "metric"
)


@dataclass(frozen=True)
class PipelineResult:
    """A network with everything that is known of it.

    Args:
        network: the final one, in evaluation mode.
        decisions: of every step, in order.
        metrics: of the final network.
        steps: one record a step.
        digest: SHA-256 over the final weights.
        key: its key in the step cache.
    """

    network: nn.Module
    decisions: tuple[Decisions, ...]
    metrics: Metrics
    steps: tuple[StepRecord, ...]
    digest: str
    key: str
