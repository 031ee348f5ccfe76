"""What is right: how a task's outputs are judged, against what is known and against another network's."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ...spaces.errors import AtollError


class Quality(Protocol):
    """The one figure of a task that says how well a network does it.

    Everything that judges asks the task's quality and nothing else: the choice of the baseline, measuring,
    the file that ships and its further forms. The figure is a function of outputs and targets alone: the
    order of the samples and earlier calls change nothing, and neither argument is changed. Outputs agree
    wholly with themselves, agreement is symmetric and lies in [0, 1]. What does not fit together is
    refused, never broadcast. More is better: a task refuses a quality that says otherwise, since everything
    that ranks takes more for better; an error enters with its sign turned. It survives pickling as an equal
    one, as its task does.
    """

    #: what reports call the figure
    name: str
    higher_is_better: bool

    def measure(self, outputs: Tensor, targets: Tensor) -> float:
        """Returns what outputs are worth.

        Args:
            outputs: of a network, (N, ...).
            targets: what is known of the same N samples.

        Raises:
            AtollError: they do not fit together, or there are none.
        """

    def agreement(self, outputs: Tensor, others: Tensor) -> float:
        """Returns the share of samples, in [0, 1], on which two networks say the same.

        Args:
            outputs, others: of two networks, both (N, ...), for the same N samples.

        Raises:
            AtollError: they do not fit together, or there are none.
        """


@dataclass(frozen=True)
class Accuracy:
    """The share of right choices among classes: one choice a sample, or one a position of a map.

    Outputs are logits (N, K) with targets (N,), or (N, K, H, W) with (N, H, W), indices of classes; the class
    of the largest logit is chosen.
    """

    name = "accuracy"
    higher_is_better = True

    def measure(self, outputs: Tensor, targets: Tensor) -> float:
        """Returns the share of choices that are the target."""
        chosen = _choices(outputs)
        if targets.shape != chosen.shape:
            raise AtollError(f"got labels of {_sizes(targets)}, allowed is one a choice, {_sizes(chosen)}")
        return _share(chosen == targets)

    def agreement(self, outputs: Tensor, others: Tensor) -> float:
        """Returns the share of choices that are the same (label loyalty, REVIEW §5)."""
        if outputs.shape != others.shape:
            raise AtollError(
                f"got outputs of {_sizes(others)}, allowed is what they are compared to, {_sizes(outputs)}"
            )
        return _share(_choices(outputs) == _choices(others))


#: The quality of a task that names no other.
ACCURACY = Accuracy()


def _choices(outputs: Tensor) -> Tensor:
    if outputs.dim() < 2 or 0 in outputs.shape:
        raise AtollError(f"got outputs of {_sizes(outputs)}, allowed are logits (N, K, ...), N at least 1")
    return outputs.argmax(dim=1)


def _share(hits: Tensor) -> float:
    """Returns a share to the last digit of a float: in float32, 190 of 200 would miss a bound of 0.95."""
    return int(hits.sum()) / hits.numel()


def _sizes(values: Tensor) -> str:
    return "x".join(str(size) for size in values.shape) or "()"
