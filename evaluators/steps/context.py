"""The world as a technique sees it while it is applied: training images, a teacher, a budget of epochs."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from ...spaces.errors import AtollError
from ...spaces.graph.heads import Outputs
from ...spaces.technique.context import AfterStep, Criterion, Loss
from ..datasets.class_weights import class_weights
from ..datasets.dataset import Dataset
from ..tasks.task import Task
from ..training.loop import fit
from ..training.losses import cross_entropy, distilled_loss, labels_loss, loss_named
from ..training.patience import Patience


class TrainingContext:
    """Implements `spaces.technique.context.Context` over a task's training split, and keeps the account.

    Args:
        task: gives learning rate and batch size.
        dataset: its training split; the validation split only tells when a run ends early.
        teacher: the baseline, or the given network while the baseline is made.
        seed: of the step; everything random comes from one generator.
        epochs: what the step may spend.
        teacher_logits: gives the teacher's answers to all views of the training images (`predict_views`),
            called when an objective asks; the teacher itself answers at every step where there are none.
        bigger_teacher: gives a trained network wider than the baseline.
        distilled: whether training goes by the teacher's answers too where a technique says nothing else.
        told: hears after every batch how many epochs are spent.
    """

    def __init__(
        self,
        task: Task,
        dataset: Dataset,
        teacher: nn.Module | None,
        seed: int,
        epochs: float,
        teacher_logits: Callable[[], Outputs | None] | None = None,
        bigger_teacher: Callable[[], nn.Module] | None = None,
        distilled: bool = False,
        told: Callable[[float], None] = lambda epochs: None,
    ) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.input_shape = task.input_shape
        self.num_classes = task.num_classes
        self.teacher = teacher
        self.epochs_left = epochs
        self.epochs_spent = 0.0
        self._teacher_logits = teacher_logits
        self._bigger_teacher = bigger_teacher
        self._objective = distilled_loss(self) if distilled else None
        self._task, self._told = task, told
        self._train, self._validation = dataset.train, dataset.validation

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
        beside: Sequence[nn.Module] = (),
    ) -> None:
        """Trains in place and takes the epochs off the account, those of each network in the model.

        Raises:
            AtollError: more epochs are asked for than are left; the training diverged.
        """
        epochs = self.epochs_left if epochs is None else epochs
        if epochs > self.epochs_left + 1e-9:
            raise AtollError(f"training: got {epochs:g} epochs, allowed are the {self.epochs_left:g} left")
        training, patience = self._task.training, None

        def after(share: float) -> None:
            if after_step is not None:
                after_step(share)
            self._told(self.epochs_spent + share * epochs)

        if training.patience is not None:
            patience = Patience(
                model,
                partial(self._task.quality, model, self._validation),
                training.patience,
                self._task.quality_terms.better,
            )
        record = fit(
            model,
            self._train.images,
            self._train.labels,
            training,
            epochs=epochs / networks,
            generator=self.generator,
            objective=objective or self._objective or labels_loss(self.criterion),
            teacher=self._answering,
            beside=beside if self.teacher is None else (*beside, self.teacher),
            scaling=self._task.scaling,
            drawn=self._drawn,
            after_step=after,
            on_epoch=patience,
        )
        if patience is not None:
            patience.keep_best()
        self.epochs_left = max(0.0, self.epochs_left - epochs)
        self.epochs_spent += record.epochs * networks

    def _answering(self) -> nn.Module | Outputs | None:
        """Returns what answers for the teacher: its logits, known beforehand, or itself."""
        known = self._teacher_logits() if self._teacher_logits is not None else None
        return self.teacher if known is None else known

    def judged(self, returned: Any) -> tuple[Tensor, ...]:
        """Returns the outputs that the task judges."""
        return self._task.judged(returned)

    @cached_property
    def criterion(self) -> Criterion:
        """What the task minimises of outputs against labels, with what its training says about classes."""
        outputs = self._task.outputs
        return self._of_judged if outputs is None else partial(outputs.loss, self._of_judged)

    @cached_property
    def _of_judged(self) -> Criterion:
        """The same of the outputs that are judged."""
        task, training = self._task, self._task.training
        if task.loss_or_default != "cross_entropy":
            return loss_named(task.loss_or_default)
        weights = None
        if training.balance == "weights":
            weights = class_weights(self._train, self.num_classes)
        return partial(cross_entropy, label_smoothing=training.label_smoothing, class_weights=weights)

    @property
    def _drawn(self) -> Tensor | None:
        """How often each input is drawn, where classes are to come alike often."""
        if self._task.training.balance != "resample":
            return None
        return class_weights(self._train, self.num_classes)[self._train.labels]
