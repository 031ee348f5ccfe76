"""The raw metrics of one evaluated candidate, with units in their names, and how two networks agree."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Self, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from .figures import FIGURE, METRICS

#: how the status of a figure begins that a device was never measured for; what follows says why
UNMEASURED = "unknown: "
_SHARES = tuple(figure.name for figure in METRICS if figure.exact.unit == "share")


class PlanFigures(TypedDict):
    """What is known of a candidate from its structure alone, as `Metrics` has it: its price.

    A dictionary, since constraints, goals and what a search learned ask for figures by their names.
    """

    macs: int
    model_bytes: int
    edge_tpu_mappable: float
    ethos_u_mappable: float | None
    ethos_u_flash_bytes: int | None
    parameters: int
    minimum_runtime: str | None
    minimum_runtime_reason: str
    micro_status: str | None
    arena_bytes: int
    arena_bytes_low: int | None
    arena_bytes_high: int | None
    latency_ms: float | None
    latency_ms_low: float | None
    latency_ms_high: float | None
    latency_status: str
    peak_memory_bytes: float
    peak_memory_bytes_low: float
    peak_memory_bytes_high: float
    peak_memory_status: str


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """What one evaluation found; raw figures, never scores.

    Args:
        quality: the task's own metric on the validation split, as its user knows it; a share lies in [0, 1].
        quality_name: what the task calls it.
        macs: multiply-accumulates for one sample.
        latency_ms, latency_ms_low, latency_ms_high: predicted time for one sample and its interval; None on a
            device that was never timed.
        latency_status: `interpolated`, `extrapolated`, `unknown operation: …`, `compiler estimate`, or why
            nothing is predicted.
        peak_memory_bytes, peak_memory_bytes_low, peak_memory_bytes_high: predicted peak and its interval.
        peak_memory_status: as `latency_status`.
        parameters, nonzero_parameters: counted in every layer, whatever its type.
        payload_bytes: exactly what must be stored.
        model_bytes, model_bytes_low, model_bytes_high: the artifact, predicted; an interval where it has one.
        packed_bytes: the artifact after zstd level 19; None where it was not computed.
        label_loyalty, probability_loyalty: agreement with the baseline, in [0, 1]: the share of choices
            or of numbers on which both say the same by the task's quality, and how alike the probabilities
            of classes are; None without a baseline, the second also where outputs are numbers.
        edge_tpu_mappable: share of the artifact's operators that the Edge TPU takes, by its documented rules
            (`evaluators.edge_tpu.check`), in [0, 1]; None where nobody asked.
        ethos_u_mappable: share of operators that run on the Ethos-U of the device, by its compiler's report
            (`evaluators.ethos_u`), in [0, 1]; None on other devices.
        ethos_u_flash_bytes: the artifact as that compiler writes it; None on other devices.
        minimum_runtime: oldest release of TensorFlow Lite that loads the artifact, `2.14.0`, by its operators
            (`hw_models.runtimes.need`); None where nobody asked, or the table lacks one of them.
        minimum_runtime_reason: the operator that needs it.
        micro_status: what LiteRT Micro does not run of the artifact (`hw_models.runtimes.micro`), `runs` if
            that is nothing; None where nobody asked.
        arena_bytes, arena_bytes_low, arena_bytes_high: the tensor arena that it claims there
            (`hw_models.runtimes.micro_arena`); an interval where the structure is not known yet; None where
            nobody asked.
        train_epochs, train_seconds: spent on the candidate; 0 for an untrained one.
        quality_unit, quality_higher_is_better: how the quality is read (`QualityTerms`): "%" of a share.

    Raises:
        AtollError: a figure that is not a finite number, is negative (except quality), lies outside its own
            interval, or a share outside [0, 1]; the message names the metric.
    """

    quality: float
    quality_name: str
    macs: int
    latency_ms: float | None
    latency_ms_low: float | None
    latency_ms_high: float | None
    latency_status: str
    peak_memory_bytes: float
    peak_memory_bytes_low: float
    peak_memory_bytes_high: float
    peak_memory_status: str
    parameters: int
    nonzero_parameters: int
    payload_bytes: int
    model_bytes: int
    model_bytes_low: float | None = None
    model_bytes_high: float | None = None
    packed_bytes: int | None = None
    label_loyalty: float | None = None
    probability_loyalty: float | None = None
    edge_tpu_mappable: float | None = None
    ethos_u_mappable: float | None = None
    ethos_u_flash_bytes: int | None = None
    minimum_runtime: str | None = None
    minimum_runtime_reason: str | None = None
    micro_status: str | None = None
    arena_bytes: int | None = None
    arena_bytes_low: int | None = None
    arena_bytes_high: int | None = None
    train_epochs: float = 0.0
    train_seconds: float = 0.0
    quality_unit: str = "%"
    quality_higher_is_better: bool = True

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is None and (name in _OPTIONAL or name in _UNTIMED):
                continue
            whole = name in FIGURE and FIGURE[name].whole
            object.__setattr__(self, name, _number(name, value, whole))
        if type(self.quality_higher_is_better) is not bool:
            got = self.quality_higher_is_better
            raise AtollError(f"quality_higher_is_better is {got!r}: it must be true or false")
        for name in _TEXTS:
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if not isinstance(value, str) or not (value or name == "quality_unit"):
                raise AtollError(f"{name} is {value!r}: it must be a text that is not empty")
        for name in _SHARES:
            value = getattr(self, name)
            if value is not None and value > 1:
                raise AtollError(f"{name} is {value}: it must lie between 0 and 1")
        if (self.latency_ms is None) != self.latency_status.startswith(UNMEASURED):
            raise AtollError(f"latency_ms is {self.latency_ms}, its status {self.latency_status!r}")
        for figure in METRICS:
            if figure.ends:
                self._check_interval(figure.name, *figure.ends)
        if self.nonzero_parameters > self.parameters:
            raise AtollError(f"nonzero_parameters {self.nonzero_parameters} > parameters {self.parameters}")

    def to_json(self) -> dict[str, Any]:
        """Returns every field in JSON's own types."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Builds metrics from what `to_json` gave.

        Raises:
            AtollError: a field is missing or unknown, or its figure is not valid.
        """
        known = [field.name for field in fields(cls)]
        for name in value:
            if name not in known:
                raise AtollError(f"unknown metric {name!r}: {known_names(name, known)}")
        missing = [name for name in known if name not in value and name not in _DEFAULTED]
        if missing:
            raise AtollError(f"metrics are missing: {', '.join(missing)}")
        return cls(**value)

    def _check_interval(self, name: str, lower: str, upper: str) -> None:
        low, value, high = (getattr(self, each) for each in (lower, name, upper))
        if (low is None) != (high is None):
            raise AtollError(f"{name} has half an interval: low {low}, high {high}")
        if (value is None) > (low is None):
            raise AtollError(f"{name} is None within an interval of {low} to {high}")
        if low is not None and not low <= value <= high:
            raise AtollError(f"{name} {value} lies outside its interval {low} to {high}")


_TEXTS = tuple(field.name for field in fields(Metrics) if field.type in (str, str | None))
_NUMBERS = tuple(
    field.name for field in fields(Metrics) if field.name not in _TEXTS and field.type is not bool
)
#: what a device without measurements cannot tell
_UNTIMED = ("latency_ms", *FIGURE["latency_ms"].ends)
_OPTIONAL = tuple(field.name for field in fields(Metrics) if field.default is None)
_DEFAULTED = tuple(field.name for field in fields(Metrics) if field.default is not MISSING)


def probability_loyalty(logits_a: ArrayLike, logits_b: ArrayLike) -> float:
    """Returns 1 - sqrt(JSD(P||Q)), the mean over samples (REVIEW §5).

    P and Q are the softmax of the logits; the Jensen-Shannon divergence is taken to base 2, so that it lies
    in [0, 1].

    Args:
        logits_a, logits_b: outputs of the two networks, both of shape (samples, classes), or (samples,
            classes, ...) of maps, of which every position counts; finite.

    Returns:
        a figure in [0, 1]: 1 for equal distributions, 0 for disjoint ones.

    Raises:
        AtollError: the shapes differ or have no classes, or an output is not finite.

    >>> probability_loyalty([[0.0, 99.0]], [[0.0, 99.0]]), probability_loyalty([[0.0, 99.0]], [[99.0, 0.0]])
    (1.0, 0.0)
    """
    a, b = _two_outputs(logits_a, logits_b)
    p, q = _softmax(a), _softmax(b)
    middle = (p + q) / 2
    divergence = (_entropy_gap(p, middle) + _entropy_gap(q, middle)) / 2
    return float(np.mean(1 - np.sqrt(np.clip(divergence, 0, 1))))


def _two_outputs(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim < 2 or 0 in first.shape:
        raise AtollError(
            f"outputs of shape {first.shape} and {second.shape}: both must be (samples, classes), alike"
        )
    first, second = (np.moveaxis(one, 1, -1).reshape(-1, one.shape[1]) for one in (first, second))
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise AtollError("a network's output is not finite (NaN or infinity)")
    return first, second


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _entropy_gap(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns KL(p||q) in bits per sample; q > 0 wherever p > 0."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)  # 0 · log 0 = 0
    return np.sum(p * np.log2(ratio), axis=1)


def _number(name: str, value: Any, whole: bool) -> int | float:
    """Returns the figure as a plain int or float."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise AtollError(f"{name} is {value!r}: it must be a number") from None
    if isinstance(value, (bool, str)) or not math.isfinite(number):
        raise AtollError(f"{name} is {value!r}: it must be a finite number")
    if number < 0 and name != "quality":
        raise AtollError(f"{name} is {value!r}: it must not be negative")
    if not whole:
        return number
    if int(value) != value:
        raise AtollError(f"{name} is {value!r}: it must be a whole number")
    return int(value)
