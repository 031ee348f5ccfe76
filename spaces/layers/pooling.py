"""Pooling as the runtime has it: whole windows, zeros or the lowest value around, or its "SAME" windows."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import nn

from .same_padding import Pair, SameAvgPool2d, SameMaxPool2d, same_padding

Pool = nn.MaxPool2d | nn.AvgPool2d | nn.MaxPool1d | nn.AvgPool1d
_NOTHING: Pair = (0, 0)


@dataclass(frozen=True)
class Pooling:
    """Windows over maps.

    Args:
        largest: whether the largest value of a window is taken, else the average.
        window, strides: (height, width).
        pads: (before, behind) height and width; None for windows that the runtime's "SAME" puts there, whose
            parts outside of the maps count for nothing.
    """

    largest: bool
    window: Pair
    strides: Pair
    pads: tuple[Pair, Pair] | None


def pooling(module: Pool, before: tuple[int, ...], after: tuple[int, ...]) -> Pooling | None:
    """Returns the windows of a pooling, None where the runtime has no such windows.

    Args:
        module: torch's, or ours with TensorFlow's windows.
        before, after: sizes of its maps without channels: (height, width), or (length,).
    """
    largest = isinstance(module, nn.MaxPool2d | nn.MaxPool1d)
    flat = len(before) == 1
    window, strides = _pair(module.kernel_size, flat, 1), _pair(module.stride, flat, 1)
    if isinstance(module, SameMaxPool2d | SameAvgPool2d):
        return Pooling(largest, window, strides, None)
    if _pair(getattr(module, "dilation", 1), flat, 1) != (1, 1) or getattr(module, "divisor_override", None):
        return None
    padding = _pair(module.padding, flat, 0)
    sizes, made = (1,) * (2 - len(before)) + before, (1,) * (2 - len(after)) + after
    axes = list(zip(sizes, made, window, strides, padding, strict=True))
    # what the windows read behind the maps; where sizes are rounded down, perhaps less than there is padding
    pads = tuple((zeros, max(0, (n - 1) * step + k - size - zeros)) for size, n, k, step, zeros in axes)
    same = all(
        n == -(-size // step) and pair == same_padding(size, k, step)
        for (size, n, k, step, _), pair in zip(axes, pads, strict=True)
    )
    if not any(padding) and not any(behind for _, behind in pads):
        return Pooling(largest, window, strides, (_NOTHING, _NOTHING))
    if largest:
        return Pooling(True, window, strides, None if same else pads)  # type: ignore[arg-type]  # two axes
    if any(padding) and module.count_include_pad:
        if any(behind > zeros for zeros, behind in pads):  # windows beyond the padding are of fewer values
            return None
        whole = tuple((zeros, zeros) for zeros in padding)
        return Pooling(False, window, strides, whole if same else pads)  # type: ignore[arg-type]  # two axes
    return Pooling(False, window, strides, None) if same else None


def even_pooling(largest: bool, before: tuple[int, ...], after: tuple[int, ...]) -> Pool | None:
    """Returns an adaptive pooling as one over windows of one size at one distance, None where they differ.

    Args:
        largest: whether the largest value of a window is taken, else the average.
        before, after: sizes of its maps without channels.
    """
    windows, strides = [], []
    for size, made in zip(before, after, strict=True):
        starts = [at * size // made for at in range(made)]
        lengths = {-(-(at + 1) * size // made) - start for at, start in enumerate(starts)}
        steps = {later - start for start, later in pairwise(starts)} or {size}
        if len(lengths) > 1 or len(steps) > 1 or not all(steps):  # a step of 0: a place is read again
            return None
        windows.append(lengths.pop())
        strides.append(steps.pop())
    kind: Any = getattr(nn, f"{'Max' if largest else 'Avg'}Pool{len(before)}d")
    return kind(tuple(windows), tuple(strides))


def _pair(size: int | tuple[int, ...], flat: bool, other: int) -> Pair:
    """Returns (height, width) of a setting; the height of maps with one axis has another one."""
    sizes = (size,) * (1 if flat else 2) if isinstance(size, int) else tuple(size)
    sizes = sizes * 2 if len(sizes) == 1 and not flat else sizes
    return (other, sizes[0]) if flat else (sizes[0], sizes[1])
