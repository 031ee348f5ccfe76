"""A teacher bigger than the network itself: the baseline with twice the channels, trained on."""

import torch
from torch import nn

from ...spaces.channels.widen import widened
from ...spaces.graph.heads import Outputs
from ..datasets.dataset import Dataset
from ..digests import derived_seed
from ..tasks.task import Task
from ..training.losses import distilled_loss
from .context import TrainingContext

#: what tells two copies of a channel apart, in standard deviations of a layer's weights (own choice; Chen et
#: al. 2016 add "a small amount of noise")
NOISE = 0.05


def make_bigger_teacher(
    baseline: nn.Module, task: Task, dataset: Dataset, epochs: float, seed: int, answers: Outputs | None
) -> nn.Module:
    """Doubles the channels of the baseline (Chen et al. 2016) and trains it as the baseline was trained.

    It learns from the labels and from the baseline's own answers, so that it starts and stays near what it
    came from; an epoch takes about four times as long as one of the baseline.

    Args:
        baseline: unchanged.
        epochs: what the baseline was given.
        seed: of the study.
        answers: the baseline's logits on all views of the training images (`predict_views`); the
            baseline itself is asked when None.

    Returns:
        the wide network, in evaluation mode.

    Raises:
        AtollError: training diverged.
    """

    own_seed = derived_seed(seed, "bigger_teacher")
    network = widened(baseline, NOISE, torch.Generator().manual_seed(own_seed))
    context = TrainingContext(
        task, dataset, baseline, own_seed, epochs, None if answers is None else lambda: answers
    )
    context.fit(network, objective=distilled_loss(context))
    return network.eval()
