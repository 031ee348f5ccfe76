"""Fits a network to inputs: the one training loop that everything shares."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
from torch import Tensor, nn

from ...spaces.errors import AtollError
from ...spaces.graph.heads import Outputs, as_outputs, heads, mapped
from ...spaces.layers.scaling import Scaling
from ...spaces.layers.structure import scaling_of
from ...spaces.technique.context import AfterStep, Batch, Loss
from .accelerator import arithmetic, loss_scaler, placed, training_device
from .augmentation import Views
from .losses import labels_loss
from .settings import Training

#: A one-cycle rate starts at its peak over this (fastai's default).
START_DIVISOR = 25.0
#: How many of the last steps the reported loss is the mean of, and how many an accelerator makes between two
#: looks at it: each look waits for all that is still to be computed.
LOSS_WINDOW = 20

#: Who answers an objective's questions.
Teacher = nn.Module | Tensor | tuple[Tensor, ...] | Callable[[], nn.Module | Outputs | None]
#: told the number of the epoch just ended, from 1, and its mean loss; whether training ends here
OnEpoch = Callable[[int, float], bool | None]


class TrainingDiverged(AtollError):
    """The loss or a weight stopped being a finite number."""


@dataclass(frozen=True)
class FitRecord:
    """What a training run took and where it ended.

    Args:
        epochs: passes over the inputs, as really made (whole steps).
        seconds: measured wall time.
        final_loss: mean over the last steps; NaN where no step was made.
    """

    epochs: float
    seconds: float
    final_loss: float


def fit(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    training: Training,
    *,
    epochs: float,
    generator: torch.Generator,
    objective: Loss | None = None,
    teacher: Teacher | None = None,
    beside: Sequence[nn.Module] = (),
    scaling: Scaling | None = None,
    drawn: Tensor | None = None,
    after_step: AfterStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> FitRecord:
    """Trains a network in place, on the GPU that this process has or the CPU; it comes back in eval mode.

    Every input of a batch is one of its views, drawn anew each time. What is drawn comes from the generator
    on the CPU wherever training runs. Layers without randomness of their own (no dropout) make the result a
    function of the arguments, the number of threads and the device alone.

    Args:
        model: only parameters with `requires_grad` move; comes back on the device that it was on.
        images: (N, ...), as they are stored.
        labels: (N, ...), classes or targets.
        training: how; a batch never holds more than the inputs there are, and the rest of an epoch that is
            no whole batch is left out (another rest each time).
        epochs: passes over the inputs, at least 0, fractions allowed; rounded to whole steps, at least one
            if positive.
        generator: the only source of randomness.
        objective: what is minimised; the cross-entropy against the labels when None.
        teacher: whose logits on the same views the objective may ask for: a network (asked at every step,
            left in eval mode), what `predict_views` made of it and these inputs, (views, N, K), or a
            function that returns either, called when an objective asks.
        beside: further networks that run: those of the objective, one that the function returns.
        scaling: what makes of stored inputs what the network takes; the network's own when None.
        drawn: (N,), how often an input is drawn beside the others; each once an epoch when None.
        after_step: told the share of the steps that are done, after each.
        on_epoch: told the number of the epoch just ended, from 1, and its mean loss; true ends the run.

    Returns:
        What was spent and the loss at the end.

    Raises:
        TrainingDiverged: the loss or a parameter became infinite or NaN.
        AtollError: a setting is out of range.
    """
    _check_settings(len(labels), epochs)
    views = Views(len(labels), tuple(images.shape[1:]), training.augment)
    if isinstance(teacher, Tensor | tuple):
        _check_answers(teacher, views.count, len(labels))
    batch_size = min(training.batch_size, len(labels))
    steps_per_epoch = len(labels) // batch_size
    steps = max(1, round(epochs * steps_per_epoch)) if epochs > 0 else 0
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters or steps == 0:
        model.eval()
        return FitRecord(0.0, 0.0, math.nan)
    started = time.perf_counter()
    others = [*beside, *([teacher.eval()] if isinstance(teacher, nn.Module) else [])]
    device = training_device()
    stepper = _Stepper(parameters, training, steps, steps_per_epoch)
    orders = _orders(len(labels), generator, drawn)
    scaling = scaling_of(model) if scaling is None else scaling
    batches = _Batches(images, labels, views, scaling, teacher, device).drawn(orders, batch_size, generator)
    with placed([model, *others], device):
        model.train()
        step = 0
        for step, batch in enumerate(islice(batches, steps), start=1):
            stepper.step(model, batch, objective or labels_loss(), device)
            if after_step is not None:
                after_step(step / steps)
            position = (step - 1) % steps_per_epoch
            if on_epoch is None or not (position == steps_per_epoch - 1 or step == steps):
                continue
            if on_epoch((step - 1) // steps_per_epoch + 1, stepper.mean_loss(position + 1)):
                break
        stepper.look()
        final_loss = stepper.mean_loss(LOSS_WINDOW)
        _check_finite(model)
    model.eval()
    return FitRecord(step / steps_per_epoch, time.perf_counter() - started, final_loss)


def learning_rate_share(schedule: str, rising: float, progress: float) -> float:
    """Gives the share of the peak learning rate.

    Args:
        schedule: one of `settings.SCHEDULES`.
        rising: share of the training in which it rises, in [0, 1).
        progress: share of the training done, 0..1.

    Returns:
        `one_cycle`: 1 / `START_DIVISOR` at 0, 1 behind the rise, 0 at 1, by halves of cosines (Smith & Topin
        2019); `cosine`: a straight line from 0, then half a cosine to 0; `constant`: that line, then 1.
    """
    if progress < rising:
        done = progress / rising
        if schedule != "one_cycle":
            return done
        return 1 / START_DIVISOR + (1 - 1 / START_DIVISOR) * (1 - math.cos(math.pi * done)) / 2
    if schedule == "constant":
        return 1.0
    return (1 + math.cos(math.pi * (progress - rising) / (1 - rising))) / 2


class _Stepper:
    """The optimiser, its rate, and the losses of the steps made."""

    def __init__(
        self, parameters: list[nn.Parameter], training: Training, steps: int, steps_per_epoch: int
    ) -> None:
        self._parameters, self._training = parameters, training
        self._steps, self._steps_per_epoch = steps, steps_per_epoch
        self._optimizer: torch.optim.Optimizer | None = None
        self._losses: list[float] = []
        self._waiting: list[Tensor] = []
        self._scaler: torch.amp.GradScaler | None = None

    def step(self, model: nn.Module, batch: Batch, objective: Loss, device: torch.device) -> None:
        """Makes one step."""
        if self._optimizer is None or self._scaler is None:  # where the parameters are by now
            self._optimizer = _optimizer(self._parameters, self._training)
            self._scaler = loss_scaler(model, self._training.precision, device)
        made = len(self._losses) + len(self._waiting)
        rate = learning_rate_share(self._training.schedule, self._training.rising, (made + 0.5) / self._steps)
        for group in self._optimizer.param_groups:
            group["lr"] = self._training.learning_rate * rate
        with arithmetic(model, self._training.precision, device):
            value = objective(model, batch)
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(value).backward()
        if self._training.clip_norm is not None:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self._parameters, self._training.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._waiting.append(value.detach())
        if device.type == "cpu" or len(self._waiting) == LOSS_WINDOW:
            self.look()

    def look(self) -> None:
        """Refuses losses that are no numbers, of the steps since the last look.

        Raises:
            TrainingDiverged: one is not.
        """
        for value in self._waiting:
            loss = value.item()
            step = len(self._losses)
            if not math.isfinite(loss):
                raise TrainingDiverged(
                    f"training diverged: the loss became {loss} in step {step + 1} of {self._steps} (epoch "
                    f"{step / self._steps_per_epoch + 1:.1f}, learning rate "
                    f"{self._training.learning_rate:g}); a smaller learning rate may help"
                )
            self._losses.append(loss)
        self._waiting = []

    def mean_loss(self, steps: int) -> float:
        """Returns the mean loss of the last steps."""
        self.look()
        last = self._losses[-steps:]
        return sum(last) / len(last)


def _optimizer(parameters: list[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    rate, decay = training.learning_rate, training.decay
    if training.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)
    momentum = training.momentum
    return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=momentum, nesterov=momentum > 0)


def _orders(count: int, generator: torch.Generator, drawn: Tensor | None) -> Iterator[Tensor]:
    """Yields an order of the inputs for every epoch, without end."""
    while True:
        if drawn is None:
            yield torch.randperm(count, generator=generator)
        else:
            yield torch.multinomial(drawn, count, replacement=True, generator=generator)


@dataclass(frozen=True)
class _Batches:
    images: Tensor
    labels: Tensor
    views: Views
    scaling: Scaling
    teacher: Teacher | None
    device: torch.device

    def drawn(self, orders: Iterator[Tensor], size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Yields batches without end, each drawn when asked for."""
        for order in orders:
            for picked in order.split(size)[: len(order) // size]:
                view = torch.randint(self.views.count, (size,), generator=generator)
                seen = self.views.show(self._moved(self.images.index_select(0, picked)), view, picked)
                shown = self.scaling.to_network(seen)
                teach = partial(self._teach, shown, view, picked)
                yield Batch(shown, self._moved(self.labels[picked]), teach)

    def _moved(self, values: Tensor) -> Tensor:
        """Returns values on the device; the copy goes on while the step before is computed."""
        if self.device.type == "cpu":
            return values
        return values.pin_memory().to(self.device, non_blocking=True)

    def _teach(self, batch: Tensor, view: Tensor, picked: Tensor) -> Outputs:
        """Returns the teacher's logits on a batch, asked or looked up."""
        told = self.teacher
        teacher = told() if told is not None and not isinstance(told, nn.Module | Tensor | tuple) else told
        if teacher is None:
            raise AtollError("training: the objective asks for a teacher and there is none")
        if isinstance(teacher, Tensor | tuple):
            return mapped(lambda answers: self._moved(answers[view, picked]), teacher)
        with torch.no_grad():
            return as_outputs(teacher(batch))


def _check_answers(answers: Outputs, views: int, count: int) -> None:
    """Refuses logits that were made from other inputs."""
    for head in heads(answers, Tensor):
        if head.shape[:2] != (views, count):
            raise AtollError(
                f"teacher logits have shape {tuple(head.shape)}; needed: ({views}, {count}, classes), "
                "made by predict_views from the very images to train on"
            )


def _check_settings(count: int, epochs: float) -> None:
    """Refuses what no training can follow."""
    if count < 2:
        raise AtollError(f"{count} images to train on; at least 2 are needed")
    if not (math.isfinite(epochs) and epochs >= 0):
        raise AtollError(f"epochs is {epochs}; allowed: 0 or more, finite")


def _check_finite(model: nn.Module) -> None:
    """Refuses a network with a parameter that is no finite number."""
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise TrainingDiverged(
                f"training diverged: {name} holds infinite or NaN values after the last step"
            )
