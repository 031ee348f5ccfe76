"""Moves: the values of a tensor in other places. What a call does is read off the strides that it leaves."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, fx, nn

Shape = tuple[int, ...]

#: images in a traced batch: with two, what lost its batch dimension shows
BATCH = 2


@dataclass(frozen=True)
class Parts:
    """A part of every axis: (first, how many, step)."""

    parts: tuple[tuple[int, int, int], ...]

    @property
    def operator(self) -> str:
        """The runtime's."""
        return "SLICE" if all(step == 1 for _, _, step in self.parts) else "STRIDED_SLICE"

    def shape(self, _: Shape) -> Shape:
        """Returns the shape behind it."""
        return tuple(count for _, count, _ in self.parts)


@dataclass(frozen=True)
class Permuted:
    """Axes in another order: for each the one that it was."""

    axes: tuple[int, ...]

    def shape(self, before: Shape) -> Shape:
        """Returns the shape behind it."""
        return tuple(before[axis] for axis in self.axes)


@dataclass(frozen=True)
class Reshaped:
    """The values one after the other in another shape."""

    sizes: Shape

    def shape(self, _: Shape) -> Shape:
        """Returns the shape behind it."""
        return self.sizes


@dataclass(frozen=True)
class Padded:
    """Values of one number around, or those inside mirrored at the edges: (before, behind) of every axis."""

    pads: tuple[tuple[int, int], ...]
    value: float = 0.0
    mirrors: bool = False

    @property
    def operator(self) -> str:
        """The runtime's."""
        return "MIRROR_PAD" if self.mirrors else "PADV2" if self.value else "PAD"

    def shape(self, before: Shape) -> Shape:
        """Returns the shape behind it."""
        return tuple(size + sum(pair) for size, pair in zip(before, self.pads, strict=True))


Move = Parts | Permuted | Reshaped | Padded


def moves_of(call: Callable[[Tensor], Any], shape: Shape) -> tuple[Move, ...] | None:
    """Returns the moves that a call makes of a tensor, none for the identity; None for any other call.

    A view has the strides of the tensor that it is of, so strides and offset say which elements it has,
    whatever the call is named and however its options are written.

    Args:
        call: of a tensor [2, *shape]; the first axis, the batch, must stay as it is.
        shape: without the batch.
    """
    whole = torch.empty(BATCH, *shape, device="meta")
    found = call(whole)
    if not isinstance(found, Tensor) or found.dtype != whole.dtype or found.shape[:1] != (BATCH,):
        return None
    if found.untyped_storage()._cdata != whole.untyped_storage()._cdata or found.stride(0) != prod(shape):
        return None
    sizes, strides, offset = tuple(found.shape[1:]), found.stride()[1:], int(found.storage_offset())
    if sizes == shape and found.is_contiguous():
        return ()
    if found.is_contiguous() and prod(sizes) == prod(shape):
        return (Reshaped(sizes),)
    return _decoded(shape, sizes, strides, offset)


def _decoded(before: Shape, sizes: Shape, strides: tuple[int, ...], offset: int) -> tuple[Move, ...] | None:
    """Parts of axes, in another order, perhaps with axes of size 1 that are new or gone."""
    steps = [prod(before[axis + 1 :]) for axis in range(len(before))]
    parts = [(offset // step % size, 1, 1) for step, size in zip(steps, before, strict=True)]
    order: list[int | None] = []
    for size, stride in zip(sizes, strides, strict=True):
        of = [axis for axis, step in enumerate(steps) if step <= stride < step * before[axis]]
        if size == 1:
            order.append(None)
        elif len(of) != 1 or stride % steps[of[0]] or of[0] in order:
            return None  # the same values at several places, or windows that overlap
        else:
            parts[of[0]] = (parts[of[0]][0], size, stride // steps[of[0]])
            order.append(of[0])
    for (first, count, step), size in zip(parts, before, strict=True):
        if first + (count - 1) * step >= size:
            return None  # from one row into the next
    single = [axis for axis in range(len(before)) if axis not in order]
    if order.count(None) == len(single):
        axes, end = [single.pop(0) if axis is None else axis for axis in order], None
    else:
        kept, end = [axis for axis in order if axis is not None], Reshaped(sizes)
        # axes of size 1 may lie anywhere
        axes = sorted([*kept, *single]) if kept == sorted(kept) else [*kept, *single]
    moves: list[Move] = []
    if tuple(parts) != tuple((0, size, 1) for size in before):
        moves.append(Parts(tuple(parts)))
    if axes != sorted(axes):
        moves.append(Permuted(tuple(axes)))
    return (*moves, end) if end else tuple(moves)


def _shuffled(shape: Shape, groups: int) -> tuple[Move, ...]:
    """Returns the moves of a channel shuffle: channels of groups in turns (Zhang et al. 2018, figure 1)."""
    channels, *rest = shape
    axes = tuple(range(2, len(shape) + 1))
    return (
        Reshaped((groups, channels // groups, *rest)), Permuted((1, 0, *axes)), Reshaped(shape),
    )  # fmt: skip


def _channels_to_space(shape: Shape, factor: int) -> tuple[Move, ...]:
    """Returns the moves of a pixel shuffle (Shi et al. 2016, equation 4): (C r r, H, W) to (C, H r, W r)."""
    channels, height, width = shape
    made = channels // factor**2
    return (
        Reshaped((made, factor, factor, height, width)),
        Permuted((0, 3, 1, 4, 2)),
        Reshaped((made, height * factor, width * factor)),
    )


def _space_to_channels(shape: Shape, factor: int) -> tuple[Move, ...]:
    """Returns the moves of what undoes a pixel shuffle: (C, H r, W r) to (C r r, H, W)."""
    channels, height, width = (shape[0], shape[1] // factor, shape[2] // factor)
    return (
        Reshaped((channels, height, factor, width, factor)),
        Permuted((0, 2, 4, 1, 3)),
        Reshaped((channels * factor**2, height, width)),
    )


def shuffled_by(module: nn.Module | None, shape: Shape) -> tuple[Move, ...] | None:
    """Returns the moves of torch's shuffles of channels or pixels, None for other modules or shapes.

    Args:
        module: the one that shuffles, or stands for a call that does.
        shape: of maps.
    """
    if isinstance(module, nn.ChannelShuffle):
        return _shuffled(shape, module.groups)
    if len(shape) != 3:
        return None
    if isinstance(module, nn.PixelShuffle):
        return _channels_to_space(shape, module.upscale_factor)
    if isinstance(module, nn.PixelUnshuffle):
        return _space_to_channels(shape, module.downscale_factor)
    return None


def padded_by(node: fx.Node, module: nn.Module | None, shape: Shape) -> tuple[Move, ...] | None:
    """Returns the moves of a padding with one number or with what is inside mirrored at the edges.

    None for other ways of padding, and where it cuts off or pads the batch.

    Args:
        node: the call.
        module: the module that it calls, None for a function.
        shape: of what it reads.
    """
    pads: Any
    if module is None:
        pads = node.args[1] if len(node.args) > 1 else node.kwargs["pad"]
        mode = node.args[2] if len(node.args) > 2 else node.kwargs.get("mode", "constant")
        value = node.args[3] if len(node.args) > 3 else node.kwargs.get("value")
    else:
        mirrors = isinstance(module, nn.ReflectionPad1d | nn.ReflectionPad2d)
        mode = "reflect" if mirrors else "constant"
        pads, value = module.padding, getattr(module, "value", 0.0)
    rank = len(pads) // 2
    if rank > len(shape) or not all(isinstance(pad, int) and pad >= 0 for pad in pads):
        return None
    if mode not in ("constant", "reflect"):
        return None
    if not any(pads):
        return ()
    around = tuple((pads[2 * at], pads[2 * at + 1]) for at in reversed(range(rank)))  # the last axis first
    number = float(value) if isinstance(value, int | float) else 0.0
    return (Padded(((0, 0),) * (len(shape) - rank) + around, number, mirrors=mode == "reflect"),)
