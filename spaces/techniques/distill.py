"""Distillation: the compressed network learns from another one's responses, features or relations."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from ..channels.student import cut_student
from ..errors import AtollError
from ..graph.adopt import adopt
from ..graph.feature_maps import FeatureMaps, comparable_layers, with_features
from ..graph.heads import Outputs, as_outputs, mapped, single_head
from ..kernels.distillation import feature_loss, relation_loss, responses_loss
from ..layers.statistics import BATCH, reestimate
from ..layers.structure import input_parts_of, input_shape_of, scaling_of, to_meta
from ..networks import NETWORKS, build_network
from ..technique.context import Batch, Context
from ..technique.domains import Choice, Float
from ..technique.technique import Decisions, Technique, setting

#: images on which the statistics of a cut-out student are measured, and the losses of two that learn together
IMAGES = 1024
#: how far the second of two networks that learn together starts from the first, in standard deviations of
#: each of its tensors (own choice: Zhang et al. start from two random networks, here both are compressed)
PERTURBATION = 0.05


class Answers(NamedTuple):
    """What a network says of a batch, [B, ...], and the outputs of the layers that are compared."""

    outputs: Outputs
    features: FeatureMaps


Asked = Callable[[Batch], Answers]


@dataclass(frozen=True)
class Distill(Technique):
    """Fine-tunes against another network's answers, or lets a compact student take over.

    L = alpha H(y, p_s) + (1 - alpha) T^2 H(p_t^T, p_s^T) (THESIS eq. 5 with beta = 1 - alpha; the factor T^2
    is Hinton's, without it the second term would fade as 1/T^2) is the loss of `kind=response`; H(y, p_s) is
    the task's own loss, and where outputs are numbers their squared difference is the second term; of
    several outputs that are judged it is the mean over them. `feature`
    adds `weight` times how much the layers of the same names differ in where they look, averaged over them
    (attention transfer), `relation` adds `weight` times how much the distances between a batch's logits and
    the angles that they make differ; `alpha=1` leaves these papers' losses alone.

    Who teaches: the `baseline`; the network `self` as it was when the step began; a `bigger` network, the
    baseline with twice the channels, trained on; or `mutual`: two copies, one of them slightly perturbed,
    learn from the labels and from each other. They share the step's budget, half of the epochs for each, and
    the one with the smaller loss on training images stays.

    A student starts from the channels of the given network that matter most where the two are of the same
    make, else from fresh weights.
    """

    name: ClassVar[str] = "distill"
    version: ClassVar[int] = 1
    stage: ClassVar = "training"
    source: ClassVar[str] = (
        "THESIS §2.1.4 eq. 5; Hinton et al. 2015; Zagoruyko & Komodakis 2017 (feature); Park et al. 2019 "
        "(relation); Furlanello et al. 2018 (self); Zhang et al. 2018 (mutual)"
    )
    repeatable: ClassVar[bool] = True

    temperature: float = setting(4.0, Float(1.0, 20.0, (2.0, 4.0)), "Hinton et al. 2015: 2 to 20", shown=True)
    alpha: float = setting(
        0.3, Float(0.0, 1.0, (0.1, 0.5)), "own choice: labels weigh less than the teacher, as Hinton advises"
    )
    student: str = setting(
        "none",
        Choice(("none", *(name for name, _ in NETWORKS)), ("none", "compact_cnn")),
        "THESIS table 3: the compact student",
    )
    kind: str = setting(
        "response", Choice(("response", "feature", "relation"), ("response",)), "THESIS §2.1.4: response"
    )
    teacher: str = setting(
        "baseline",
        Choice(("baseline", "self", "mutual", "bigger"), ("baseline",)),
        "THESIS §2.1.4: the uncompressed network",
    )
    weight: float = setting(
        25.0,
        Float(0.0, 1000.0, (25.0,)),
        "Park et al. 2019: 25; Zagoruyko & Komodakis 2017: 1000 / positions, 16 for maps of 8x8",
    )

    @property
    def replaces_network(self) -> bool:
        return self.student != "none"

    def plan(self, model: nn.Module) -> nn.Module:
        if self.student == "none":
            return to_meta(model)
        with torch.device("meta"):
            return self._student(model, torch.Generator())

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        teacher = self._teacher(model, context)
        learner, cut = self._learner(model, context)
        layers, notes = self._compared(learner, teacher or learner)
        if teacher is None:
            learner, losses = self._learn_together(learner, layers, context)
            notes["training_losses"] = losses
        else:
            asked = self._asked(teacher, layers)
            context.fit(
                learner,
                objective=lambda network, batch: self._loss(network, asked, layers, batch, context),
                beside=(teacher,),
            )
        return learner, {"structure": {}, "left_alone": {}, "cut_from_given_network": cut, **notes}

    def rebuild(self, model: nn.Module, decisions: Decisions) -> nn.Module:
        if self.student == "none":
            return super().rebuild(model, decisions)
        return self._student(model, torch.Generator())

    # Who learns and who teaches ---------------------------------------------------------------------

    def _learner(self, model: nn.Module, context: Context) -> tuple[nn.Module, bool]:
        """Returns the network to be trained and whether it was cut out of the given one."""
        if self.student == "none":
            return deepcopy(model), False
        learner = self._student(model, context.generator)
        cut = cut_student(model, learner)
        if cut:
            reestimate(learner, context.images(IMAGES))
        return learner, cut

    def _student(self, model: nn.Module, generator: torch.Generator) -> nn.Module:
        shape, parts = input_shape_of(model), input_parts_of(model)
        if parts:
            raise AtollError(
                f"distill: student: got {self.student!r} for a network of {len(parts)} inputs, allowed is "
                "none: networks of the zoo take one"
            )
        network = build_network(self.student, _outputs(model), shape, generator)
        return adopt(network, shape, scaling_of(model))

    def _teacher(self, model: nn.Module, context: Context) -> nn.Module | None:
        """Returns the network that teaches, in evaluation mode; None where two learn together.

        Raises:
            AtollError: there is none.
        """
        if self.teacher == "self":
            return deepcopy(model).eval()
        if self.teacher == "mutual":
            return None
        if context.teacher is None:
            raise AtollError("distill: there is no teacher; the baseline has to be evaluated first")
        return context.teacher if self.teacher == "baseline" else context.bigger_teacher()

    def _asked(self, teacher: nn.Module, layers: list[str]) -> Asked:
        """Returns how the teacher answers; the baseline's logits are known beforehand."""
        if self.teacher == "baseline" and not layers:
            return lambda batch: Answers(batch.teacher_logits(), {})

        @torch.no_grad()
        def ask(batch: Batch) -> Answers:
            return Answers(*with_features(teacher, layers, batch.images))

        return ask

    # What is learnt ---------------------------------------------------------------------------------

    def _compared(self, learner: nn.Module, teacher: nn.Module) -> tuple[list[str], dict[str, Any]]:
        """Returns the layers whose features are compared, with remarks on all of them.

        Raises:
            AtollError: features are to be compared and no layer has a counterpart.
        """
        if self.kind != "feature":
            return [], {}
        layers, others = comparable_layers(learner, teacher)
        if not layers:
            told = ", ".join(f"{name} ({reason})" for name, reason in others.items())
            raise AtollError(
                f"distill: kind: got 'feature', but no layer has a counterpart in the teacher: {told}; "
                "allowed are 'response' and 'relation' for these two networks"
            )
        return layers, {"compared": layers, "not_compared": others}

    def _loss(
        self, network: nn.Module, asked: Asked, layers: list[str], batch: Batch, context: Context
    ) -> Tensor:
        taught = asked(batch)
        learnt = Answers(*with_features(network, layers, batch.images))
        return self._distance(learnt, taught, batch.labels, context)

    def _distance(self, learnt: Answers, taught: Answers, labels: Tensor, context: Context) -> Tensor:
        """Returns the loss of one network's answers against another's, which get no gradient."""
        hard = context.criterion(learnt.outputs, labels)
        ours, theirs = context.judged(learnt.outputs), context.judged(taught.outputs)
        pairs = list(zip(ours, theirs, strict=True))
        loss = responses_loss(hard, pairs, labels.is_floating_point(), self.temperature, self.alpha)
        if self.kind == "feature":
            losses = [feature_loss(learnt.features[name], taught.features[name]) for name in learnt.features]
            loss = loss + self.weight * torch.stack(losses).mean()
        elif self.kind == "relation":
            loss = loss + self.weight * relation_loss(_in_one(ours), _in_one(theirs))
        return loss

    # Mutual learning --------------------------------------------------------------------------------

    def _learn_together(
        self, learner: nn.Module, layers: list[str], context: Context
    ) -> tuple[nn.Module, list[float]]:
        """Trains two copies against each other; returns the better one and the losses of both.

        Both move at once on the same batch (Zhang et al. 2018, eqs. 5 and 6, with the softened response).
        """

        def objective(both: nn.Module, batch: Batch) -> Tensor:
            answers = [Answers(*with_features(one, layers, batch.images)) for one in both.children()]
            first, second = answers
            pairs = ((first, _detached(second)), (second, _detached(first)))
            one, other = (self._distance(*pair, batch.labels, context) for pair in pairs)
            return one + other

        both = nn.ModuleList([learner, _perturbed(learner, context.generator)])
        context.fit(both, objective=objective, networks=2)
        losses = [_training_loss(one, context) for one in both]
        return both[losses.index(min(losses))], losses


def _detached(answers: Answers) -> Answers:
    features = {name: value.detach() for name, value in answers.features.items()}
    return Answers(mapped(Tensor.detach, answers.outputs), features)


def _in_one(outputs: tuple[Tensor, ...]) -> Tensor:
    """Returns all outputs side by side, [B, K]."""
    return torch.cat([output.flatten(1) for output in outputs], dim=1)


@torch.no_grad()
def _perturbed(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """Returns a copy whose free weights are a little elsewhere; constraints hold by construction."""
    copy = deepcopy(network)
    for parameter in copy.parameters():
        if parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(PERTURBATION * parameter.std(correction=0) * noise)
    return copy


@torch.no_grad()
def _training_loss(network: nn.Module, context: Context) -> float:
    """Returns the task's loss over training images, in evaluation."""
    images, labels = context.examples(IMAGES)
    network.eval()
    said = [as_outputs(network(part)) for part in images.split(BATCH)]
    return float(context.criterion(mapped(lambda *parts: torch.cat(parts), *said), labels))


def _outputs(model: nn.Module) -> int:
    """Returns the number of logits of a network, from its structure alone."""
    images = torch.empty(1, *input_shape_of(model), device="meta")
    with torch.no_grad():
        return single_head(to_meta(model).eval()(images), "distill(student=…)").shape[1]
