"""Qualities of numbers: how far outputs are from targets, in their unit or as a share of their spread."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...spaces.errors import AtollError
from ...spaces.graph.heads import matched_targets
from .quality import check_alike, share, sizes

#: how far two networks' numbers may lie apart and still be the same, as a share of the span of both: own
#: choice, that of a common industrial instrument (class 1 of IEC 60051-1), and 2.5 steps of a grid of 8 bits
SPAN_SHARE = 0.01


@dataclass(frozen=True)
class OfNumbers:
    """What every quality of numbers has in common.

    Outputs are (N, ...), with as many targets for every sample.

    Args:
        tolerance: how far two networks' outputs may lie apart and still be the same, in the targets' unit;
            `SPAN_SHARE` of the span of all their outputs where it is None.

    Raises:
        AtollError: the tolerance is no finite number >= 0.
    """

    tolerance: float | None = None

    of_classes = False

    def __post_init__(self) -> None:
        check_tolerance(self.tolerance)

    def agreement(self, outputs: Tensor, others: Tensor) -> float:
        """Returns the share of numbers that lie within reach, as errors are a mean over all of them."""
        return numbers_agree(outputs, others, self.tolerance)


@dataclass(frozen=True)
class OfErrors(OfNumbers):
    """An error in the targets' unit, of which less is better.

    Args:
        tolerance: as of `OfNumbers`.
        unit: of the targets.
    """

    unit: str = ""

    higher_is_better = False


@dataclass(frozen=True)
class MeanAbsoluteError(OfErrors):
    """The mean over all outputs of |output - target|, in the targets' unit."""

    name = "mean_absolute_error"

    def measure(self, outputs: Tensor, targets: Tensor) -> float:
        """Returns the mean distance."""
        return float(_errors(outputs, targets, self.name).abs().mean())


@dataclass(frozen=True)
class RootMeanSquaredError(OfErrors):
    """The root of the mean over all outputs of (output - target)^2, in the targets' unit."""

    name = "root_mean_squared_error"

    def measure(self, outputs: Tensor, targets: Tensor) -> float:
        """Returns the root of the mean square."""
        return float(_errors(outputs, targets, self.name).square().mean().sqrt())


@dataclass(frozen=True)
class R2(OfNumbers):
    """The share of the targets' variance that outputs explain, the mean over outputs (Wright 1921).

    1 is perfect, 0 what the best constant reaches, below it anything. An output whose target never changes
    counts 1 where it is met and 0 where not.
    """

    name = "r2"
    unit = ""
    higher_is_better = True

    def measure(self, outputs: Tensor, targets: Tensor) -> float:
        """Returns the mean over outputs of 1 - sum of squares left / sum of squares there."""
        errors = _errors(outputs, targets, self.name).reshape(len(outputs), -1)
        known = targets.double().reshape(errors.shape)
        left = errors.square().sum(dim=0)
        there = (known - known.mean(dim=0)).square().sum(dim=0)
        constant = (left == 0).double()
        return float(torch.where(there > 0, 1 - left / there.where(there > 0, 1), constant).mean())


def numbers_agree(outputs: Tensor, others: Tensor, tolerance: float | None = None) -> float:
    """Returns the share of numbers that two networks give alike.

    Every number counts, as every position of a map does where classes are chosen: of 640 numbers a sample one
    always lies far off, and a share of samples would be 0 for whatever is not bit for bit the same.

    Args:
        outputs, others: (N, ...).
        tolerance: how far numbers may lie apart, in their unit; `SPAN_SHARE` of the span of both if None.

    Raises:
        AtollError: they are not of one shape, none, or not finite.
    """
    check_alike(outputs, others)
    first, second = _finite(outputs), _finite(others)
    if tolerance is None:
        ends = [end(one) for one in (first, second) for end in (torch.amin, torch.amax)]
        tolerance = SPAN_SHARE * float(max(ends) - min(ends))
    return share((first - second).abs() <= tolerance)


def check_tolerance(tolerance: float | None) -> None:
    """Refuses a tolerance that nothing could be held against.

    Raises:
        AtollError: it is no finite number >= 0.
    """
    if tolerance is not None and not 0 <= tolerance < float("inf"):
        raise AtollError(f"tolerance: got {tolerance!r}, allowed is a finite number of 0 or more")


def _errors(outputs: Tensor, targets: Tensor, name: str) -> Tensor:
    """Returns output - target, float64, in the shape of the outputs."""
    found = _finite(outputs)
    if not targets.is_floating_point():
        raise AtollError(f"{name}: got labels of {sizes(targets)} that are classes, allowed is numbers")
    return found - matched_targets(found, targets.double(), name)


def _finite(outputs: Tensor) -> Tensor:
    if outputs.dim() < 1 or 0 in outputs.shape:
        raise AtollError(f"got outputs of {sizes(outputs)}, allowed are numbers (N, ...), N at least 1")
    if not bool(torch.isfinite(outputs).all()):
        raise AtollError("a network's output is not finite (NaN or infinity)")
    return outputs.double()
