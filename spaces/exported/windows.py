"""Windows over maps, means over axes, maps in other sizes, in their one spelling."""

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from .options import Read, axes_of, pair, trimmed
from .reading import Site

# Over windows and axes -------------------------------------------------------------------------------


def max_pool(function: Callable[..., Any], axes: int) -> Read:
    def read(site: Site) -> Any:
        size = pair(site["kernel_size"], axes)
        options = (
            pair(site["stride"], axes) or size,
            pair(site["padding"], axes),
            pair(site["dilation"], axes),
            site["ceil_mode"],
        )
        given = trimmed(*options, defaults=((0,) * axes, (1,) * axes, False))
        result = site.call(function, site["self"], size, *given)
        return (result,) if site.operation.endswith("with_indices") else result

    return read


def avg_pool(function: Callable[..., Any], axes: int) -> Read:
    def read(site: Site) -> Any:
        size = pair(site["kernel_size"], axes)
        options = [
            pair(site["stride"], axes) or size,
            pair(site["padding"], axes),
            site["ceil_mode"],
            site["count_include_pad"],
            site.given.get("divisor_override"),
        ]
        given = trimmed(*options, defaults=((0,) * axes, False, True, None))
        return site.call(function, site["self"], size, *given)

    return read


def adaptive(function: Callable[..., Any], axes: int) -> Read:
    def read(site: Site) -> Any:
        result = site.call(function, site["self"], pair(site["output_size"], axes))
        return (result,) if "max" in site.operation else result

    return read


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
    value = 0.0 if site["value"] is None else site["value"]
    return site.call(F.pad, site["self"], pads, *trimmed(mode, value, defaults=("constant", 0.0)))
