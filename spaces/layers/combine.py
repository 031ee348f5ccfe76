"""Values made of several: sums, products and concatenations as modules, so that they can carry a grid."""

import torch
from torch import Tensor, nn


class Add(nn.Module):
    """The sum of two values of one shape."""

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return one + other


class Multiply(nn.Module):
    """The product of two values; one may be [N, C, 1, 1], the same at all positions."""

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return one * other


class Concatenate(nn.Module):
    """Values one after the other along channels, [N, C1 + C2 + …, H, W]."""

    def forward(self, *values: Tensor) -> Tensor:
        return torch.cat(values, 1)
