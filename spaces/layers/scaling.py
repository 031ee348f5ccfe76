"""What a network takes its stored inputs as: an affine scaling of every channel."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from ..errors import AtollError

#: channels of one input; hyperspectral cameras have a few hundred, a vector of features one a feature
LARGEST_CHANNELS = 2**20


@dataclass(frozen=True)
class Scaling:
    """From what is stored to what a network takes: x / std - mean / std, for every channel.

    Args:
        mean, std: in the units of what is stored, one for every channel or one for all.
        runs: of several inputs in one row (`parts`), for how many neighbouring values each of them is.

    Raises:
        AtollError: they are not as many as each other, not finite, or a std is not positive.

    >>> Scaling.pixels([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]).mean[0]  # of shares of 255
    123.675
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    runs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
        if not len(self.mean) == len(self.std) >= 1 or len(self.mean) > LARGEST_CHANNELS:
            raise AtollError(
                f"scaling: got {len(self.mean)} means and {len(self.std)} standard deviations, allowed is "
                "one of each, or one of each a channel"
            )
        if self.runs and (len(self.runs) != len(self.mean) or min(self.runs) < 1):
            raise AtollError(
                f"scaling: got {str(self.runs)[:80]} as the runs of {len(self.mean)} means, allowed are as "
                "many whole numbers, 1 or more"
            )
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise AtollError(
                f"scaling: got means {self.mean} and standard deviations {self.std}, allowed are finite "
                "numbers, and deviations above 0"
            )

    @classmethod
    def pixels(cls, mean: Sequence[float], std: Sequence[float]) -> Self:
        """Returns the scaling of bytes whose figures are for shares of 255, as torchvision has them."""
        return cls(tuple(255.0 * value for value in mean), tuple(255.0 * value for value in std))

    @property
    def channels(self) -> int | None:
        """How many channels it is for, None where any number."""
        return sum(self.runs) or (None if len(self.mean) == 1 else len(self.mean))

    def check_fits(self, input_shape: Sequence[int]) -> None:
        """Checks that it is for such inputs: what it repeats is as long as these are, whoever wrote it.

        Args:
            input_shape: without the batch; of several inputs, that of the row.

        Raises:
            AtollError: it is for another number of channels.
        """
        if self.channels not in (None, input_shape[0]):
            raise AtollError(
                f"scaling: got one for {self.channels} channels, allowed is one for the {input_shape[0]} of "
                "the input, or one mean and one standard deviation for all"
            )

    def to_network(self, stored: Tensor) -> Tensor:
        """Returns stored inputs as a network takes them.

        Args:
            stored: (N, C, ...), any real type.

        Returns:
            float32, same shape and memory format.

        Raises:
            AtollError: the channels are others; what a file says is held against them before it takes memory.
        """
        if self.channels not in (None, stored.shape[1]):
            raise AtollError(
                f"scaling: got inputs of {stored.shape[1]:,} channels, allowed are its {self.channels:,}"
            )
        sizes = (-1,) + (1,) * (stored.dim() - 2)
        std = torch.tensor(self.std, device=stored.device)
        shift = torch.tensor([m / s for m, s in zip(self.mean, self.std, strict=True)], device=stored.device)
        if self.runs:
            runs = torch.tensor(self.runs, device=stored.device)
            std, shift = std.repeat_interleave(runs), shift.repeat_interleave(runs)
        return stored.to(torch.float32, copy=True).div_(std.view(sizes)).sub_(shift.view(sizes))

    def to_json(self) -> dict[str, Any]:
        """Returns it in JSON's own types."""
        runs = {"runs": list(self.runs)} if self.runs else {}
        return {"mean": list(self.mean), "std": list(self.std), **runs}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Builds what `to_json` gave.

        Raises:
            AtollError: it is not what that gives.
        """
        mean, std, runs = value.get("mean"), value.get("std"), value.get("runs", [])
        numbers = all(
            isinstance(given, list) and all(type(number) in (int, float) for number in given)
            for given in (mean, std)
        )
        if not numbers or not isinstance(runs, list) or any(type(run) is not int for run in runs):
            raise AtollError(f"scaling: got {str(value)[:80]}, allowed are lists of numbers, mean and std")
        return cls(tuple(mean or ()), tuple(std or ()), tuple(runs))


#: bytes to [-1, 1]: x / 127.5 - 1, what a network takes where nothing else is said
PIXELS = Scaling((127.5,), (127.5,))
#: ImageNet's, of shares of 255 (He et al. 2016 after Krizhevsky et al. 2012; torchvision's values)
IMAGENET = Scaling.pixels((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
