"""Operators that move values and leave them as they are, one function each, as in `operators`."""

from collections.abc import Sequence

import numpy as np

from ...spaces.errors import AtollError
from .writer import TfliteModel

#: below every float32 that a network computes, and finite: PADV2 compares nothing
LOWEST = float(np.finfo(np.float32).min)


def reshape(model: TfliteModel, x: int, shape: Sequence[int]) -> int:
    """The values of ``x`` in the same order as ``shape``."""
    if np.prod(shape) != np.prod(model.tensors[x].shape):
        raise AtollError(f"cannot reshape {model.tensors[x].shape} to {tuple(shape)}")
    y = model.add_activation(shape, model.tensors[x].grid)
    # The shape in the options, not in a tensor: some 80 bytes less, and it shares the output tensor's vector.
    model.add_operator("RESHAPE", (x,), (y,), options="Reshape", newShape=[int(size) for size in shape])
    return y


def transpose(model: TfliteModel, x: int, order: Sequence[int]) -> int:
    """``x`` with its axes in ``order``."""
    shape = [model.tensors[x].shape[axis] for axis in order]
    y = model.add_activation(shape, model.tensors[x].grid)
    index = model.add_index(order)
    model.add_operator("TRANSPOSE", (x, index), (y,))
    return y


def part(model: TfliteModel, x: int, parts: Sequence[tuple[int, int, int]]) -> int:
    """A part of every axis of ``x``: (first, how many, step)."""
    first, counts, steps = (np.array(column) for column in zip(*parts, strict=True))
    y = model.add_activation(counts.tolist(), model.tensors[x].grid)
    if (steps == 1).all():
        model.add_operator("SLICE", (x, model.add_index(first), model.add_index(counts)), (y,))
        return y
    ends = first + (counts - 1) * steps + 1
    inputs = (x, *(model.add_index(values) for values in (first, ends, steps)))
    settings = dict.fromkeys(("beginMask", "endMask", "ellipsisMask", "newAxisMask", "shrinkAxisMask"), 0)
    model.add_operator("STRIDED_SLICE", inputs, (y,), options="StridedSlice", **settings)
    return y


def pad(model: TfliteModel, x: int, pads: Sequence[tuple[int, int]], value: float = 0.0) -> int:
    """``x`` with (before, behind) values of one number around every axis.

    Args:
        model: the file under construction.
        x: float32 or int8 tensor.
        pads: an axis each.
        value: what is put there; of an int8 tensor only zero, or ``LOWEST`` for its lowest integer.
    """
    entry = model.tensors[x]
    shape = [size + sum(pair) for size, pair in zip(entry.shape, pads, strict=True)]
    y = model.add_activation(shape, entry.grid)
    index = model.add_index(np.array(pads))
    if not value:
        model.add_operator("PAD", (x, index), (y,))
        return y
    if entry.grid is None:
        number = model.add_constant(np.array([value]), "float32", structural=True)
    else:
        number = model.add_constant(
            np.array([-128]), "int8", entry.grid.scale, zero_points=np.array([entry.grid.zero_point])
        )
    model.add_operator("PADV2", (x, index, number), (y,), options="PadV2")
    return y


def mirror_pad(model: TfliteModel, x: int, pads: Sequence[tuple[int, int]]) -> int:
    """``x`` with (before, behind) values around every axis: those inside of it, mirrored at its edges."""
    entry = model.tensors[x]
    shape = [size + sum(pair) for size, pair in zip(entry.shape, pads, strict=True)]
    y = model.add_activation(shape, entry.grid)
    index = model.add_index(np.array(pads))
    model.add_operator("MIRROR_PAD", (x, index), (y,), options="MirrorPad", mode=0)  # MirrorPadMode: REFLECT
    return y


def broadcast(model: TfliteModel, x: int, shape: Sequence[int]) -> int:
    """``x`` repeated along its axes of size 1 until it has a shape."""
    y = model.add_activation(shape, model.tensors[x].grid)
    model.add_operator("BROADCAST_TO", (x, model.add_index(shape)), (y,), options="BroadcastTo")
    return y


def concatenation(model: TfliteModel, parts: Sequence[int], axis: int) -> int:
    """The ``parts`` along ``axis``; int8 parts share one grid."""
    first = model.tensors[parts[0]]
    if any(model.tensors[part].grid != first.grid for part in parts):
        raise AtollError("concatenated tensors must share one grid: requantize them first")
    shape = list(first.shape)
    shape[axis] = sum(model.tensors[part].shape[axis] for part in parts)
    y = model.add_activation(shape, first.grid)
    model.add_operator("CONCATENATION", parts, (y,), options="Concatenation", axis=axis)
    return y
