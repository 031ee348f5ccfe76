"""Affine quantizers: scales and levels, symmetric for weights, asymmetric for activations."""

import torch
from torch import Tensor


def symmetric_levels(bits: int) -> int:
    """Returns Q = 2^(bits-1) - 1, the largest level of a symmetric grid.

    The papers print (2^7 - 1)/2 for 8 bits; the standard Q is used (THESIS eq. 2).
    """
    return 2 ** (bits - 1) - 1


def symmetric_scale(weight: Tensor, bits: int, per_channel: bool) -> Tensor:
    """Returns the scale of a symmetric grid for a weight tensor.

    At 8 bits the largest weight sits on the last level; below, clipping pays: the scale is the one of
    32 fractions of that scale with the least squared rounding error.

    Args:
        weight: [out, ...].
        bits: 2 to 8.
        per_channel: one scale an output channel, or one for all.

    Returns:
        [out, 1, ...] or [1, 1, ...], positive.
    """
    rows = weight.reshape(weight.shape[0], -1) if per_channel else weight.reshape(1, -1)
    levels = symmetric_levels(bits)
    largest = rows.abs().amax(dim=1, keepdim=True).clamp_min(1e-8)
    best = largest / levels
    if bits < 8:
        least = torch.full_like(largest, torch.inf)
        for fraction in torch.linspace(0.1, 1.0, 32):
            scale = largest / levels * fraction
            error = (rows - quantize_symmetric(rows, scale, bits)).square().sum(dim=1, keepdim=True)
            best = torch.where(error < least, scale, best)
            least = torch.minimum(error, least)
    return best.reshape(-1, *[1] * (weight.dim() - 1))


def quantize_symmetric(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Returns the nearest point of the grid: round(w / scale) clipped to +-Q, times scale."""
    levels = symmetric_levels(bits)
    return torch.round(weight / scale).clamp(-levels, levels) * scale


def asymmetric_scale(low: Tensor, high: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Returns scale and zero point of a signed grid that covers [low, high] and holds zero exactly.

    Args:
        low, high: scalars, low <= high; the range is widened to hold zero.
        bits: width of the signed integers.

    Returns:
        scale (positive) and zero point (a whole number in the integers' range), both float scalars.
    """
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    scale = ((high - low) / (most - least)).clamp_min(1e-8)
    zero_point = torch.round(least - low / scale).clamp(least, most)
    return scale, zero_point
