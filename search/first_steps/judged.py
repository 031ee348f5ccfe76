"""What the given network is worth on a task's data, and under which scaling of its inputs the most."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import torch
from torch import nn

from ...evaluators.datasets.dataset import Dataset, Split
from ...evaluators.own.task import NORMALIZE
from ...evaluators.tasks.task import Task
from ...spaces.layers.scaling import Scaling
from ...spaces.layers.structure import scaling_of

#: images that a network is judged on at most, and those of which it is told how long one takes
JUDGED, _PROBED = 500, 16
#: seconds that judging may take under all scalings together: what a check has for it of its minute
_LONGEST_S = 10.0
#: how far two figures of one network may lie apart: standard errors of a share, else a share of the figure
_ERRORS, _SHARE = 2.0, 0.05
#: of a share, at least: half a point is nobody's concern
_LEAST = 0.005


@dataclass(frozen=True)
class Judged:
    """The quality of the given network on validation images.

    Args:
        quality: with the scaling that the task has.
        unit: of the quality; "%" of a share, which is kept in [0, 1].
        images: how many it was judged on.
        tolerance: how far chance alone may take it.
        by_scaling: the quality with each of the usual scalings, by what `input.normalize` calls it.
        best_scaling: the name of one that is better by more than chance, None where none is.
    """

    quality: float
    unit: str
    images: int
    tolerance: float
    by_scaling: Mapping[str, float]
    best_scaling: str | None


def judge_given(task: Task, network: nn.Module, dataset: Dataset, expected: float | None = None) -> Judged:
    """Judges a network as its task has it, and with the usual scalings in place of its own.

    Args:
        task: says what is right.
        network: adopted, as it was given; unchanged.
        dataset: whose validation images, `JUDGED` at most.
        expected: quality of the network, where its user knows it.

    Raises:
        AtollError: the quality cannot be measured.
    """
    few = dataset.validation.first(_affordable(task, network, dataset))
    own = scaling_of(network)
    quality = task.quality(network, few)
    tolerance = _tolerance(quality, len(few), task.judged_by.unit)
    tried = {}
    if few.images.dtype == torch.uint8:
        channels = few.images.shape[1]
        tried = {name: scaling for name, scaling in NORMALIZE.items() if scaling.channels in (None, channels)}
    by_scaling = {name: _judged_with(task, network, few, scaling) for name, scaling in tried.items()}
    terms = task.quality_terms
    others = {name: value for name, value in by_scaling.items() if tried[name] != own}
    best = terms.best(others) if others else None
    if best is not None:
        gained = others[best] - quality if terms.higher_is_better else quality - others[best]
        is_off = expected is not None and abs(quality - expected) > tolerance
        is_known = is_off and gained > 0 and abs(others[best] - (expected or 0.0)) <= tolerance
        if not is_known and gained <= _more_than_chance(tolerance, len(few), task.judged_by.unit):
            best = None
    return Judged(quality, task.judged_by.unit, len(few), tolerance, by_scaling, best)


def _affordable(task: Task, network: nn.Module, dataset: Dataset) -> int:
    """Returns how many images the network can be judged on in time."""
    probe = dataset.validation.first(_PROBED)
    started = time.perf_counter()
    task.quality(network, probe)
    each_s = (time.perf_counter() - started) / len(probe) * (1 + len(NORMALIZE))
    return min(JUDGED, max(_PROBED, int(_LONGEST_S / max(each_s, 1e-9))))


def _judged_with(task: Task, network: nn.Module, split: Split, scaling: Scaling) -> float:
    own = scaling_of(network)
    try:
        network.input_scaling = scaling  # type: ignore[assignment]
        return task.quality(network, split)
    finally:
        network.input_scaling = own  # type: ignore[assignment]


def _tolerance(quality: float, images: int, unit: str) -> float:
    """Returns how far a figure may be off by the choice of images alone."""
    if unit != "%":
        return _SHARE * abs(quality)
    share = min(max(quality, 1 / (images + 2)), 1 - 1 / (images + 2))  # a perfect sample proves no perfection
    return max(_LEAST, _ERRORS * sqrt(share * (1 - share) / images))


def _more_than_chance(tolerance: float, images: int, unit: str) -> float:
    """Returns how much better a scaling must be: of the same images some would change sides by chance."""
    return max(2 * _LEAST, _ERRORS**2 / images) if unit == "%" else 2 * tolerance
