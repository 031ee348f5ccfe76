"""How much a weight or a channel matters."""

import torch
from torch import Tensor


def channel_l1(weight: Tensor) -> Tensor:
    """Returns the mean absolute weight of every output channel, relative to the layer's mean.

    Args:
        weight: [out, ...].

    Returns:
        [out], about 1 on average, so that layers of one group can be added up.
    """
    norms = weight.detach().abs().flatten(1).mean(dim=1)
    return norms / norms.mean().clamp_min(1e-12)


def largest(scores: Tensor, count: int) -> Tensor:
    """Returns a mask of the `count` largest entries; ties go to the earlier index.

    Args:
        scores: any shape.
        count: 0 to the number of entries.
    """
    order = torch.sort(scores.flatten(), descending=True, stable=True).indices
    mask = torch.zeros(scores.numel(), dtype=torch.bool, device=scores.device)
    mask[order[:count]] = True
    return mask.reshape(scores.shape)
