"""What training can minimise: losses by name, the one of each kind of targets, and a user's own."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...spaces.errors import AtollError
from ...spaces.graph.heads import matched_targets, shaped_targets, single_head
from ...spaces.kernels.distillation import responses_loss
from ...spaces.nearest import known_names
from ...spaces.technique.context import Batch, Context, Criterion, Loss

#: of `distilled_loss`, those of the technique `distill` (Hinton et al. 2015 try 2 to 20, and let labels weigh
#: less than the teacher); worth 0.3 points on the reference CNN's own answers (own measurement, 2026)
TEMPERATURE, ALPHA = 4.0, 0.3


def cross_entropy(
    returned: Any, labels: Tensor, label_smoothing: float = 0.0, class_weights: Tensor | None = None
) -> Tensor:
    """Returns the mean cross-entropy of logits (B, K, ...) against classes (B, ...).

    Args:
        returned: by the network, one head.
        labels: indices of classes.
        label_smoothing: share of the weight that all classes get alike (Szegedy et al. 2016).
        class_weights: (K,), what an input of each class counts; one each when None.
    """
    logits = single_head(returned, "training on labels")
    if labels.is_floating_point():
        raise AtollError("loss cross_entropy: got labels that are numbers, allowed are classes")
    weights = None if class_weights is None else class_weights.to(logits.device)
    return F.cross_entropy(logits, labels, weight=weights, label_smoothing=label_smoothing)


def _of_numbers(loss: Callable[..., Tensor], name: str, returned: Any, labels: Tensor) -> Tensor:
    """Returns a loss of numbers (B, ...) against as many targets."""
    outputs = single_head(returned, "training on targets")
    if not labels.is_floating_point():
        raise AtollError(f"loss {name}: got labels that are classes, allowed are numbers")
    return loss(outputs, matched_targets(outputs, labels, f"loss {name}"))


#: Every loss as a study names it. Each is a mean over samples and outputs; Huber's changes from square to
#: linear at 1 (Huber 1964; torch's default); binary cross-entropy takes logits, and targets in [0, 1].
LOSSES: Mapping[str, Criterion] = {
    "cross_entropy": cross_entropy,
    "mean_squared_error": partial(_of_numbers, F.mse_loss, "mean_squared_error"),
    "l1": partial(_of_numbers, F.l1_loss, "l1"),
    "huber": partial(_of_numbers, F.huber_loss, "huber"),
    "binary_cross_entropy": partial(_of_numbers, F.binary_cross_entropy_with_logits, "binary_cross_entropy"),
}


#: of a task that names none
LOSS_OF_CLASSES, LOSS_OF_NUMBERS = "cross_entropy", "mean_squared_error"


def loss_named(what: str | Callable[[Any, Tensor], Any]) -> Criterion:
    """Returns a loss by its name, or made of a user's function.

    Args:
        what: a name of `LOSSES`, or a function of what the network returns and the labels that gives a scalar
            tensor.

    Raises:
        AtollError: the name is unknown.
    """
    if not isinstance(what, str):
        return partial(_own, what)
    if what not in LOSSES:
        raise AtollError(f"unknown loss {what!r}. {known_names(what, LOSSES)}; or FILE.py:FUNCTION")
    return LOSSES[what]


def _own(function: Callable[[Any, Tensor], Any], returned: Any, labels: Tensor) -> Tensor:
    """Returns what a user's function gives.

    Raises:
        AtollError: it raises, or gives something else than a scalar that can be differentiated.
    """
    name = getattr(function, "__name__", type(function).__name__)
    try:
        value = function(returned, shaped_targets(returned, labels))
    except AtollError:
        raise
    except (Exception, SystemExit) as error:  # the user's own code, which may raise anything
        said = next(iter(str(error).splitlines()), "")
        raise AtollError(f"loss {name!r}: its function raised {type(error).__name__}: {said}") from error
    fits = isinstance(value, Tensor) and value.numel() == 1
    if not fits or (torch.is_grad_enabled() and not value.requires_grad):
        got = f"a tensor of {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise AtollError(
            f"loss {name!r}: its function gave {got}, allowed is one number as a tensor that depends on the "
            "outputs"
        )
    return value.reshape(())


def labels_loss(criterion: Criterion = cross_entropy) -> Loss:
    """Returns the objective of training against labels alone; the teacher is not asked."""

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        return criterion(model(batch.images), batch.labels)

    return loss


def distilled_loss(context: Context) -> Loss:
    """Returns the objective of training against labels and the teacher's answers to the same views.

    alpha H(y, p_s) + (1 - alpha) T^2 H(p_t^T, p_s^T), the mean over the outputs that are judged
    (`responses_loss`); of numbers the second term is their squared difference.

    Args:
        context: whose criterion and judged outputs; its `fit` asks the teacher.
    """

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        learnt, taught = model(batch.images), batch.teacher_logits()
        pairs = list(zip(context.judged(learnt), context.judged(taught), strict=True))
        hard = context.criterion(learnt, batch.labels)
        return responses_loss(hard, pairs, batch.labels.is_floating_point(), TEMPERATURE, ALPHA)

    return loss
