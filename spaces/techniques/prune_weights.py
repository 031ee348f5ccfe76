"""Unstructured pruning: the smallest weights become zero and stay zero."""

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..context import Context
from ..domains import Float
from ..kernels.importance import largest
from ..layers.binary import Binary
from ..layers.factor import Factor
from ..layers.mask import Mask
from ..layers.structure import settle, to_meta
from ..targets import targeted_layers
from ..technique import Decisions, Technique, layers_setting, setting


@dataclass(frozen=True)
class PruneWeights(Technique):
    """Masks the weights of smallest magnitude, the same share in every layer (THESIS eq. 10)."""

    name: ClassVar[str] = "prune_weights"
    version: ClassVar[int] = 1
    stage: ClassVar = "weights"
    source: ClassVar[str] = "THESIS §2.1.2 eq. 10; HYBRID; CONVNEXT (L1)"
    repeatable: ClassVar[bool] = True

    ratio: float = setting(
        0.5, Float(0.0, 1.0, (0.5, 0.75, 0.9), open_ends=True), "HYBRID: prune 0.5", shown=True
    )
    layers: str = layers_setting()

    def plan(self, model: nn.Module) -> nn.Module:
        planned = settle(to_meta(model))
        for factor in self._factors(planned):
            factor.impose(Mask(torch.ones(factor.shape, dtype=torch.bool, device="meta")))
        return planned

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        pruned = settle(deepcopy(model))
        for factor in self._factors(pruned):
            count = factor.shape.numel()
            kept = largest(_magnitude(factor), count - round(count * self.ratio))
            earlier = factor.find(Mask)
            mask = Mask(kept if earlier is None else kept & earlier.kept)
            mask.origin = mask.origin if earlier is None else earlier.origin  # its zeros stay
            factor.impose(mask)
        return pruned, self.decisions(model, pruned)

    def _factors(self, network: nn.Module) -> list[Factor]:
        layers = targeted_layers(network, self.layers)
        return [factor for _, layer in layers for factor in layer.factors().values()]


def _magnitude(factor: Factor) -> Tensor:
    """Returns |w|; of signs all are alike, so that the values under them decide."""
    if factor.find(Binary) is not None and factor.raw is not None:
        mask = factor.find(Mask)
        return factor.raw.detach().abs() * (1 if mask is None else mask.kept)
    return factor.effective().abs()
