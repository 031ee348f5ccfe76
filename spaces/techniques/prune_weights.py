"""Unstructured pruning: the least important weights become zero and stay zero."""

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..importance.weight_importance import CRITERIA, weight_scores
from ..kernels.importance import largest_together
from ..kernels.schedules import SCHEDULES, cumulative_shares
from ..layers.factor import Factor
from ..layers.layer import Layer
from ..layers.mask import Mask
from ..layers.structure import settle, to_meta
from ..technique.context import Context
from ..technique.domains import Choice, Float, OrWord
from ..technique.targets import targeted_layers
from ..technique.technique import Decisions, Technique, layers_setting, setting

#: weights that compete under one threshold, and the share of them that goes
Pool = tuple[float, dict[str, Factor]]


@dataclass(frozen=True)
class PruneWeights(Technique):
    """Masks the least important weights (THESIS eq. 10), at once or in stages with training between.

    `spread=per_layer` takes the same share of every layer; `global` has one threshold over all targeted
    layers (over those of one type where the types have ratios of their own), and no layer loses its last
    weight. The epochs of the step are divided evenly: one part before every further mask, the last one after
    the final mask.
    """

    name: ClassVar[str] = "prune_weights"
    version: ClassVar[int] = 1
    stage: ClassVar = "weights"
    source: ClassVar[str] = (
        "THESIS §2.1.2 eq. 10; HYBRID; CONVNEXT (L1, random, ratios by type); Zhu & Gupta 2017 (agp)"
    )
    repeatable: ClassVar[bool] = True

    ratio: float = setting(0.5, Float(0.0, 1.0, (0.5, 0.75), open_ends=True), "HYBRID: prune 0.5", shown=True)
    criterion: str = setting("l1", Choice(CRITERIA, ("l1",)), "THESIS eq. 10: magnitude")
    spread: str = setting(
        "per_layer", Choice(("per_layer", "global"), ("per_layer",)), "CONVNEXT: a ratio for every layer"
    )
    dense_ratio: float | str = setting(
        "same", OrWord("same", Float(0.0, 1.0, (), open_ends=True)), "CONVNEXT: 0.1 to 0.9 by type"
    )
    conv_ratio: float | str = setting(
        "same", OrWord("same", Float(0.0, 1.0, (), open_ends=True)), "CONVNEXT: 0.1 to 0.9 by type"
    )
    schedule: str = setting("one_shot", Choice(SCHEDULES, ("one_shot",)), "HYBRID: at once")
    layers: str = layers_setting()

    def plan(self, model: nn.Module) -> nn.Module:
        planned = settle(to_meta(model))
        for _, factors in self._pools(planned):
            for factor in factors.values():
                _mask(factor, torch.ones(factor.shape, dtype=torch.bool, device="meta"))
        self._expect(planned)
        return planned

    def rebuild(self, model: nn.Module, decisions: Decisions) -> nn.Module:
        rebuilt = super().rebuild(model, decisions)
        self._expect(rebuilt)
        return rebuilt

    def _expect(self, network: nn.Module) -> None:
        """Says of masks without values which share they keep, in place; the zeros of an earlier one stay."""
        for ratio, factors in self._pools(network):
            for factor in factors.values():
                mask = factor.find(Mask)
                if mask is not None:
                    mask.planned = 1 - ratio

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        pruned = settle(deepcopy(model))
        *early, last = cumulative_shares(self.schedule)
        epochs = context.epochs_left / (len(early) + 1)
        for share in early:
            self._prune(pruned, share, context)
            context.fit(pruned, epochs=epochs)
        self._prune(pruned, last, context)
        return pruned, self.decisions(model, pruned, left_alone={})

    def _prune(self, network: nn.Module, share: float, context: Context) -> None:
        """Brings every pool to a share of its ratio, in place."""
        pools = self._pools(network)
        factors = {name: factor for _, pool in pools for name, factor in pool.items()}
        scores = weight_scores(self.criterion, network, factors, context)
        for ratio, pool in pools:
            total = sum(factor.shape.numel() for factor in pool.values())
            kept = largest_together([scores[name] for name in pool], total - round(total * ratio * share))
            for factor, mask in zip(pool.values(), kept, strict=True):
                _mask(factor, mask)

    def _pools(self, network: nn.Module) -> list[Pool]:
        """Returns the weights that compete, in order of definition."""
        pools: dict[str, Pool] = {}
        for path, layer in targeted_layers(network, self.layers):
            setting_name = self._ratio_setting(layer)
            for part, factor in layer.factors().items():
                name = f"{path}.{part}"
                key = name if self.spread == "per_layer" else setting_name
                pools.setdefault(key, (getattr(self, setting_name), {}))[1][name] = factor
        return list(pools.values())

    def _ratio_setting(self, layer: Layer) -> str:
        """Returns which setting says how much of a layer goes."""
        windows = any(len(factor.shape) > 2 for factor in layer.factors().values())  # decomposed or not
        own = "conv_ratio" if windows else "dense_ratio"
        return "ratio" if getattr(self, own) == "same" else own


def _mask(factor: Factor, kept: Tensor) -> None:
    """Imposes a mask; the zeros of an earlier one stay."""
    earlier = factor.find(Mask)
    mask = Mask(kept if earlier is None else kept & earlier.kept)
    mask.origin = mask.origin if earlier is None else earlier.origin
    factor.impose(mask)
