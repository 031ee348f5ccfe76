"""Quantization offset: regression targets moved against the error that the quantizer makes."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..errors import AtollError
from ..graph.heads import matched_targets
from ..layers.statistics import BATCH
from ..layers.structure import to_meta
from ..technique.context import Batch, Context
from ..technique.domains import Float
from ..technique.technique import Decisions, Technique, setting

#: images on which the error is measured
IMAGES = 1024
#: the errors of so many outputs are written down one by one, of more only their mean and spread
LISTED_OUTPUTS = 64


@dataclass(frozen=True)
class QuantizationOffset(Technique):
    """Fine-tunes a quantized network on targets y - strength e, e the mean error of each output.

    Quantized regression outputs (the edges of a box) lie beside their targets by an error that is much the
    same for all images; targets moved the other way bring them back (PUB-III; THESIS chapter 5). The error is
    measured anew in every batch: kept as it was before the fine-tuning, the offset would throw the outputs to
    the other side, because the training sees the quantizer and removes what it can of the error by itself (a
    small regression network of 2 bits: 0.11 before, 0.12 with the other sign after; own measurement, 2026).
    At the optimum the loss is then the squared error plus `strength` times the squared mean error.

    Targets are the labels where these are numbers, else the baseline's logits: a classifier is fine-tuned
    by regression of its logits then (Ba & Caruana 2014). So it is where several outputs are judged, whose
    labels only the task's loss can tell apart; the loss is then the mean over the outputs.
    """

    name: ClassVar[str] = "quantization_offset"
    version: ClassVar[int] = 1
    stage: ClassVar = "training"
    source: ClassVar[str] = "PUB-III; THESIS ch. 5 (the offset); Ba & Caruana 2014 (regression of logits)"
    needs_stage: ClassVar = "numbers"
    repeatable: ClassVar[bool] = True

    strength: float = setting(
        1.0, Float(0.0, 1.0, (0.5, 1.0)), "PUB-III: the whole error is compensated", shown=True
    )

    def plan(self, model: nn.Module) -> nn.Module:
        return to_meta(model)

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        learner = deepcopy(model)
        before = _measured_error(learner, context)

        def objective(network: nn.Module, batch: Batch) -> Tensor:
            outputs = context.judged(network(batch.images))
            pairs = zip(outputs, _targets(outputs, batch, context), strict=True)
            return torch.stack([self._loss(*pair) for pair in pairs]).mean()

        context.fit(learner, objective=objective)
        left = _measured_error(learner, context)
        return learner, self.decisions(
            model,
            learner,
            error_before=_told(before),
            error_left=_told(left),
            first_offset=_told([-self.strength * error for error in before]),
            last_offset=_told([-self.strength * error for error in left]),
        )

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        offset = -self.strength * _mean_error(outputs.detach(), targets)
        return nn.functional.mse_loss(outputs, targets + offset)


@torch.no_grad()
def _measured_error(network: nn.Module, context: Context) -> list[Tensor]:
    """Returns the mean error over training images, in evaluation, of each output: [K], or [C, 1, 1] of maps.

    Raises:
        AtollError: labels are classes, or of several outputs, and there is no teacher.
    """
    images, labels = context.examples(IMAGES)
    network.eval()
    teacher, errors = context.teacher, []
    for part, truth in zip(images.split(BATCH), labels.split(BATCH), strict=True):
        outputs = context.judged(network(part))
        if teacher is None and not _labels_tell(outputs, truth):
            raise AtollError(
                "quantization_offset: there is no teacher, and the labels are classes or of several outputs; "
                "needed are labels that are numbers, or the baseline, whose outputs are the targets then"
            )
        batch = Batch(part, truth, lambda part=part: teacher(part))  # type: ignore[misc]
        targets = _targets(outputs, batch, context)
        errors.append([_mean_error(*pair) * len(part) for pair in zip(outputs, targets, strict=True)])
    return [torch.stack(parts).sum(dim=0) / len(images) for parts in zip(*errors, strict=True)]


def _labels_tell(outputs: tuple[Tensor, ...], labels: Tensor) -> bool:
    """Says whether labels are what the outputs should be."""
    return len(outputs) == 1 and labels.is_floating_point()


def _targets(outputs: tuple[Tensor, ...], batch: Batch, context: Context) -> tuple[Tensor, ...]:
    """Returns what the outputs should be, in their shapes.

    Raises:
        AtollError: labels have another shape.
    """
    if not _labels_tell(outputs, batch.labels):
        return context.judged(batch.teacher_logits())
    return (matched_targets(outputs[0], batch.labels, QuantizationOffset.name),)


def _mean_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Returns the mean over images, and over the positions of maps, for every output or channel."""
    error = (outputs - targets).mean(dim=0)
    return error.mean(dim=tuple(range(1, error.dim())), keepdim=True) if error.dim() > 1 else error


def _told(errors: list[Tensor]) -> Any:
    """Returns the numbers as plain JSON: all where they are few, else mean and spread; a list of outputs."""
    if len(errors) > 1:
        return [_told([error]) for error in errors]
    flat = errors[0].flatten()
    if flat.numel() <= LISTED_OUTPUTS:
        return [round(float(value), 6) for value in flat]
    return {"mean": round(float(flat.mean()), 6), "spread": round(float(flat.std()), 6)}
