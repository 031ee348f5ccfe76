"""The world as a technique sees it while it is applied: training images, a teacher, a budget of epochs."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...spaces.errors import AtollError
from ...spaces.technique.context import AfterStep, Loss
from ..datasets.dataset import Dataset
from ..tasks.task import Task
from ..training.loop import cross_entropy, fit


class TrainingContext:
    """Implements `spaces.technique.context.Context` over a task's training split, and keeps the account.

    Args:
        task: gives learning rate and batch size.
        dataset: only its training split is touched.
        teacher: the baseline, or the given network while the baseline is made.
        seed: of the step; everything random comes from one generator.
        epochs: what the step may spend.
        teacher_logits: gives the teacher's answers to all views of the training images (`predict_views`),
            called when an objective asks; the teacher itself answers at every step where it is None.
        bigger_teacher: gives a trained network wider than the baseline.
    """

    def __init__(
        self,
        task: Task,
        dataset: Dataset,
        teacher: nn.Module | None,
        seed: int,
        epochs: float,
        teacher_logits: Callable[[], Tensor] | None = None,
        bigger_teacher: Callable[[], nn.Module] | None = None,
    ) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.input_shape = task.input_shape
        self.num_classes = task.num_classes
        self.teacher = teacher
        self.epochs_left = epochs
        self.epochs_spent = 0.0
        self._teacher_logits = teacher_logits
        self._bigger_teacher = bigger_teacher
        self._task = task
        self._train = dataset.train

    def images(self, count: int) -> Tensor:
        """Returns up to `count` training images, evenly spread over the split (its classes lie in order)."""
        return self.examples(count)[0]

    def examples(self, count: int) -> tuple[Tensor, Tensor]:
        """Returns the same images with their labels."""
        total = len(self._train)
        chosen = torch.linspace(0, total - 1, min(count, total)).round().long()
        return self._task.scaling.to_network(self._train.images[chosen]), self._train.labels[chosen]

    def bigger_teacher(self) -> nn.Module:
        """Returns the widened and trained baseline.

        Raises:
            AtollError: nobody said where it comes from.
        """
        if self._bigger_teacher is None:
            raise AtollError("training: a bigger teacher is asked for and there is no baseline to widen")
        return self._bigger_teacher()

    def fit(
        self,
        model: nn.Module,
        *,
        epochs: float | None = None,
        objective: Loss | None = None,
        after_step: AfterStep | None = None,
        networks: int = 1,
    ) -> None:
        """Trains in place and takes the epochs off the account, those of each network in the model.

        Raises:
            AtollError: more epochs are asked for than are left; the training diverged.
        """
        epochs = self.epochs_left if epochs is None else epochs
        if epochs > self.epochs_left + 1e-9:
            raise AtollError(f"training: got {epochs:g} epochs, allowed are the {self.epochs_left:g} left")
        record = fit(
            model,
            self._train.images,
            self._train.labels,
            epochs=epochs / networks,
            generator=self.generator,
            learning_rate=self._task.learning_rate,
            batch_size=self._task.batch_size,
            objective=objective or cross_entropy,
            teacher=self._teacher_logits or self.teacher,
            after_step=after_step,
        )
        self.epochs_left = max(0.0, self.epochs_left - epochs)
        self.epochs_spent += record.epochs * networks
