"""The shape of one input of a network, without the batch."""

from collections.abc import Sequence

#: (channels, height, width) of an image, (channels, length) of a signal, or (features,)
InputShape = tuple[int, ...]

_AXES = {1: "features", 2: "length x channels", 3: "height x width x channels"}


def is_image(shape: Sequence[int]) -> bool:
    """Whether it has a height and a width."""
    return len(shape) == 3


def axes_said(shape: Sequence[int]) -> str:
    """Returns what the axes are, channels last: `height x width x channels`."""
    return _AXES.get(len(shape), "channels last")


def shape_said(shape: InputShape) -> str:
    """Returns a shape as people write it, channels last: `64x64x3 (height x width x channels)`.

    >>> shape_said((3, 64, 48)), shape_said((640,))
    ('64x48x3 (height x width x channels)', '640 (features)')
    """
    sizes = "x".join(str(size) for size in (*shape[1:], shape[0]))
    return f"{sizes} ({axes_said(shape)})"
