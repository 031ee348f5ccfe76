"""Qualities of choices among classes beside accuracy: for classes of unequal size, maps, many classes."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ...spaces.errors import AtollError
from .quality import OfClasses, choices_beside, share, sizes


class Counts(NamedTuple):
    """How often each class was chosen rightly, chosen at all, and right: float64 [K] each."""

    hits: Tensor
    chosen: Tensor
    right: Tensor


@dataclass(frozen=True)
class BalancedAccuracy(OfClasses):
    """The mean over classes of the share of their samples that are found (Brodersen et al. 2010, eq. 1).

    Classes without a sample are left out.
    """

    name = "balanced_accuracy"

    def measure(self, outputs: Tensor, targets: Tensor) -> float:
        """Returns the mean recall."""
        counts = _counted(outputs, targets)
        there = counts.right > 0
        return float((counts.hits[there] / counts.right[there]).mean())


@dataclass(frozen=True)
class MacroF1(OfClasses):
    """The mean over classes of the harmonic mean of precision and recall (Opitz & Burst 2019: averaged F1).

    Classes that no sample has and no choice falls on are left out.
    """

    name = "f1"

    def measure(self, outputs: Tensor, targets: Tensor) -> float:
        """Returns the mean of 2 hits / (chosen + right)."""
        counts = _counted(outputs, targets)
        total = counts.chosen + counts.right
        there = total > 0
        return float((2 * counts.hits[there] / total[there]).mean())


@dataclass(frozen=True)
class MeanIoU(OfClasses):
    """The mean over classes of intersection over union, mostly of maps (Everingham et al. 2015).

    Classes that no position has and no choice falls on are left out.
    """

    name = "mean_iou"

    def measure(self, outputs: Tensor, targets: Tensor) -> float:
        """Returns the mean of hits / (chosen + right - hits)."""
        counts = _counted(outputs, targets)
        union = counts.chosen + counts.right - counts.hits
        there = union > 0
        return float((counts.hits[there] / union[there]).mean())


@dataclass(frozen=True)
class TopK(OfClasses):
    """The share of samples whose class is among the k largest logits (Krizhevsky et al. 2012: five).

    Networks agree where they choose the same class, as for accuracy.

    Args:
        k: at least 1.
    """

    k: int = 5

    @property
    def name(self) -> str:
        """`top5` for five."""
        return f"top{self.k}"

    def measure(self, outputs: Tensor, targets: Tensor) -> float:
        """Returns the share of targets among the k largest.

        Raises:
            AtollError: there are no more than k classes, so that it is 1 whatever a network says.
        """
        choices_beside(outputs, targets)
        if outputs.shape[1] <= self.k:
            raise AtollError(
                f"{self.name}: got outputs of {sizes(outputs)}, allowed are more than {self.k} classes"
            )
        found = outputs.topk(self.k, dim=1).indices
        return share((found == targets.unsqueeze(1)).any(dim=1))


def _counted(outputs: Tensor, targets: Tensor) -> Counts:
    """Counts choices by class.

    Raises:
        AtollError: they do not fit, or a target is no class of the outputs.
    """
    chosen, classes = choices_beside(outputs, targets), outputs.shape[1]
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= classes:
        raise AtollError(f"got labels {low} to {high}, allowed are 0 to {classes - 1}, one a class")
    counted = [
        torch.bincount(found.flatten(), minlength=classes).double()
        for found in (targets[chosen == targets], chosen, targets)
    ]
    return Counts(*counted)
