"""A data set: what is asked of it, and the one whose images lie in memory."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...spaces.errors import AtollError

#: what inputs are stored as: pixels, samples of sensors, features
STORED = (torch.uint8, torch.int16, torch.float32)


@dataclass(frozen=True)
class Split:
    """Labelled inputs of one split; they may lie in a file that is mapped into memory.

    Args:
        images: (N, C, H, W), (N, C, L) or (N, features), uint8, int16 or float32, as they are stored: the
            network's scaling makes of them what it takes.
        labels: int64, indices of classes, (N,) or one a position; or float32, the targets of a regression.

    Raises:
        AtollError: the shapes or the types are others.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.dtype not in STORED or not 2 <= self.images.dim() <= 4:
            raise AtollError(
                f"images are {self.images.dtype} {tuple(self.images.shape)}; needed: uint8, int16 or float32 "
                "(N, C, H, W), (N, C, L) or (N, features)"
            )
        if self.labels.dtype not in (torch.int64, torch.float32) or len(self.labels) != len(self.images):
            raise AtollError(
                f"labels are {self.labels.dtype} {tuple(self.labels.shape)}; "
                f"needed: int64 classes or float32 targets, {len(self.images)} of them, one an image"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "Split":
        """Returns the first `count` images, sharing memory with these."""
        return Split(self.images[:count], self.labels[:count])


class Dataset(Protocol):
    """Labelled images in three splits over the same classes: what training, measuring and exporting ask for.

    Every split holds at least one image, all images have one shape, and every label is an index of
    `class_names`. Asked again, a data set gives the same images in the same order: nothing is drawn here,
    and what is random about training comes from its own generator. No image is in two splits: whoever
    makes the data sees to that, or says so of splits that a user gave. `version` differs wherever an
    image, a label or a split does, since step cache, cards and tables know the data by it alone. Weights
    are fitted to `train`; search, choice and export look at `validation`; `test` is looked at once, when
    a study ends, and every further look is counted.
    """

    @property
    def name(self) -> str:
        """What messages call the data."""

    @property
    def train(self) -> Split:
        """What weights are fitted to."""

    @property
    def validation(self) -> Split:
        """What search, choice and export agreement look at."""

    @property
    def test(self) -> Split:
        """Looked at once, when a study ends."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of class 0, 1, ..."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: (channels, height, width), (channels, length) or (features,)."""

    @property
    def version(self) -> str:
        """Tells these images from any others of the same task, e.g. a digest of what made them."""


@dataclass(frozen=True)
class ImagesInMemory:
    """A data set whose images lie in memory.

    Args:
        name, train, validation, test, class_names, version: as `Dataset` has them.

    Raises:
        AtollError: a split is empty, has images of another shape, or labels of no class.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    version: str

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test"):
            split: Split = getattr(self, name)
            where = f"data {self.name!r}, {name} split"
            if not len(split):
                raise AtollError(f"{where}: got no images, allowed is one or more")
            shape = tuple(split.images.shape[1:])
            if shape != self.input_shape:
                raise AtollError(
                    f"{where}: got images of {shape}, allowed are those of train, {self.input_shape}"
                )
            if split.labels.dtype != torch.int64:
                continue
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= len(self.class_names):
                raise AtollError(
                    f"{where}: got labels {low} to {high}, allowed are 0 to {len(self.class_names) - 1}, "
                    "one a class"
                )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: (channels, height, width), (channels, length) or (features,)."""
        return tuple(self.train.images.shape[1:])
