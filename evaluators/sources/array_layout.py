"""Arrays from files and functions: one stored type, and channels first."""

from dataclasses import dataclass

import numpy as np

from ...spaces.errors import AtollError
from ...spaces.layers.parts import Parts
from .picture import resized_pixels
from .reader import Unreadable

#: kept as they are; what else holds numbers is widened to the next
_KEPT = (np.dtype("uint8"), np.dtype("int16"), np.dtype("float32"))


@dataclass(frozen=True)
class ArrayLayout:
    """How arrays become inputs of a network.

    Bytes are pictures: (H, W) is a grey one, (H, W, C) with 1, 3 or 4 channels is turned to channels first,
    and both are brought to `size` as pictures are. Other numbers are as torch has them: (features,),
    (channels, length) or (channels, height, width); `size` and `channels` say which axis is which where they
    fit only one way. Whatever is no byte, int16 or float32 becomes the next wider of these.

    Args:
        size: (height, width) or (length,); None keeps it.
        channels: None keeps them.
    """

    size: tuple[int, ...] | None = None
    channels: int | None = None

    def stored(self, given: np.ndarray) -> np.ndarray:
        """Returns one input as it is stored, contiguous.

        Raises:
            Unreadable: its numbers or its shape are not allowed.
        """
        numbers = _stored_type(given)
        if numbers.dtype == np.float32 and not np.isfinite(numbers).all():
            raise Unreadable("holds numbers that are not finite (NaN or infinity)")
        if numbers.size == 0:
            raise Unreadable(f"has the shape {given.shape}, allowed are axes of 1 or more")
        if numbers.dtype == np.uint8 and numbers.ndim >= 2:
            arranged = self._picture(numbers)
        else:
            arranged = self._signal(numbers)
        if arranged is None:
            raise Unreadable(f"has the shape {given.shape}, {self._allowed()}")
        return np.ascontiguousarray(arranged)

    def row(self, given: tuple[np.ndarray, ...]) -> tuple[np.ndarray, Parts]:
        """Returns several inputs as one row, of their common type or else float32, and the shape of each.

        Raises:
            AtollError: one size or number of channels is asked for.
            Unreadable: as `stored`.
        """
        if (self.size, self.channels) != (None, None):
            raise AtollError(
                "data: got several inputs an item, allowed without input.size and input.channels: each is as "
                "the data have it"
            )
        held = [self.stored(one) for one in given]
        types = {one.dtype for one in held}
        stored = held[0].dtype if len(types) == 1 else np.float32
        row = np.concatenate([one.reshape(-1).astype(stored, copy=False) for one in held])
        return row, tuple(one.shape for one in held)

    def _picture(self, pixels: np.ndarray) -> np.ndarray | None:
        if pixels.ndim == 2:
            pixels = pixels[None]
        elif pixels.ndim != 3:
            return None
        elif pixels.shape[2] in _picture_channels(self.channels) and not (
            pixels.shape[0] in _picture_channels(self.channels) and self._fits(pixels.shape)
        ):
            pixels = pixels.transpose(2, 0, 1)
        if self._fits(pixels.shape):
            return pixels
        size = self.size or pixels.shape[1:]
        if pixels.shape[0] not in (1, 3, 4) or len(size) != 2 or (self.channels or 1) not in (1, 3, 4):
            return None
        return resized_pixels(pixels, (size[0], size[1]), self.channels or pixels.shape[0])

    def _signal(self, numbers: np.ndarray) -> np.ndarray | None:
        if not 1 <= numbers.ndim <= 3:
            return None
        if self._fits(numbers.shape):
            return numbers
        if self.channels in (1, None) and numbers.ndim < 3 and self._fits((1, *numbers.shape)):
            return numbers[None]
        last_first = np.moveaxis(numbers, -1, 0)
        return last_first if numbers.ndim > 1 and self._fits(last_first.shape) else None

    def _fits(self, shape: tuple[int, ...]) -> bool:
        """Says whether channels and size are as asked for."""
        if self.size is None:
            return self.channels in (None, shape[0]) and (self.channels is None or len(shape) > 1)
        if self.channels is None and len(self.size) == 1 and shape == self.size:
            return True  # features
        return (
            len(shape) == 1 + len(self.size) and shape[1:] == self.size and self.channels in (None, shape[0])
        )

    def _allowed(self) -> str:
        if self.size is None and self.channels is None:
            return "allowed are (features,), (channels, length) and (channels, height, width)"
        channels = "channels" if self.channels is None else str(self.channels)
        size = "…" if self.size is None else ", ".join(map(str, self.size))
        return f"allowed is ({channels}, {size}), channels first or last"


def _picture_channels(channels: int | None) -> tuple[int, ...]:
    return (1, 3, 4) if channels is None else (1, 3, 4, channels)


def _stored_type(given: np.ndarray) -> np.ndarray:
    if given.dtype.kind not in "biuf":
        raise Unreadable(f"holds {given.dtype}, allowed are numbers")
    given = given.astype(given.dtype.newbyteorder("="), copy=False)
    if given.dtype in _KEPT:
        return given
    if given.dtype == np.bool_:
        return given.astype(np.uint8)
    if given.dtype == np.int8:
        return given.astype(np.int16)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as such
        return given.astype(np.float32)
