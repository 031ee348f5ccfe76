"""A data set: labelled images in three splits."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...spaces.errors import AtollError

#: Half of the range of a byte: images are scaled from [0, 255] to [-1, 1].
HALF_RANGE = 127.5


@dataclass(frozen=True)
class Split:
    """Labelled images of one split.

    Args:
        images: (N, C, H, W), uint8.
        labels: (N,), int64, indices of classes.

    Raises:
        AtollError: the shapes or the types are others.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.dim() != 4:
            raise AtollError(
                f"images are {self.images.dtype} {tuple(self.images.shape)}; needed: uint8 (N, C, H, W)"
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise AtollError(
                f"labels are {self.labels.dtype} {tuple(self.labels.shape)}; "
                f"needed: int64 ({len(self.images)},), one an image"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "Split":
        """Returns the first `count` images, sharing memory with these."""
        return Split(self.images[:count], self.labels[:count])


@dataclass(frozen=True)
class Dataset:
    """Three splits over the same classes.

    Args:
        name: name of the data, part of what decides a result.
        train: what weights are fitted to.
        validation: what search, choice and export agreement look at.
        test: looked at once, when a study ends.
        class_names: name of class 0, 1, ...
        version: digest of what the images were made from.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    version: str

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image: (channels, height, width)."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def to_float(images: Tensor) -> Tensor:
    """Scales images to what every network here takes: x / 127.5 - 1.

    Args:
        images: uint8, any shape.

    Returns:
        float32 in [-1, 1], same shape and memory format.
    """
    return images.float().div_(HALF_RANGE).sub_(1.0)
