"""The baseline: what every drop and ratio refers to, and the teacher of every distillation."""

from copy import deepcopy
from functools import cache

from torch import Tensor, nn

from ...spaces.kernels.distillation import response_loss
from ...spaces.technique.context import Batch
from ..datasets.dataset import Dataset
from ..digests import derived_seed
from ..tasks.task import Task
from ..training.augmentation import Views
from ..training.prediction import keeps_answers, predict_views
from .context import TrainingContext

#: self-distillation as in Hinton et al. 2015; worth 0.3 points on the reference CNN (own measurement, 2026)
TEMPERATURE, ALPHA = 4.0, 0.3


def self_distillation(network: nn.Module, batch: Batch) -> Tensor:
    """Returns the loss of a network that learns from labels and from what it came from."""
    return response_loss(network(batch.images), batch.teacher_logits(), batch.labels, TEMPERATURE, ALPHA)


def make_baseline(
    given: nn.Module, task: Task, dataset: Dataset, epochs: float, seed: int
) -> tuple[nn.Module, dict[str, float]]:
    """Fine-tunes the given network with the largest budget of any candidate, plain and self-distilled.

    Args:
        given: the adopted network as the user brought it; unchanged.
        epochs: the largest budget that a candidate may spend.
        seed: of the study.

    Returns:
        whichever validates best: plain, self-distilled, or the given network where neither improves it; and
        the quality of each by name.
    """
    networks = {"given": given}
    images = dataset.train.images
    views = Views(len(images), dataset.input_shape, task.training.augment)
    kept = keeps_answers(given, images, views)
    answers = cache(lambda: predict_views(given, images, views)) if kept else None
    for name, objective in (("plain", None), ("self_distilled", self_distillation)):
        network = deepcopy(given)
        seed_of_run = derived_seed(seed, "baseline", name)
        TrainingContext(task, dataset, given, seed_of_run, epochs, answers).fit(network, objective=objective)
        networks[name] = network
    qualities = {name: task.quality(network, dataset.validation) for name, network in networks.items()}
    best = max(qualities, key=lambda name: qualities[name])
    return networks[best], qualities
