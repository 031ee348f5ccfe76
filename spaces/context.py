"""What a technique may ask of the world: images, a teacher, a training loop, a generator.

A Protocol: the evaluators implement it, tests bring small ones of their own.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

#: (student logits [B, K], teacher logits [B, K] or None, labels [B]) -> scalar loss
Loss = Callable[[Tensor, Tensor | None, Tensor], Tensor]


class Context(Protocol):
    """The world as a technique sees it while it is applied."""

    generator: torch.Generator
    #: (channels, height, width) of the network's input
    input_shape: tuple[int, int, int]
    num_classes: int
    #: the baseline in evaluation mode, never to be changed; None where there is none
    teacher: nn.Module | None
    #: epochs over the training split that this step may still spend
    epochs_left: float

    def images(self, count: int) -> Tensor:
        """Returns up to `count` training images as the network takes them, float32 [N, C, H, W].

        Always the same ones for the same generator state at the start of the step; no labels.
        """

    def fit(self, model: nn.Module, *, epochs: float | None = None, loss: Loss | None = None) -> None:
        """Trains the network in place and spends the step's epochs (all that are left by default).

        Args:
            model: the network; constraints on its weights hold by construction.
            epochs: passes over the training split, at most `epochs_left`.
            loss: cross-entropy against the labels by default; otherwise it also gets the teacher's logits.
        """
