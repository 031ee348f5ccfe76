"""How fast a task's network trains here, from a few batches."""

import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from ..datasets.dataset import Dataset
from ..tasks.given_network import adopted_network
from ..tasks.task import Task
from .context import TrainingContext

#: batches that are timed: their mean is known to a few per cent
BATCHES = 20
#: batches before, in which memory is found and kernels are chosen
_WARM_UP = 2
#: seconds after which no further batch is begun, so that a check stays under a minute
_LONGEST_S = 15.0


@dataclass(frozen=True)
class Pace:
    """What a batch of training takes.

    Args:
        step_s: mean of the timed ones.
        timed: how many those are.
        batch_size: images of each.
    """

    step_s: float
    timed: int
    batch_size: int

    def epoch_s(self, images: int) -> float:
        """Returns what a pass over so many images takes: whole batches, one at least."""
        return self.step_s * max(1, images // self.batch_size)


class _Enough(Exception):
    """Enough batches were timed."""


def time_batches(task: Task, dataset: Dataset, seed: int = 0, batches: int = BATCHES) -> Pace:
    """Trains a copy of the given network for some batches, as every step of a recipe does.

    Args:
        task: whose network and settings.
        dataset: whose training images, two at least.
        seed: of what is drawn.
        batches: timed ones; fewer where they take long.

    Raises:
        AtollError: training diverges, or cannot begin.
    """
    count = len(dataset.train)
    batch_size = min(task.training.batch_size, count)
    epochs = (_WARM_UP + batches) / (count // batch_size)
    started = time.perf_counter()
    ends: list[float] = []

    def timed(_share: float) -> None:
        ends.append(time.perf_counter())
        if ends[-1] - started > _LONGEST_S:
            raise _Enough

    with suppress(_Enough):
        TrainingContext(task, dataset, None, seed, epochs).fit(adopted_network(task), after_step=timed)
    took = [end - begun for begun, end in pairwise([started, *ends])]
    counted = took[_WARM_UP:] or took[-1:]
    return Pace(sum(counted) / len(counted), len(counted), batch_size)
