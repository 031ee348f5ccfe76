"""Response distillation: the compressed network learns from the baseline's outputs."""

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..context import Batch, Context
from ..domains import Choice, Float
from ..errors import AtollError
from ..kernels.distillation import response_loss
from ..kernels.statistics import reestimate
from ..layers.structure import adopt, input_shape_of, to_meta
from ..networks import build_network
from ..student import cut_student
from ..technique import Decisions, Technique, setting

#: images on which the statistics of a cut-out student are measured
IMAGES = 1024


@dataclass(frozen=True)
class Distill(Technique):
    """Fine-tunes against the baseline's softened outputs, or lets a compact student take over.

    L = alpha H(y, p_s) + (1 - alpha) T^2 H(p_t^T, p_s^T) (THESIS eq. 5 with beta = 1 - alpha; the factor T^2
    is Hinton's, without it the second term would fade as 1/T^2). A student starts from the channels of the
    given network that matter most where the two are of the same make, else from fresh weights.
    """

    name: ClassVar[str] = "distill"
    version: ClassVar[int] = 1
    stage: ClassVar = "training"
    source: ClassVar[str] = "THESIS §2.1.4 eq. 5; Hinton et al. 2015"
    repeatable: ClassVar[bool] = True

    temperature: float = setting(4.0, Float(1.0, 20.0, (2.0, 4.0)), "Hinton et al. 2015: 2 to 20", shown=True)
    alpha: float = setting(
        0.3, Float(0.0, 1.0, (0.1, 0.5)), "own choice: labels weigh less than the teacher, as Hinton advises"
    )
    student: str = setting("none", Choice(("none", "compact_cnn")), "THESIS table 3: the compact student")

    @property
    def replaces_network(self) -> bool:
        return self.student != "none"

    def plan(self, model: nn.Module) -> nn.Module:
        if self.student == "none":
            return to_meta(model)
        with torch.device("meta"):
            return self._student(model, torch.Generator())

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        if context.teacher is None:
            raise AtollError("distill: there is no teacher; the baseline has to be evaluated first")
        if self.student == "none":
            learner, cut = deepcopy(model), False
        else:
            learner = self._student(model, context.generator)
            cut = cut_student(model, learner)
            if cut:
                reestimate(learner, context.images(IMAGES))
        context.fit(learner, objective=self._objective)
        return learner, {"structure": {}, "cut_from_given_network": cut}

    def rebuild(self, model: nn.Module, decisions: Decisions) -> nn.Module:
        if self.student == "none":
            return super().rebuild(model, decisions)
        return self._student(model, torch.Generator())

    def _objective(self, learner: nn.Module, batch: Batch) -> Tensor:
        answers = batch.teacher_logits()
        return response_loss(learner(batch.images), answers, batch.labels, self.temperature, self.alpha)

    def _student(self, model: nn.Module, generator: torch.Generator) -> nn.Module:
        shape = input_shape_of(model)
        network = build_network(self.student, _outputs(model), shape, generator)
        return adopt(network, shape)


def _outputs(model: nn.Module) -> int:
    """Returns the number of logits of a network, from its structure alone."""
    with torch.no_grad():
        return to_meta(model).eval()(torch.empty(1, *input_shape_of(model), device="meta")).shape[1]
