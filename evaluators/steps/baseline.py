"""The baseline: what every drop and ratio refers to, and the teacher of every distillation."""

from copy import deepcopy
from functools import cache

from torch import nn

from ..datasets.dataset import Dataset
from ..digests import derived_seed
from ..tasks.task import Task
from ..training.augmentation import Views
from ..training.losses import distilled_loss
from ..training.prediction import keeps_answers, predict_views
from .context import TrainingContext

#: how often it is trained with the whole budget: plain and self-distilled
RUNS = 2


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
    for name in ("plain", "self_distilled"):
        network = deepcopy(given)
        seed_of_run = derived_seed(seed, "baseline", name)
        context = TrainingContext(task, dataset, given, seed_of_run, epochs, answers)
        context.fit(network, objective=None if name == "plain" else distilled_loss(context))
        networks[name] = network
    qualities = {name: task.quality(network, dataset.validation) for name, network in networks.items()}
    return networks[task.quality_terms.best(qualities)], qualities
