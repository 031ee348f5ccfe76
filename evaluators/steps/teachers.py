"""What students of a study learn from: the baseline's answers, and a teacher bigger than it."""

from functools import cached_property

from torch import Tensor, nn

from ...spaces.channels.widen import widened
from ...spaces.graph.heads import Outputs, heads
from ..training.augmentation import Views
from ..training.prediction import keeps_answers, predict_views
from .bigger_teacher import make_bigger_teacher
from .cache_backend import CacheBackend, Entry
from .pipeline_result import PipelineResult
from .study_basis import StudyBasis


class Teachers:
    """Made when a step asks for them, once, and kept in the cache; outside the budget of the steps.

    Args:
        basis: of the study.
        cache: where they are kept.
        baseline: the network that they come from.
    """

    def __init__(self, basis: StudyBasis, cache: CacheBackend, baseline: PipelineResult) -> None:
        self._basis, self._cache, self._baseline = basis, cache, baseline

    @cached_property
    def logits(self) -> Outputs | None:
        """The baseline's answers to all views of the training inputs, float32 [views, N, ...] an output.

        None where they are too many to be kept: the baseline itself has to be asked.
        """
        if not keeps_answers(self._baseline.network, self._images, self._views):
            return None
        key = self._basis.key(teacher_logits_of=self._baseline.digest)
        found = self._cache.get_or_make(key, self._answer)[0].tensors
        return found["logits"] if len(found) == 1 else tuple(found[f"logits.{n}"] for n in range(len(found)))

    @cached_property
    def bigger(self) -> nn.Module:
        """The baseline with twice the channels, trained with the baseline's budget, in evaluation mode."""
        epochs = self._basis.settings.baseline_epochs
        key = self._basis.key(bigger_teacher_of=self._baseline.digest, epochs=epochs)
        network = widened(self._baseline.network)
        network.load_state_dict(self._cache.get_or_make(key, self._train)[0].tensors)
        return network.eval()

    def _answer(self) -> Entry:
        said: tuple[Tensor, ...] = heads(predict_views(self._baseline.network, self._images, self._views))
        several = {f"logits.{position}": head for position, head in enumerate(said)}
        return Entry(several if len(said) > 1 else {"logits": said[0]}, {})

    @property
    def _images(self) -> Tensor:
        return self._basis.dataset.train.images

    @property
    def _views(self) -> Views:
        basis = self._basis
        return Views(len(self._images), basis.dataset.input_shape, basis.task.training.augment)

    def _train(self) -> Entry:
        basis, settings = self._basis, self._basis.settings
        made = make_bigger_teacher(
            self._baseline.network,
            basis.task,
            basis.dataset,
            settings.baseline_epochs,
            settings.seed,
            self.logits,
        )
        return Entry(made.state_dict(), {})
