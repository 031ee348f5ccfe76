"""A codebook: weights that share a few trained values."""

from math import ceil, log2
from typing import Any, Self

import torch
from torch import Tensor, nn

from ..kernels.kmeans import kmeans_1d
from .weight_constraint import WeightConstraint


class Codebook(WeightConstraint):
    """Replaces each weight by its centroid; the centroids are what training moves (CLUSTER; Han 2015).

    Args:
        centroids: [k] shared values.
        index: uint8 of the weight's shape, which centroid a weight takes (k <= 256).
    """

    kind = "codebook"
    on_decomposition = "imposed anew"
    index: Tensor

    def __init__(self, centroids: Tensor, index: Tensor) -> None:
        super().__init__()
        self.centroids = nn.Parameter(centroids)
        self.register_buffer("index", index)

    @property
    def clusters(self) -> int:
        """How many values there are."""
        return self.centroids.numel()

    @property
    def index_bits(self) -> int:
        """Bits that one index takes."""
        return max(1, ceil(log2(self.clusters)))

    def forward(self, weight: Tensor | None = None) -> Tensor:
        if self.index.is_meta:
            return torch.empty(self.index.shape, device="meta")
        return _Shared.apply(self.centroids, self.index)

    def spec(self) -> dict[str, Any]:
        return {"kind": self.kind, "clusters": self.clusters}

    @classmethod
    def fit(cls, weight: Tensor, clusters: int, kept: Tensor | None = None) -> Self:
        """Fits the codebook to a weight tensor by exact 1-D k-means.

        Args:
            weight: any shape.
            clusters: k, 2 to 256; fewer where the weight has fewer distinct values.
            kept: true where the weight counts (a mask's zeros are stored by the mask).
        """
        if weight.is_meta:
            return cls.from_spec({"clusters": clusters}, weight.shape, weight.device)
        counted = weight if kept is None else weight[kept]
        centroids = kmeans_1d(counted.detach().flatten(), clusters)
        if centroids.numel() < clusters:  # keeps shapes what the plan said: repeat the last value
            centroids = torch.cat([centroids, centroids[-1:].expand(clusters - centroids.numel())])
        edges = (centroids[1:] + centroids[:-1]) / 2
        return cls(centroids.to(weight.dtype), torch.bucketize(weight.detach(), edges).to(torch.uint8))

    @classmethod
    def from_spec(cls, spec: dict[str, Any], shape: torch.Size, device: torch.device) -> Self:
        index = torch.zeros(shape, dtype=torch.uint8, device=device)
        return cls(torch.zeros(spec["clusters"], device=device), index)

    def anew(self, weight: Tensor) -> "Codebook":
        return Codebook.fit(weight, self.clusters)


class _Shared(torch.autograd.Function):
    """Looks shared values up; summing their gradient by counting takes a fifth of indexing's time."""

    @staticmethod
    def forward(ctx: Any, centroids: Tensor, index: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(index)
        ctx.clusters = centroids.numel()
        return centroids.index_select(0, index.flatten().int()).reshape(index.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (index,) = ctx.saved_tensors
        total = torch.bincount(index.flatten(), weights=gradient.flatten(), minlength=ctx.clusters)
        return total.to(gradient.dtype), None
