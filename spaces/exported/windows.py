"""Windows over maps, means over axes, maps in other sizes, in their one spelling."""

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from ..layers.pooling import even_pooling, pooling
from .options import Read, axes_of, pair, trimmed
from .reading import Constant, Site

#: below every number that a network computes, and finite, as JSON wants it
LOWEST = float(torch.finfo(torch.float32).min)

# Over windows and axes -------------------------------------------------------------------------------


def max_pool(function: Callable[..., Any], axes: int) -> Read:
    def read(site: Site) -> Any:
        size = pair(site["kernel_size"], axes)
        if any(hole > 1 < one for hole, one in zip(pair(site["dilation"], axes), size, strict=True)):
            result = _with_holes(site, axes, size)
            return (result,) if site.operation.endswith("with_indices") else result
        options = (
            pair(site["stride"], axes) or size,
            pair(site["padding"], axes),
            (1,) * axes,
            site["ceil_mode"],
        )
        given = trimmed(*options, defaults=((0,) * axes, (1,) * axes, False))
        result = site.call(function, site["self"], size, *given)
        return (result,) if site.operation.endswith("with_indices") else result

    return read


def avg_pool(function: Callable[..., Any], module: Callable[..., Any], axes: int) -> Read:
    """Returns what reads an average over windows.

    Args:
        function, module: the pooling.
        axes: of its maps.
    """

    def read(site: Site) -> Any:
        size = pair(site["kernel_size"], axes)
        stride, padding = pair(site["stride"], axes) or size, pair(site["padding"], axes)
        options: dict[str, Any] = {name: site[name] for name in ("ceil_mode", "count_include_pad")}
        if site.given.get("divisor_override"):
            options["divisor_override"] = site["divisor_override"]
        asked = module(size, stride, padding, **options)
        if pooling(asked, site.shape[-axes:], site.result[-axes:]) is None:
            return _by_shares(site, function, asked, axes)
        given = trimmed(stride, padding, *options.values(), defaults=((0,) * axes, False, True))
        return site.call(function, site["self"], size, *given)

    return read


def _by_shares(site: Site, function: Callable[..., Any], asked: Any, axes: int) -> fx.Node:
    """Reads an average of another number of values than a window has places: whole windows, times a share."""
    pads: list[int] = []
    windows = (asked.kernel_size, asked.stride, asked.padding, site.shape[-axes:], site.result[-axes:])
    for length, stride, zeros, before, after in zip(*windows, strict=True):
        pads = [zeros, max((after - 1) * stride + length - before - zeros, 0), *pads]  # the last axis first
    ones = torch.ones(1, 1, *site.shape[-axes:], device=site.reading.device)
    share = asked(ones) / function(F.pad(ones, pads), asked.kernel_size, asked.stride)
    value = site.call(F.pad, site["self"], tuple(pads)) if any(pads) else site["self"]
    whole = site.call(function, value, asked.kernel_size, asked.stride)
    alike = bool((share == share.flatten()[0]).all())
    return site.call(operator.mul, whole, float(share.flatten()[0]) if alike else Constant(share))


def _with_holes(site: Site, axes: int, size: tuple[int, ...]) -> fx.Node:
    """Reads a max pooling with dilation, axis by axis: the largest of as many parts as a window is long."""
    value, count = site["self"], len(site.shape)
    strides, zeros = pair(site["stride"], axes) or size, pair(site["padding"], axes)
    settings = zip(size, strides, zeros, pair(site["dilation"], axes), strict=True)
    for axis, (length, stride, zero, dilation) in enumerate(settings, count - axes):
        before, after = site.shape[axis], site.result[axis]
        reach = (after - 1) * stride + dilation * (length - 1) + 1
        # with ceil_mode the last window may reach beyond the padding, else it may end before it
        around = (zero, max(reach - zero - before, 0))
        if any(around):
            value = site.call(F.pad, value, (*(0, 0) * (count - 1 - axis), *around), "constant", LOWEST)
        parts = []
        for place in range(length):
            taken = [slice(None)] * count
            first = place * dilation
            taken[axis] = slice(first, first + (after - 1) * stride + 1, stride)
            parts.append(site.call(operator.getitem, value, tuple(taken)))
        value = parts[0]
        for one in parts[1:]:
            value = site.call(torch.maximum, value, one)
    return value


def adaptive(function: Callable[..., Any], over_windows: Callable[..., Any], axes: int) -> Read:
    """Returns what reads an adaptive pooling.

    Args:
        function: the pooling.
        over_windows: the same over windows of one size.
        axes: of its maps.
    """

    def read(site: Site) -> Any:
        largest = "max" in site.operation
        sizes = site.shape[-axes:], site.result[-axes:]
        whole = set(sizes[1]) == {1} or sizes[0] == sizes[1]
        if whole or even_pooling(largest, *sizes):
            result = site.call(function, site["self"], pair(site["output_size"], axes))
        else:
            result = _uneven(site, over_windows, axes)
        return (result,) if largest else result

    return read


def _uneven(site: Site, over_windows: Callable[..., Any], axes: int) -> Any:
    """Reads an adaptive pooling over windows of several sizes: along one axis and then along the other."""
    value, count = site["self"], len(site.shape)
    for axis in range(count - axes, count):
        before, after = site.shape[axis], site.result[axis]
        if before == after:
            continue
        parts = []
        for at in range(after):  # windows as torch has them (ATen, AdaptivePooling.h)
            start, stop = at * before // after, -(-(at + 1) * before // after)
            one = (
                value if stop - start == before else site.call(torch.narrow, value, axis, start, stop - start)
            )
            window = tuple(stop - start if other == axis else 1 for other in range(count - axes, count))
            parts.append(one if stop - start == 1 else site.call(over_windows, one, window, window))
        value = parts[0] if len(parts) == 1 else site.call(torch.cat, tuple(parts), axis)
    return value


def over_axes(function: Callable[..., Any]) -> Read:
    """Returns what reads a mean or an extreme over axes."""

    def read(site: Site) -> fx.Node:
        given = trimmed(axes_of(site), site.given.get("keepdim", False), defaults=(False,))
        return site.call(function, site["self"], *given)

    return read


def summed(site: Site) -> fx.Node:
    """Reads a sum over axes: the mean times their size, which has a price and kernels."""
    given = trimmed(axes_of(site), site.given.get("keepdim", False), defaults=(False,))
    return _total(site, site.call(torch.mean, site["self"], *given))


def _total(site: Site, mean: fx.Node) -> fx.Node:
    """Returns the sum over a site's axes from the mean."""
    return site.call(
        operator.mul, mean, float(torch.Size([site.shape[axis] for axis in axes_of(site)]).numel())
    )


def extreme(function: Callable[..., Any]) -> Read:
    """Returns what reads an extreme that also tells where it was."""

    def read(site: Site) -> tuple[fx.Node]:
        given = trimmed(axes_of(site), site["keepdim"], defaults=(False,))
        return (site.call(function, site["self"], *given),)

    return read


def spread_of(root: bool) -> Read:
    """Returns what reads a variance, or a standard deviation."""

    def read(site: Site) -> fx.Node:
        axes, correction = axes_of(site), site.given.get("correction", int(site.given.get("unbiased", True)))
        count = torch.Size([site.shape[axis] for axis in axes]).numel()
        middle = site.call(torch.mean, site["self"], axes, True)
        off = site.call(operator.sub, site["self"], middle)
        keep = trimmed(site["keepdim"], defaults=(False,))
        result = site.call(torch.mean, site.call(operator.mul, off, off), axes, *keep)
        correction = 1 if correction is None else correction
        if correction:
            result = site.call(operator.mul, result, count / (count - correction))
        return site.call(torch.sqrt, result) if root else result

    return read


def length(site: Site) -> fx.Node:
    """Reads a Euclidean length over axes."""
    if site["ord"] != 2:
        raise site.refused(f"calls a norm of order {site['ord']}: allowed is 2")
    square = site.call(operator.mul, site["self"], site["self"])
    keep = trimmed(site["keepdim"], defaults=(False,))
    return site.call(torch.sqrt, _total(site, site.call(torch.mean, square, axes_of(site), *keep)))


def softmax(function: Callable[..., Any]) -> Read:
    return lambda site: site.call(function, site["self"], site["dim"] % len(site.shape))


def interpolated(mode: str) -> Read:
    """Returns what reads a map in another size."""

    def read(site: Site) -> fx.Node:
        before, after = site.shape[2:], site.result[2:]
        factors = site["scale_factors"]
        options: dict[str, Any] = {"mode": mode}
        if site.given.get("align_corners"):
            options["align_corners"] = True
        if factors and any(
            old * factor != new for old, new, factor in zip(before, after, factors, strict=True)
        ):
            return site.call(F.interpolate, site["input"], scale_factor=tuple(factors), **options)
        return site.call(F.interpolate, site["input"], after, **options)

    return read


def padded(site: Site) -> fx.Node:
    pads, mode = tuple(site["pad"]), site["mode"]
    while len(pads) > 2 and pads[-2:] == (0, 0):
        pads = pads[:-2]
    if not any(pads):
        return site["self"]
    if mode in ("replicate", "circular"):
        return _from_inside(site, pads, mode)
    value = 0.0 if site["value"] is None else site["value"]
    return site.call(F.pad, site["self"], pads, *trimmed(mode, value, defaults=("constant", 0.0)))


def _from_inside(site: Site, pads: tuple[int, ...], mode: str) -> Any:
    """Reads a padding by the values at the edges, or by those at the other end, as values side by side."""
    value, sizes = site["self"], list(site.shape)
    for at in range(len(pads) // 2):  # the last axis first
        axis, (before, behind) = len(sizes) - 1 - at, pads[2 * at : 2 * at + 2]
        if min(before, behind) < 0:
            raise site.refused(f"pads by {pads}, in mode {mode}: allowed are numbers from 0 on")
        size, times, counts = sizes[axis], (before, behind), (1, 1)
        if mode == "circular":
            times, counts = (min(before, 1), min(behind, 1)), (before, behind)
        starts = (0, size - 1) if mode == "replicate" else (size - before, 0)
        first, last = (
            [site.call(torch.narrow, value, axis, start, count)] * many if many else []
            for start, count, many in zip(starts, counts, times, strict=True)
        )
        if first or last:
            value = site.call(torch.cat, (*first, value, *last), axis)
        sizes[axis] += before + behind
    return value
