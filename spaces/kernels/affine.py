"""Uniform quantizers: scales, zero points and levels, symmetric or affine."""

from typing import Literal

import torch
from torch import Tensor

from .calibration import PERCENTILE, Method, best_fraction, percentile, value_range

#: how the range of a weight tensor is found; `auto` is min_max at 8 bits and mse below, where clipping pays
Calibration = Literal["auto", "min_max", "percentile", "mse"]
#: a range of nothing still needs a step
SMALLEST_SCALE = 1e-8


def symmetric_levels(bits: int) -> int:
    """Returns Q = 2^(bits-1) - 1, the largest level of a symmetric grid.

    The papers print (2^7 - 1)/2 for 8 bits; the standard Q is used (THESIS eq. 2).

    >>> symmetric_levels(8), symmetric_levels(2)
    (127, 1)
    """
    return 2 ** (bits - 1) - 1


def integer_range(bits: int) -> tuple[int, int]:
    """Returns the least and the largest signed integer of that width."""
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def weight_method(calibration: Calibration, bits: int) -> Method:
    """Returns how the range of a weight tensor is found: `auto` depends on the width."""
    if calibration == "auto":
        return "mse" if bits < 8 else "min_max"
    return calibration


def symmetric_scale(
    weight: Tensor, bits: int, per_channel: bool, calibration: Calibration = "auto"
) -> Tensor:
    """Returns the scale of a symmetric grid for a weight tensor.

    Args:
        weight: [out, ...].
        bits: 2 to 8.
        per_channel: one scale an output channel, or one for all.
        calibration: `min_max` puts the largest weight on the last level, `percentile` the 99.9th percentile
            of |w|; `mse` takes the one of 32 fractions of that scale with the least squared rounding error.

    Returns:
        [out, 1, ...] or [1, 1, ...], positive.
    """
    rows, levels = _rows(weight, per_channel), symmetric_levels(bits)
    method = weight_method(calibration, bits)
    size = rows.abs()
    largest = percentile(size, PERCENTILE) if method == "percentile" else size.amax(dim=1, keepdim=True)
    scale = largest.clamp_min(SMALLEST_SCALE) / levels
    if method == "mse":
        full = scale
        scale = full * best_fraction(rows, lambda share: quantize_symmetric(rows, full * share, bits))
    return scale.reshape(-1, *[1] * (weight.dim() - 1))


def affine_scale(
    weight: Tensor, bits: int, per_channel: bool, calibration: Calibration = "auto"
) -> tuple[Tensor, Tensor]:
    """Returns scale and zero point of an affine grid of 2^bits levels for a weight tensor (THESIS §2.1.1).

    Args:
        weight: [out, ...].
        bits: 2 to 8.
        per_channel: one scale and zero point an output channel, or one for all.
        calibration: see `value_range`; `auto` as for symmetric grids.

    Returns:
        scale (positive) and zero point (whole numbers), both [out, 1, ...] or [1, 1, ...]; zero lies on the
        grid, so that masks hold.
    """
    rows = _rows(weight, per_channel)

    def rounded(low: Tensor, high: Tensor) -> Tensor:
        return quantize_affine(rows, *asymmetric_scale(low, high, bits), bits)

    scale, zero_point = asymmetric_scale(*value_range(rows, weight_method(calibration, bits), rounded), bits)
    shape = (-1, *[1] * (weight.dim() - 1))
    return scale.reshape(shape), zero_point.reshape(shape)


def _rows(weight: Tensor, per_channel: bool) -> Tensor:
    return weight.reshape(weight.shape[0], -1) if per_channel else weight.reshape(1, -1)


def quantize_symmetric(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Returns the nearest point of the grid: round(w / scale) clipped to +-Q, times scale."""
    levels = symmetric_levels(bits)
    return torch.round(weight / scale).clamp(-levels, levels) * scale


def quantize_affine(values: Tensor, scale: Tensor, zero_point: Tensor, bits: int) -> Tensor:
    """Returns the nearest point of the grid: round(x / scale) clipped to the integers less z, times scale."""
    least, most = integer_range(bits)
    return torch.round(values / scale).clamp(least - zero_point, most - zero_point) * scale


def asymmetric_scale(low: Tensor, high: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Returns scale and zero point of a signed grid that covers [low, high] and holds zero exactly.

    Args:
        low, high: of one shape, low <= high; the range is widened to hold zero.
        bits: width of the signed integers.

    Returns:
        scale (positive) and zero point (a whole number in the integers' range), float, of that shape.
    """
    least, most = integer_range(bits)
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    scale = ((high - low) / (most - least)).clamp_min(SMALLEST_SCALE)
    zero_point = torch.round(least - low / scale).clamp(least, most)
    return scale, zero_point


@torch.no_grad()
def quantize_as_it_runs(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Rounds an activation to 8 bits as LiteRT's dynamic-range kernels do while they run.

    The range is that of the values themselves, widened to hold zero, in 255 steps; the zero point comes from
    the end of the range where it is off by less (XNNPACK's qd8; the plain kernels agree where they are told
    to take asymmetric inputs).

    Args:
        x: any shape.
        dims: the dimensions over which one range is taken (all but the batch for a convolution, the last for
            a dense layer).
    """
    least, most = integer_range(8)
    low = x.amin(dim=dims, keepdim=True).clamp(max=0.0)
    high = x.amax(dim=dims, keepdim=True).clamp(min=0.0)
    steps_per_unit = torch.where(high > low, (most - least) / (high - low), 1.0)
    low, high = low * steps_per_unit, high * steps_per_unit
    zero_point = torch.where(least + low + most + high > 0, least - low, most - high)
    zero_point = torch.round(zero_point.clamp(least, most))
    steps = torch.round(x * steps_per_unit) + zero_point
    return (steps.clamp(least, most) - zero_point) / steps_per_unit
