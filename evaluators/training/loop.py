"""Fits a network to images, and predicts: the one training loop that everything shares."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
from torch import Tensor, nn

from ...spaces.errors import AtollError
from ...spaces.graph.heads import single_head
from ...spaces.layers.scaling import Scaling
from ...spaces.layers.structure import scaling_of
from ...spaces.technique.context import AfterStep, Batch, Loss
from .augmentation import VIEWS, shifted, view_shifts

#: Images a batch where nothing is learnt from them: enough to fill the kernels, little memory.
PREDICTION_BATCH = 256
#: Share of the steps in which the learning rate rises (Smith & Topin 2019 use up to 0.45, for long runs).
WARM_UP_SHARE = 0.15
#: The learning rate starts at its peak over this (fastai's one-cycle default).
START_DIVISOR = 25.0
#: Decoupled weight decay, in units of the learning rate (AdamW's default, Loshchilov & Hutter 2019).
WEIGHT_DECAY = 0.01
#: How many of the last steps the reported loss is the mean of.
LOSS_WINDOW = 20


#: Who answers an objective's questions.
Teacher = nn.Module | Tensor | Callable[[], Tensor]


class TrainingDiverged(AtollError):
    """The loss or a weight stopped being a finite number."""


@dataclass(frozen=True)
class FitRecord:
    """What a training run took and where it ended.

    Args:
        epochs: passes over the images, as really made (whole steps).
        seconds: measured wall time.
        final_loss: mean over the last steps; NaN where no step was made.
    """

    epochs: float
    seconds: float
    final_loss: float


def cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    """The default objective: the mean cross-entropy against the labels; the teacher is not asked."""
    logits = single_head(model(batch.images), "training on labels")
    return nn.functional.cross_entropy(logits, batch.labels)


def fit(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: float,
    generator: torch.Generator,
    learning_rate: float,
    batch_size: int,
    objective: Loss = cross_entropy,
    teacher: Teacher | None = None,
    after_step: AfterStep | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
) -> FitRecord:
    """Trains a network in place by AdamW with a one-cycle learning rate; it comes back in eval mode.

    Every image of a batch is one of its shifted views, drawn anew each time. Layers without randomness of
    their own (no dropout) make the result a function of the arguments and the number of threads alone.

    Args:
        model: takes images (N, C, H, W) scaled as it says (`scaling_of`); only parameters with
            `requires_grad` move.
        images: (N, C, H, W), as they are stored.
        labels: (N,), int64.
        epochs: passes over the images, at least 0, fractions allowed; rounded to whole steps, at least one
            if positive.
        generator: the only source of randomness.
        learning_rate: peak of the cycle.
        batch_size: images a step, at least 2; the rest of an epoch is left out (another rest each time).
        objective: what is minimised.
        teacher: whose logits on the same views the objective may ask for: a network (asked at every step,
            left in eval mode), what `predict_views` made of it and these images, (VIEWS, N, K), or a
            function that returns the latter, called when an objective first asks.
        after_step: told the share of the steps that are done, after each.
        on_epoch: told the number of the epoch just ended, from 1, and its mean loss.

    Returns:
        What was spent and the loss at the end.

    Raises:
        TrainingDiverged: the loss or a parameter became infinite or NaN.
        AtollError: a setting is out of range.
    """
    _check_settings(len(labels), epochs, learning_rate, batch_size)
    if isinstance(teacher, Tensor):
        _check_answers(teacher, len(labels))
    batch_size = min(batch_size, len(labels))
    steps_per_epoch = len(labels) // batch_size
    steps = max(1, round(epochs * steps_per_epoch)) if epochs > 0 else 0
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters or steps == 0:
        model.eval()
        return FitRecord(0.0, 0.0, math.nan)
    started = time.perf_counter()
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=WEIGHT_DECAY)
    if isinstance(teacher, nn.Module):
        teacher.eval()
    model.train()
    losses: list[float] = []
    batches = _batches(images, labels, batch_size, generator, teacher, scaling_of(model))
    for step, batch in enumerate(islice(batches, steps)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * one_cycle((step + 0.5) / steps)
        value = _step(model, batch, objective, optimizer)
        if not math.isfinite(value):
            raise TrainingDiverged(
                f"training diverged: the loss became {value} in step {step + 1} of {steps} (epoch "
                f"{step / steps_per_epoch + 1:.1f}, learning rate {learning_rate:g}); "
                "a smaller learning rate may help"
            )
        losses.append(value)
        if after_step is not None:
            after_step((step + 1) / steps)
        position = step % steps_per_epoch
        if on_epoch is not None and (position == steps_per_epoch - 1 or step == steps - 1):
            on_epoch(step // steps_per_epoch + 1, sum(losses[-position - 1 :]) / (position + 1))
    _check_finite(model)
    model.eval()
    last = losses[-LOSS_WINDOW:]
    return FitRecord(steps / steps_per_epoch, time.perf_counter() - started, sum(last) / len(last))


def predict_logits(model: nn.Module, images: Tensor, batch_size: int = PREDICTION_BATCH) -> Tensor:
    """Runs a network in eval mode; every part of it is given back its own mode afterwards.

    Args:
        model: takes images scaled as it says (`scaling_of`).
        images: (N, C, H, W), as they are stored.
        batch_size: images at a time.

    Returns:
        Logits (N, K).

    Raises:
        AtollError: for a network with several heads: quality is that of one.
    """
    scaling = scaling_of(model)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            parts = (_prepare(part, scaling) for part in images.split(batch_size))
            logits = [single_head(model(part), "prediction") for part in parts]
    finally:
        for module, mode in modes:  # not `model.train`: a partly frozen network has some of both
            module.training = mode
    return torch.cat(logits).clone()


def predict_views(model: nn.Module, images: Tensor) -> Tensor:
    """Runs a teacher on every shifted view that training may show, so that `fit` need not ask it again.

    Args:
        model: takes images scaled as it says (`scaling_of`).
        images: (N, C, H, W), as they are stored: the very images that `fit` will be given.

    Returns:
        Logits (VIEWS, N, K).
    """
    shifts = view_shifts(len(images), *images.shape[2:])
    return torch.stack([predict_logits(model, shifted(images, shifts[view])) for view in range(VIEWS)])


def one_cycle(progress: float) -> float:
    """Gives the share of the peak learning rate: half a cosine up, half a cosine down (Smith & Topin 2019).

    Args:
        progress: share of the training done, 0..1.

    Returns:
        1 / `START_DIVISOR` at 0, 1 at `WARM_UP_SHARE`, 0 at 1.
    """
    if progress < WARM_UP_SHARE:
        rise = (1 - math.cos(math.pi * progress / WARM_UP_SHARE)) / 2
        return 1 / START_DIVISOR + (1 - 1 / START_DIVISOR) * rise
    return (1 + math.cos(math.pi * (progress - WARM_UP_SHARE) / (1 - WARM_UP_SHARE))) / 2


def _prepare(images: Tensor, scaling: Scaling) -> Tensor:
    """Returns images as the network takes them, channels-last in memory."""
    if images.dim() == 4:
        images = images.contiguous(memory_format=torch.channels_last)
    return scaling.to_network(images)


def _batches(
    images: Tensor,
    labels: Tensor,
    batch_size: int,
    generator: torch.Generator,
    teacher: Teacher | None,
    scaling: Scaling,
) -> Iterator[Batch]:
    """Yields batches without end, each drawn when asked for; the images in another order every epoch."""
    shifts = view_shifts(len(labels), *images.shape[2:])
    while True:
        order = torch.randperm(len(labels), generator=generator)
        for picked in order.split(batch_size)[: len(labels) // batch_size]:
            view = torch.randint(VIEWS, (batch_size,), generator=generator)
            shown = scaling.to_network(shifted(images[picked], shifts[view, picked]))
            yield Batch(shown, labels[picked], partial(_teach, teacher, shown, view, picked))


def _teach(teacher: Teacher | None, batch: Tensor, view: Tensor, picked: Tensor) -> Tensor:
    """Returns the teacher's logits on a batch, asked or looked up."""
    if teacher is None:
        raise AtollError("training: the objective asks for a teacher and there is none")
    if isinstance(teacher, nn.Module):
        with torch.no_grad():
            return teacher(batch)
    answers = teacher if isinstance(teacher, Tensor) else teacher()
    return answers[view, picked]


def _check_answers(answers: Tensor, count: int) -> None:
    """Refuses logits that were made from other images."""
    if answers.shape[:2] != (VIEWS, count):
        raise AtollError(
            f"teacher logits have shape {tuple(answers.shape)}; needed: ({VIEWS}, {count}, classes), "
            "made by predict_views from the very images to train on"
        )


def _step(model: nn.Module, batch: Batch, objective: Loss, optimizer: torch.optim.Optimizer) -> float:
    """Makes one step and returns its loss."""
    value = objective(model, batch)
    optimizer.zero_grad(set_to_none=True)
    value.backward()
    optimizer.step()
    return value.item()


def _check_settings(count: int, epochs: float, learning_rate: float, batch_size: int) -> None:
    """Refuses settings that no training can follow."""
    if count < 2:
        raise AtollError(f"{count} images to train on; at least 2 are needed")
    if not (math.isfinite(epochs) and epochs >= 0):
        raise AtollError(f"epochs is {epochs}; allowed: 0 or more, finite")
    if not (math.isfinite(learning_rate) and learning_rate > 0):
        raise AtollError(f"learning_rate is {learning_rate}; allowed: positive, finite")
    if batch_size < 2:
        raise AtollError(f"batch_size is {batch_size}; allowed: 2 or more (BatchNorm needs two images)")


def _check_finite(model: nn.Module) -> None:
    """Refuses a network with a parameter that is no finite number."""
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise TrainingDiverged(
                f"training diverged: {name} holds infinite or NaN values after the last step"
            )
