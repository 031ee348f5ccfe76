"""What is right: how a task's outputs are judged, against what is known and against another network's."""

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from ...spaces.errors import AtollError
from ...spaces.graph.heads import Outputs, heads
from ..training.judged_outputs import JudgedOutputs


class Quality(Protocol):
    """The one figure of a task that says how well a network does it.

    Everything that judges asks the task's quality and nothing else: the choice of the baseline, measuring,
    the file that ships and its further forms. The figure is a function of outputs and targets alone: the
    order of the samples and earlier calls change nothing, and neither argument is changed. Outputs agree
    wholly with themselves, agreement is symmetric and lies in [0, 1]. What does not fit together is
    refused, never broadcast, and so is what is no finite number. The figure is as its user knows it, an error
    as an error: `higher_is_better` says which way is better, and whoever compares two figures asks
    `QualityTerms`, which reads it where it stands beside the figure. It survives pickling as an equal one, as
    its task does.
    """

    @property
    def name(self) -> str:
        """What reports call the figure."""

    @property
    def unit(self) -> str:
        """ "%" of a share in [0, 1]; else that of the figure, "" for none."""

    @property
    def higher_is_better(self) -> bool:
        """Which way is better."""

    @property
    def of_classes(self) -> bool:
        """Whether outputs are logits of classes, (N, K, ...); else they are numbers, as the targets are."""

    def measure(self, outputs: Any, targets: Tensor) -> float:
        """Returns what outputs are worth.

        Args:
            outputs: of a network, (N, ...); a tuple where it has several.
            targets: what is known of the same N samples.

        Raises:
            AtollError: they do not fit together, or there are none.
        """

    def agreement(self, outputs: Any, others: Any) -> float:
        """Returns how much of what two networks say is the same: a share of choices or numbers, in [0, 1].

        Args:
            outputs, others: of two networks, both (N, ...) or as many, for the same N samples.

        Raises:
            AtollError: they do not fit together, or there are none.
        """


class OfClasses:
    """What every quality of choices among classes has in common.

    Outputs are logits (N, K) with targets (N,), or (N, K, H, W) with (N, H, W), indices of classes; the class
    of the largest logit is chosen.
    """

    unit = "%"
    higher_is_better = True
    of_classes = True

    def agreement(self, outputs: Tensor, others: Tensor) -> float:
        """Returns the share of choices that are the same (label loyalty, REVIEW §5)."""
        check_alike(outputs, others)
        return share(choices(outputs) == choices(others))


@dataclass(frozen=True)
class Accuracy(OfClasses):
    """The share of right choices among classes: one choice a sample, or one a position of a map."""

    name = "accuracy"

    def measure(self, outputs: Tensor, targets: Tensor) -> float:
        """Returns the share of choices that are the target."""
        return share(choices_beside(outputs, targets) == targets)


@dataclass(frozen=True)
class SameAnswer(Accuracy):
    """The share of choices that another network made too: the targets are its answers."""

    name = "same_answer"


#: The quality of a task that names no other.
ACCURACY = Accuracy()


@dataclass(frozen=True)
class OfOutputs:
    """A quality where a network has several outputs: of one of them, or a user's function of all.

    Args:
        quality: of what it is shown.
        outputs: which are judged.
    """

    quality: Quality
    outputs: JudgedOutputs

    @property
    def name(self) -> str:
        """The quality's."""
        return self.quality.name

    @property
    def unit(self) -> str:
        """The quality's."""
        return self.quality.unit

    @property
    def higher_is_better(self) -> bool:
        """The quality's."""
        return self.quality.higher_is_better

    @property
    def of_classes(self) -> bool:
        """The quality's."""
        return self.quality.of_classes

    def measure(self, outputs: Outputs, targets: Tensor) -> float:
        """Returns what the outputs that are judged are worth."""
        return self.quality.measure(self.outputs.shown(outputs), targets)

    def agreement(self, outputs: Outputs, others: Outputs) -> float:
        """Returns the agreement on the output that is judged; of several the least: a bound holds for each.

        Raises:
            AtollError: the networks have not as many outputs.
        """
        ours: tuple[Tensor, ...] = heads(outputs)
        theirs: tuple[Tensor, ...] = heads(others)
        if not len(ours) == len(theirs) == len(self.outputs.names):
            raise AtollError(
                f"got {len(ours)} and {len(theirs)} outputs to compare, allowed of each are "
                f"{len(self.outputs.names)}"
            )
        pairs = zip(self.outputs.judged(ours), self.outputs.judged(theirs), strict=True)
        return min(self._agreement(position, *pair) for position, pair in enumerate(pairs))

    def _agreement(self, position: int, output: Tensor, other: Tensor) -> float:
        chooses = self.outputs.chosen is None and position in self.outputs.choosing
        return (ACCURACY if chooses else self.quality).agreement(output, other)


def choices(outputs: Tensor) -> Tensor:
    """Returns the class that is chosen, (N, ...), of logits (N, K, ...).

    Raises:
        AtollError: they are no logits, or none.
    """
    if outputs.dim() < 2 or 0 in outputs.shape:
        raise AtollError(f"got outputs of {sizes(outputs)}, allowed are logits (N, K, ...), N at least 1")
    return outputs.argmax(dim=1)


def choices_beside(outputs: Tensor, targets: Tensor) -> Tensor:
    """Returns the class that is chosen where there is one target a choice.

    Raises:
        AtollError: as `choices`, or targets are not one class a choice.
    """
    chosen = choices(outputs)
    if targets.is_floating_point():
        raise AtollError(f"got labels of {sizes(targets)} that are numbers, allowed is one class a choice")
    if targets.shape != chosen.shape:
        raise AtollError(f"got labels of {sizes(targets)}, allowed is one a choice, {sizes(chosen)}")
    return chosen


def check_alike(outputs: Tensor, others: Tensor) -> None:
    """Refuses outputs of two networks that are not of one shape.

    Raises:
        AtollError: they are not.
    """
    if outputs.shape != others.shape:
        raise AtollError(
            f"got outputs of {sizes(others)}, allowed is what they are compared to, {sizes(outputs)}"
        )


def share(hits: Tensor) -> float:
    """Returns a share to the last digit of a float: in float32, 190 of 200 would miss a bound of 0.95."""
    return int(hits.sum()) / hits.numel()


def sizes(values: Tensor) -> str:
    """Returns a shape in words."""
    return "x".join(str(size) for size in values.shape) or "()"
