"""How much each class counts where some have more images than others."""

import torch
from torch import Tensor

from .dataset import Split


def class_weights(split: Split, classes: int) -> Tensor:
    """Returns the weight of each class, so that all together weigh the same: N / (K n_k).

    Their mean over the images is 1, so that the size of a loss stays as it was. A class without images has
    the weight 0.

    Args:
        split: with labels of classes.
        classes: how many there are.

    Returns:
        (classes,), float32.

    Source: King & Zeng 2001, "Logistic Regression in Rare Events Data", section 4 (prior correction by
        weights); scikit-learn's `balanced`. K counts the classes that occur.
    """
    counts = torch.bincount(split.labels.reshape(-1), minlength=classes).to(torch.float64)
    weights = counts.sum() / (counts.count_nonzero() * counts.clamp(min=1))
    return torch.where(counts > 0, weights, 0.0).to(torch.float32)
