"""Integers that a plan's weights may turn out as: compilers that code weights need some to tell a size."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ...spaces.layers.codebook import Codebook
from ...spaces.layers.factor import Factor
from ...spaces.layers.mask import Mask


@dataclass(frozen=True)
class LikelyIntegers:
    """How the integers of a weight tensor are distributed, as far as its structure says.

    Args:
        most: magnitude of the largest.
        per_channel: whether every output channel has a scale of its own, so a largest one of its own.
        clusters: how many values weights share; None where they share none.
        kept: share that is not zero by a mask, in [0, 1].
    """

    most: int
    per_channel: bool
    clusters: int | None = None
    kept: float = 1.0

    @classmethod
    def of(cls, factor: Factor) -> Self:
        """Returns what is known of a factor whose weights are integers."""
        codebook, mask = factor.find(Codebook), factor.find(Mask)
        kept = 1.0 if mask is None or mask.planned is None else mask.planned
        clusters = None if codebook is None else codebook.clusters
        return cls(min((factor.levels or 1) // 2, 127), factor.steps_per_channel, clusters, kept)

    def drawn(self, shape: tuple[int, ...]) -> np.ndarray:
        """Returns integers of a normal distribution, the same every time, int8.

        Trained weights are close enough to normal for sizes and times of Vela (`results/vela/`).

        Args:
            shape: [out, in, ...].
        """
        numbers = np.random.default_rng(0)
        rows = numbers.standard_normal((shape[0], int(np.prod(shape[1:]))), np.float32)
        largest = np.abs(rows).max(axis=1 if self.per_channel else None, keepdims=True)
        found = rows * (self.most / largest)
        if self.clusters is not None:
            # centroids as of one-dimensional k-means: closer where there are more weights
            centres = np.quantile(found, (np.arange(self.clusters) + 0.5) / self.clusters)
            found = centres[np.searchsorted((centres[1:] + centres[:-1]) / 2, found)]
        if self.kept < 1:
            found = np.where(np.abs(rows) >= np.quantile(np.abs(rows), 1 - self.kept), found, 0)
        return np.rint(found).astype(np.int8).reshape(shape)
