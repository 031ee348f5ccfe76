"""A grid: weights that are whole multiples of a trained step."""

from typing import Any, Self

import torch
from torch import Tensor, nn

from ..kernels.affine import symmetric_levels, symmetric_scale
from .constraint import Constraint, straight_through


class Grid(Constraint):
    """Rounds each weight to q * scale, q in [-Q, Q], Q = 2^(bits-1) - 1 (THESIS eqs. 1-2).

    The scale is trained with the weights (learned step size quantization, Esser et al. 2020): its gradient
    comes from the rounding error inside the range and from the clipped level outside. What an optimiser moves
    is the scale relative to its start: Adam moves every parameter by about its learning rate a step, and a
    scale of 0.002 would be thrown about by steps of 0.001 (the reason why Jain et al. 2020, TQT, train
    thresholds in the log domain; a product is exact on every machine, an exponential is not).

    Args:
        scale: [out, 1, ...] or [1, 1, ...], positive.
        bits: 2 to 8.
    """

    kind = "grid"
    on_decomposition = "imposed anew"
    start: Tensor

    def __init__(self, scale: Tensor, bits: int) -> None:
        super().__init__()
        self.register_buffer("start", scale.detach().clone())
        self.relative = nn.Parameter(torch.ones_like(self.start))
        self.bits = bits

    @property
    def scale(self) -> Tensor:
        """[out, 1, ...] or [1, 1, ...], as trained."""
        return self.start * self.relative

    @property
    def per_channel(self) -> bool:
        """Whether each output channel has a scale of its own."""
        return self.start.shape[0] > 1

    def positive_scale(self) -> Tensor:
        """Returns the scale, kept away from zero."""
        return self.scale.abs().clamp_min(1e-8)

    def integers(self, weight: Tensor) -> Tensor:
        """Returns q for every weight, as float."""
        levels = symmetric_levels(self.bits)
        return torch.round(weight / self.positive_scale()).clamp(-levels, levels)

    def forward(self, weight: Tensor) -> Tensor:
        levels = symmetric_levels(self.bits)
        # LSQ's gradient scale keeps the steps' updates in proportion to the weights'
        gain = (weight.numel() / self.start.numel() * levels) ** -0.5
        scale = self.positive_scale()
        scale = straight_through(scale.detach(), scale * gain)
        position = (weight / scale).clamp(-levels, levels)
        return straight_through(torch.round(position), position) * scale

    def spec(self) -> dict[str, Any]:
        return {"kind": self.kind, "bits": self.bits, "per_channel": self.per_channel}

    @classmethod
    def fit(cls, weight: Tensor, bits: int, per_channel: bool = True) -> Self:
        """Fits the scale to a weight tensor, by its largest weight (8 bits) or by squared error (fewer)."""
        if weight.is_meta:
            return cls.from_spec({"bits": bits, "per_channel": per_channel}, weight.shape, weight.device)
        return cls(symmetric_scale(weight.detach(), bits, per_channel), bits)

    @classmethod
    def from_spec(cls, spec: dict[str, Any], shape: torch.Size, device: torch.device) -> Self:
        channels = shape[0] if spec["per_channel"] else 1
        return cls(torch.ones(channels, *[1] * (len(shape) - 1), device=device), spec["bits"])

    def anew(self, weight: Tensor) -> "Grid":
        return Grid.fit(weight, self.bits, self.per_channel)
