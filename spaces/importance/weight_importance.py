"""How much each single weight matters, by the criteria of the papers."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..layers.factor import Factor
from ..layers.mask import Mask
from ..technique.context import Context
from .saliency import IMAGES, weight_saliency

CRITERIA = ("l1", "random", "taylor")


def weight_scores(
    criterion: str, network: nn.Module, factors: Mapping[str, Factor], context: Context
) -> dict[str, Tensor]:
    """Returns a score of every weight by factor, in the weight's shape; what is masked already scores 0.

    Args:
        criterion: `l1` |w|; `random`; `taylor` |gradient x weight|.
        network: left in evaluation mode by `taylor`.
        factors: of the network, by dotted name.
        context: images for `taylor`, the generator for `random`.
    """
    if criterion == "random":
        return {name: _random(factor, context.generator) for name, factor in factors.items()}
    if criterion == "taylor":
        return weight_saliency(network, factors, *context.examples(IMAGES), context.criterion)
    return {name: magnitude(factor) for name, factor in factors.items()}


def magnitude(factor: Factor) -> Tensor:
    """Returns |w|; of signs all are alike, so that the values under them decide (of zeros, nothing)."""
    if factor.signs is not None and factor.raw is not None:
        return factor.raw.detach().abs() * (factor.effective() != 0)
    return factor.effective().abs()


def _random(factor: Factor, generator: torch.Generator) -> Tensor:
    drawn = 1 - torch.rand(factor.shape, generator=generator)  # (0, 1]
    mask = factor.find(Mask)
    return drawn if mask is None else drawn * mask.kept
