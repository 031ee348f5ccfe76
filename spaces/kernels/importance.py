"""How much a weight or a channel matters."""

import torch
from torch import Tensor


def relative(scores: Tensor) -> Tensor:
    """Returns scores over their mean, so that layers of one group can be added up; zeros stay zeros.

    Args:
        scores: not negative, any shape.
    """
    return scores / scores.mean().clamp_min(1e-12)


def channel_l1(weight: Tensor) -> Tensor:
    """Returns the mean absolute weight of every output channel, relative to the layer's mean.

    Args:
        weight: [out, ...].

    Returns:
        [out], about 1 on average, so that layers of one group can be added up.
    """
    return relative(weight.detach().abs().flatten(1).mean(dim=1))


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


def largest_together(scores: list[Tensor], count: int) -> list[Tensor]:
    """Returns masks of the `count` largest entries of several tensors under one threshold.

    No tensor loses everything: where it would, its largest entry stays, beyond the count. Ties go to the
    earlier index of the earlier tensor.

    Args:
        scores: of any shapes, in the same unit.
        count: 0 to the number of all entries.
    """
    together = largest(torch.cat([part.flatten() for part in scores]), count)
    masks = together.split([part.numel() for part in scores])
    return [
        mask.reshape(part.shape) if bool(mask.any()) else largest(part, 1)
        for mask, part in zip(masks, scores, strict=True)
    ]
