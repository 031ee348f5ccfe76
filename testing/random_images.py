"""Random images for techniques, where what a network learnt matters to nothing."""

import torch
from torch import Tensor, nn


class RandomImages:
    """A context that gives a technique images in [-1, 1] from a fixed seed, and trains nothing.

    Args:
        input_shape: of an image, (channels, height, width).
        num_classes: of the network.

    >>> RandomImages((3, 8, 8), 10).images(2).shape
    torch.Size([2, 3, 8, 8])
    """

    teacher, epochs_left = None, 0.0

    def __init__(self, input_shape: tuple[int, ...], num_classes: int) -> None:
        self.input_shape, self.num_classes = input_shape, num_classes
        self.generator = torch.Generator().manual_seed(0)

    def images(self, count: int) -> Tensor:
        """Returns images, 64 at the most."""
        return torch.rand(min(count, 64), *self.input_shape, generator=self.generator) * 2 - 1

    def fit(self, model: nn.Module, **_: object) -> None:
        """Leaves the network as it is."""
