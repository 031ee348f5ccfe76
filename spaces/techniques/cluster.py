"""Weight clustering: a layer's weights share a few values."""

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ..context import Context
from ..domains import Int
from ..layers.codebook import Codebook
from ..layers.factor import Factor
from ..layers.mask import Mask
from ..layers.structure import settle, to_meta
from ..targets import targeted_layers
from ..technique import Decisions, Technique, layers_setting, setting

#: a codebook must be this much smaller than the weights that share it
WEIGHTS_PER_CLUSTER = 4


@dataclass(frozen=True)
class Cluster(Technique):
    """Replaces the weights of every layer by k shared values, found by k-means and trained further.

    Zeros of an earlier mask stay apart from the k values. Layers with too few weights are left alone.
    """

    name: ClassVar[str] = "cluster"
    version: ClassVar[int] = 1
    stage: ClassVar = "weights"
    source: ClassVar[str] = "CLUSTER (k-means per layer); Han et al. 2015, Deep Compression"

    clusters: int = setting(
        16, Int(2, 256, (8, 16, 32)), "REVIEW: log2 k bits a weight; 32 were free here, 2026", shown=True
    )
    layers: str = layers_setting()

    @property
    def needs_levels(self) -> int | None:
        # two signs cannot be put into fewer groups
        return 3

    def plan(self, model: nn.Module) -> nn.Module:
        planned = settle(to_meta(model))
        self._cluster(planned)
        return planned

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        clustered = settle(deepcopy(model))
        self._cluster(clustered)
        return clustered, self.decisions(model, clustered)

    def _cluster(self, network: nn.Module) -> None:
        factors = [f for _, layer in targeted_layers(network, self.layers) for f in layer.factors().values()]
        for factor in factors:
            if not self._too_small(factor):
                mask = factor.find(Mask)
                codebook = Codebook.fit(
                    factor.effective(), self.clusters, None if mask is None else mask.kept
                )
                factor.impose(codebook)

    def _too_small(self, factor: Factor) -> bool:
        return factor.shape.numel() < WEIGHTS_PER_CLUSTER * self.clusters
