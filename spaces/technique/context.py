"""What a technique may ask of the world: images, teachers, a training loop, a generator.

A Protocol: the evaluators implement it, tests bring small ones of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..layers.shape import InputShape


@dataclass(frozen=True)
class Batch:
    """One batch of training images, augmented.

    Args:
        images: float32 [B, ...], as the network takes them.
        labels: [B, ...], int64 classes or float targets of a regression.
        teacher_logits: asks the teacher for its outputs [B, ...] on these very images, all of several; raises
            an AtollError where there is no teacher.
    """

    images: Tensor
    labels: Tensor
    teacher_logits: Callable[[], Any]


#: (what a network returned, the labels of the same samples) -> scalar: the task's own loss, a mean over them
Criterion = Callable[[Any, Tensor], Tensor]
#: (network in training mode, batch) -> scalar loss that is minimised
Loss = Callable[[nn.Module, Batch], Tensor]
#: told the share of this training that is done, in (0, 1], after every optimiser step
AfterStep = Callable[[float], None]


class Context(Protocol):
    """The world as a technique sees it while it is applied."""

    generator: torch.Generator
    #: of one of the network's inputs
    input_shape: InputShape
    num_classes: int
    #: the baseline in evaluation mode, never to be changed; None where there is none
    teacher: nn.Module | None
    #: epochs over the training split that this step may still spend
    epochs_left: float

    @property
    def criterion(self) -> Criterion:
        """What the task minimises of outputs against labels."""

    def judged(self, returned: Any) -> tuple[Tensor, ...]:
        """Returns the outputs that the task judges of what a network returned: one, or all of several."""

    def images(self, count: int) -> Tensor:
        """Returns up to `count` training images as the network takes them, float32 [N, ...].

        Always the same ones; no labels.
        """

    def examples(self, count: int) -> tuple[Tensor, Tensor]:
        """Returns the same images with their labels: [N, ...] both."""

    def bigger_teacher(self) -> nn.Module:
        """Returns a trained network twice as wide as the baseline, in evaluation mode, never to be changed.

        Made once for a study, outside the budget of its steps.

        Raises:
            AtollError: where there is no baseline to widen.
        """

    def fit(
        self,
        model: nn.Module,
        *,
        epochs: float | None = None,
        objective: Loss | None = None,
        after_step: AfterStep | None = None,
        networks: int = 1,
        beside: Sequence[nn.Module] = (),
    ) -> None:
        """Trains the network in place and spends the step's epochs (all that are left by default).

        Args:
            model: the network; constraints on its weights hold by construction.
            epochs: what is spent, at most `epochs_left`: passes of one network over the training split.
            objective: by default the task's criterion against the labels, beside the teacher's answers where
                the study says so.
            after_step: called after every optimiser step.
            networks: how many networks the model holds that the objective runs each: so many times fewer
                passes are made.
            beside: further networks that the objective runs; those in evaluation mode, on the same device.
        """
