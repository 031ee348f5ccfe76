"""What a file says of single samples: where it is furthest from its network, which classes it confuses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ...spaces.errors import AtollError
from ...spaces.graph.heads import Outputs, heads
from ..tasks.quality import OfOutputs, Quality, choices

#: samples of a table, and thumbnails beside each other (own choice)
WORST = 5
#: classes whose confusions are all kept: of more no picture could be read (own choice)
MOST_CLASSES = 40
_Place = Annotated[int, Field(ge=0)]
_Counts = Annotated[list[_Place], Field(max_length=MOST_CLASSES)]


@dataclass(frozen=True)
class Disagreement:
    """A sample on which a file is far from its network.

    Args:
        sample: its place in the validation split, from 0 on.
        difference: largest one of any output, absolute, in the output's unit.
        label: its class; None where outputs do not choose one class a sample, as with the next two.
        network, file: classes that they choose.
    """

    sample: _Place
    difference: float
    label: _Place | None
    network: _Place | None
    file: _Place | None


@dataclass(frozen=True)
class Confusion:
    """Classes that a file takes for another.

    Args:
        label, file: the class, and what it is taken for.
        count: how often.
    """

    label: _Place
    file: _Place
    count: _Place


@dataclass(frozen=True)
class SampleReport:
    """What a file says of single samples of the validation split.

    Args:
        disagreements: those of which the file chooses another class than its network before others, then by
            their difference, the largest first; the one with the largest is among them. Without those on
            which both are exactly alike.
        confusions: the most frequent ones, the first classes before others; none where no class is chosen.
        matrix: how often each class, a row each, is taken for each; None with more than `MOST_CLASSES`, and
            where no class is chosen.
    """

    disagreements: Annotated[list[Disagreement], Field(max_length=WORST)]
    confusions: Annotated[list[Confusion], Field(max_length=WORST)]
    matrix: Annotated[list[_Counts], Field(min_length=1, max_length=MOST_CLASSES)] | None

    def __post_init__(self) -> None:
        sizes = {len(row) for row in self.matrix or []}
        if self.matrix is not None and sizes != {len(self.matrix)}:
            raise AtollError(f"samples: got a matrix of {len(self.matrix)} rows that is not square")


def sample_report(
    found: Outputs, expected: Outputs, labels: Tensor, quality: Quality, samples: Sequence[int] | None = None
) -> SampleReport:
    """Compares what a file and its network say of each sample.

    Args:
        found, expected: outputs of the file and of its network, (N, ...) each.
        labels: of the samples.
        quality: of the task.
        samples: which are told; the worst where None.
    """
    both = zip(heads(found, Tensor), heads(expected, Tensor), strict=True)
    apart = [(one - other).abs() for one, other in both]
    differences = torch.stack([one.reshape(len(one), -1).amax(dim=1).double() for one in apart]).amax(dim=0)
    logits, others = (_logits(outputs, labels, quality) for outputs in (found, expected))
    if logits is None or others is None:
        places = _worst(differences, torch.zeros_like(differences)) if samples is None else samples
        return SampleReport(
            [Disagreement(n, float(differences[n]), None, None, None) for n in places], [], None
        )
    ours, theirs = choices(logits), choices(others)
    places = _worst(differences, ours != theirs) if samples is None else samples
    told = [
        Disagreement(n, float(differences[n]), int(labels[n]), int(theirs[n]), int(ours[n])) for n in places
    ]
    return SampleReport(told, _confusions(labels, ours), _matrix(labels, ours, logits.shape[1]))


def _logits(outputs: Outputs, labels: Tensor, quality: Quality) -> Tensor | None:
    """Returns the output (N, K) that chooses one of K classes a sample; None where there is none."""
    if isinstance(quality, OfOutputs):
        if quality.outputs.chosen is None:
            return None
        outputs = quality.outputs.shown(outputs)
    is_one = (
        quality.of_classes and isinstance(outputs, Tensor) and outputs.dim() == 2 and outputs.shape[1] > 1
    )
    is_labelled = labels.dim() == 1 and not labels.is_floating_point()
    return outputs if is_one and is_labelled else None


def _worst(differences: Tensor, differs: Tensor) -> list[int]:
    """Returns the samples that are told; of equal ones the first, on every machine."""
    told = zip(differs.tolist(), differences.tolist(), strict=True)
    order = sorted((-bool(differ), -off, place) for place, (differ, off) in enumerate(told) if off > 0)
    picked = order[:WORST]
    furthest = min(order, key=lambda one: one[1:], default=None)
    if furthest is not None and furthest not in picked:
        picked[-1] = furthest
    return [place for *_, place in picked]


def _confusions(labels: Tensor, chosen: Tensor) -> list[Confusion]:
    wrong = labels != chosen
    pairs, counts = torch.stack([labels[wrong], chosen[wrong]], dim=1).unique(dim=0, return_counts=True)
    order = sorted(zip((-counts).tolist(), pairs.tolist(), strict=True))
    return [Confusion(label, file, -count) for count, (label, file) in order[:WORST]]


def _matrix(labels: Tensor, chosen: Tensor, classes: int) -> list[list[int]] | None:
    if classes > MOST_CLASSES:
        return None
    pairs = torch.bincount(labels * classes + chosen, minlength=classes**2)
    matrix: list[list[int]] = pairs.reshape(classes, classes).tolist()
    return matrix
