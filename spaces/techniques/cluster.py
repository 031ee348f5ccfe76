"""Weight clustering: a layer's weights share a few values."""

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ..kernels.affine import symmetric_levels
from ..layers.binary import Binary
from ..layers.codebook import Codebook
from ..layers.factor import Factor
from ..layers.mask import Mask
from ..layers.structure import settle, to_meta
from ..layers.weight_grid import WeightGrid
from ..technique.context import Context
from ..technique.domains import Choice, Int, OrWord
from ..technique.targets import targeted_layers
from ..technique.technique import Decisions, Technique, layers_setting, setting

#: a codebook must be this much smaller than the weights that share it
WEIGHTS_PER_CLUSTER = 4


@dataclass(frozen=True)
class Cluster(Technique):
    """Replaces the weights of every layer by k shared values, found by k-means and trained further.

    Zeros of an earlier mask stay apart from the k values. Layers with too few weights are left alone. A
    quantized codebook keeps its values on one symmetric grid a tensor, in training too; on a layer that is on
    a narrower grid already it stays on that one.
    """

    name: ClassVar[str] = "cluster"
    version: ClassVar[int] = 1
    stage: ClassVar = "weights"
    source: ClassVar[str] = "CLUSTER (k-means per layer); Han et al. 2015, Deep Compression"

    clusters: int = setting(
        16, Int(2, 256, (8, 16, 32)), "REVIEW: log2 k bits a weight; 32 were free here, 2026", shown=True
    )
    codebook_bits: str | int = setting(
        "float", OrWord("float", Choice((8, 4))), "CLUSTER: k-means, then 8 bits for the codebook"
    )
    layers: str = layers_setting()

    @property
    def levels_per_weight(self) -> int | None:
        return None if self.grid_bits is None else 2 * symmetric_levels(self.grid_bits) + 1

    @property
    def needs_levels(self) -> int | None:
        # two signs cannot be put into fewer groups
        return 3

    @property
    def grid_bits(self) -> int | None:
        """Bits of a shared value, None for float."""
        return None if self.codebook_bits == "float" else int(self.codebook_bits)

    def plan(self, model: nn.Module) -> nn.Module:
        planned = settle(to_meta(model))
        self._cluster(planned)
        return planned

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        clustered = settle(deepcopy(model))
        left_alone = self._cluster(clustered)
        return clustered, self.decisions(model, clustered, left_alone=left_alone)

    def _cluster(self, network: nn.Module) -> dict[str, str]:
        """Puts the codebooks in, in place; returns by layer why it was left alone."""
        left_alone = {}
        for name, layer in targeted_layers(network, self.layers):
            reasons = [self._share_values(factor) for factor in layer.factors().values()]
            if all(reasons):
                left_alone[name] = "; ".join(dict.fromkeys(reason for reason in reasons if reason))
        return left_alone

    def _share_values(self, factor: Factor) -> str | None:
        """Puts a codebook on a weight tensor; returns why not where it is left alone."""
        count = factor.shape.numel()
        if count < WEIGHTS_PER_CLUSTER * self.clusters:
            return f"{count} weights are too few for {self.clusters} shared values"
        if factor.find(Binary) is not None:
            return "its weights are signs: two values cannot be put into fewer groups"
        mask, grid = factor.find(Mask), factor.find(WeightGrid)
        kept = None if mask is None else mask.kept
        factor.impose(Codebook.fit(factor.effective(), self.clusters, kept))
        if self.grid_bits is not None and (grid is None or grid.bits > self.grid_bits):
            factor.impose(WeightGrid.fit(factor.effective(), self.grid_bits, per_channel=False))
        return None
