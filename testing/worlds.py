"""The world as a technique sees it, made small: images, a teacher, a training loop of a few batches."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..spaces.errors import AtollError
from ..spaces.graph.heads import heads, single_head
from ..spaces.technique.context import AfterStep, Batch, Loss

#: of the images of bars
INPUT_SHAPE = (1, 16, 16)
CLASSES = 4
STEPS_PER_EPOCH = 4


def bars(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Makes images that a small network can learn: noisy bars at four places.

    Args:
        count: of images.
        seed: of the noise.

    Returns:
        images float32 [count, 1, 16, 16] in [-1, 1], and which place it is, int64 [count] below 4.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    images = torch.randn(count, *INPUT_SHAPE, generator=generator) * 0.3 - 0.5
    for place in range(CLASSES):
        images[labels == place, :, 4 * place : 4 * place + 4] += 0.7
    return images.clamp(-1, 1), labels


def against_labels(returned: Any, labels: Tensor) -> Tensor:
    """Returns the cross-entropy of classes, the squared error of numbers."""
    outputs = single_head(returned, "training on labels")
    if labels.is_floating_point():
        return nn.functional.mse_loss(outputs, labels)
    return nn.functional.cross_entropy(outputs, labels)


def labels_only(model: nn.Module, batch: Batch) -> Tensor:
    """Returns the loss against the labels."""
    return against_labels(model(batch.images), batch.labels)


class World:
    """The world as a technique sees it: a few images, a real training loop of a few batches.

    Args:
        images: float32 [N, C, H, W]; 32 of them, drawn anew, make a batch.
        labels: int64 [N], every class among them; or float32 [N, ...].
        teacher: answers for itself and for a bigger one.
        epochs: that may be spent; without any, training leaves everything as it is.
        objective: where the technique has none.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        teacher: nn.Module | None,
        seed: int = 0,
        epochs: float = 1,
        objective: Loss = labels_only,
    ) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.input_shape = tuple(images.shape[1:])
        self.criterion = against_labels
        self.num_classes = int(labels.max()) + 1
        self.teacher = teacher
        self.epochs_left = epochs
        self._images, self._labels, self._objective = images, labels, objective

    def images(self, count: int) -> Tensor:
        return self._images[:count]

    def examples(self, count: int) -> tuple[Tensor, Tensor]:
        return self._images[:count], self._labels[:count]

    def judged(self, returned: Any) -> tuple[Tensor, ...]:
        return heads(returned)

    def bigger_teacher(self) -> nn.Module:
        return self._teacher()

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
        epochs = self.epochs_left if epochs is None else epochs
        if epochs > self.epochs_left + 1e-9:
            raise AtollError(f"got {epochs:g} epochs, allowed are the {self.epochs_left:g} left")
        self.epochs_left = max(0.0, self.epochs_left - epochs)
        model.train()
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=2e-3)
        count, steps = len(self._images), round(STEPS_PER_EPOCH * epochs / networks)
        for step in range(steps):
            chosen = torch.randint(count, (min(32, count),), generator=self.generator)
            batch = Batch(self._images[chosen], self._labels[chosen], partial(self._answer, chosen))
            value = (objective or self._objective)(model, batch)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            if after_step is not None:
                after_step((step + 1) / steps)
        model.eval()

    def _teacher(self) -> nn.Module:
        if self.teacher is None:
            raise AtollError("this world has no teacher")
        return self.teacher

    @torch.no_grad()
    def _answer(self, chosen: Tensor) -> Tensor:
        return self._teacher()(self._images[chosen])

    @torch.no_grad()
    def loss(self, model: nn.Module) -> float:
        """Returns the loss over all images, in evaluation."""
        return float(against_labels(model.eval()(self._images), self._labels))


def bars_world(teacher: nn.Module | None = None, seed: int = 0, epochs: float = 1) -> World:
    """Returns a world of 128 images of bars.

    >>> world = bars_world(epochs=2)
    >>> tuple(world.images(5).shape), world.num_classes, world.epochs_left
    ((5, 1, 16, 16), 4, 2)
    """
    return World(*bars(128, seed=7), teacher, seed, epochs)
