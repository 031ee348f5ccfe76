"""The baseline: what every drop and ratio refers to, and the teacher of every distillation."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from math import ceil

import torch
from torch import Tensor, nn

from ...spaces.technique.context import AfterStep
from ..datasets.dataset import Dataset
from ..digests import derived_seed
from ..tasks.task import Task
from ..training.accelerator import CPU, training_device
from ..training.augmentation import Views
from ..training.losses import distilled_loss
from ..training.prediction import keeps_answers, predict_views
from ..training.side_by_side import side_by_side
from .context import TrainingContext

#: how often it is trained with the whole budget: plain and self-distilled
RUNS = 2


def turns(given: nn.Module, task: Task, dataset: Dataset, at_once: int) -> int:
    """Returns how many budgets long the baseline takes, where so many runs may train at a time."""
    return ceil(RUNS / at_once) if _are_independent(given, task, dataset.train.images) else RUNS


def make_baseline(
    given: nn.Module,
    task: Task,
    dataset: Dataset,
    epochs: float,
    seed: int,
    at_once: int = 1,
    told: Callable[[float, float], None] = lambda epochs_done, epochs: None,
) -> tuple[nn.Module, dict[str, float]]:
    """Fine-tunes the given network with the largest budget of any candidate, plain and self-distilled.

    Args:
        given: the adopted network as the user brought it; unchanged.
        epochs: the largest budget that a candidate may spend.
        seed: of the study.
        at_once: how many runs may train at a time; the result is the same.
        told: hears after every batch how many epochs are done, of how many, one run after the other.

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
        networks[name] = deepcopy(given)

    in_turn = turns(given, task, dataset, at_once)

    def train(name: str, before: int = 0, after_step: AfterStep | None = None) -> None:
        context = TrainingContext(
            task, dataset, given, derived_seed(seed, "baseline", name), epochs, answers,
            told=lambda spent: told(before * epochs + spent, in_turn * epochs),
        )  # fmt: skip
        objective = None if name == "plain" else distilled_loss(context)
        context.fit(networks[name], objective=objective, after_step=after_step)

    if in_turn == 1:
        # what cannot be abandoned at a step, the teacher's answers, is left to this thread
        side_by_side(lambda look: train("plain", 0, look), lambda look: train("self_distilled", 0, look))
    else:
        train("plain")
        train("self_distilled", before=1)
    qualities = {name: task.quality(network, dataset.validation) for name, network in networks.items()}
    return networks[task.quality_terms.best(qualities)], qualities


def _are_independent(given: nn.Module, task: Task, images: Tensor) -> bool:
    """Whether two runs share nothing: no accelerator, no code of the user's, no dropout.

    Dropout draws from torch's own generator, which is one for all threads.
    """
    if training_device() != CPU or task.code is not None:
        return False
    with torch.random.fork_rng(devices=()), torch.no_grad():
        before = torch.get_rng_state()
        deepcopy(given).train()(task.scaling.to_network(images[:2]))
        return torch.equal(before, torch.get_rng_state())
