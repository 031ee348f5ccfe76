"""A grid: weights that are whole multiples of a step."""

from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from ..kernels.affine import Calibration, affine_scale, integer_range, symmetric_levels, symmetric_scale
from .weight_constraint import WeightConstraint, straight_through

Scheme = Literal["symmetric", "affine"]


class WeightGrid(WeightConstraint):
    """Rounds each weight to q * scale (THESIS eqs. 1-2).

    q lies in [-Q, Q], Q = 2^(bits-1) - 1, on a symmetric grid; an affine one has all 2^bits integers, moved
    by a whole zero point, so that zero lies on it too.

    The scale is trained with the weights (learned step size quantization, Esser et al. 2020): its gradient
    comes from the rounding error inside the range and from the clipped level outside. What an optimiser moves
    is the scale relative to its start: Adam moves every parameter by about its learning rate a step, and a
    scale of 0.002 would be thrown about by steps of 0.001 (the reason why Jain et al. 2020, TQT, train
    thresholds in the log domain; a product is exact on every machine, an exponential is not). A zero point
    stands still: it is a whole number.

    Args:
        scale: [out, 1, ...] or [1, 1, ...], positive.
        bits: 2 to 8.
        zero_point: of the scale's shape, whole, the integer that means zero; None for a symmetric grid.
        calibration: how the scale was found, and will be on another weight tensor.
        trained: whether the scale moves in training; without, weights alone are trained, straight-through.
        least: whether the grid stands in a plan for itself and wider ones, and is priced as the fastest.
    """

    kind = "grid"
    on_decomposition = "imposed anew"
    start: Tensor
    zero_point: Tensor | None

    def __init__(
        self,
        scale: Tensor,
        bits: int,
        zero_point: Tensor | None = None,
        calibration: Calibration = "auto",
        trained: bool = True,
        least: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("start", scale.detach().clone())
        self.register_buffer("zero_point", None if zero_point is None else zero_point.detach().clone())
        self.relative = nn.Parameter(scale.new_ones(scale.shape), requires_grad=trained)
        self.bits = bits
        self.calibration = calibration
        self.least = least

    @property
    def scale(self) -> Tensor:
        """[out, 1, ...] or [1, 1, ...], as trained."""
        return self.start * self.relative

    @property
    def per_channel(self) -> bool:
        """Whether each output channel has a scale of its own."""
        return self.start.shape[0] > 1

    @property
    def affine(self) -> bool:
        """Whether there is a zero point."""
        return self.zero_point is not None

    @property
    def levels(self) -> int:
        """How many values a weight may take."""
        return 2**self.bits if self.affine else 2 * symmetric_levels(self.bits) + 1

    def positive_scale(self) -> Tensor:
        """Returns the scale, kept away from zero."""
        return self.scale.abs().clamp_min(1e-8)

    def integers(self, weight: Tensor) -> Tensor:
        """Returns q for every weight, as float: 0 means zero on an affine grid too."""
        return self._clipped(torch.round(weight / self.positive_scale()))

    def _clipped(self, position: Tensor) -> Tensor:
        if self.zero_point is None:
            levels = symmetric_levels(self.bits)
            return position.clamp(-levels, levels)
        least, most = integer_range(self.bits)
        return position.clamp(least - self.zero_point, most - self.zero_point)

    def forward(self, weight: Tensor) -> Tensor:
        # LSQ's gradient scale keeps the steps' updates in proportion to the weights'
        gain = (weight.numel() / self.start.numel() * symmetric_levels(self.bits)) ** -0.5
        scale = self.positive_scale()
        scale = straight_through(scale.detach(), scale * gain)
        position = self._clipped(weight / scale)
        return straight_through(torch.round(position), position) * scale

    def spec(self) -> dict[str, Any]:
        spec = {"kind": self.kind, "bits": self.bits, "per_channel": self.per_channel, **self._choices()}
        # networks written before there was a choice do not name it
        return {key: value for key, value in spec.items() if _DEFAULTS.get(key) != value}

    def _choices(self) -> dict[str, Any]:
        return {
            "scheme": "affine" if self.affine else "symmetric",
            "calibration": self.calibration,
            "trained": self.relative.requires_grad,
            "least": self.least,
        }

    @classmethod
    def fit(
        cls,
        weight: Tensor,
        bits: int,
        per_channel: bool = True,
        scheme: Scheme = "symmetric",
        calibration: Calibration = "auto",
        trained: bool = True,
        least: bool = False,
    ) -> Self:
        """Fits scale and zero point to a weight tensor; see `symmetric_scale` and `affine_scale`."""
        choices = {"scheme": scheme, "calibration": calibration, "trained": trained, "least": least}
        if weight.is_meta:
            return cls.from_spec(
                {"bits": bits, "per_channel": per_channel, **choices}, weight.shape, weight.device
            )
        weight, zero_point = weight.detach(), None
        if scheme == "affine":
            scale, zero_point = affine_scale(weight, bits, per_channel, calibration)
        else:
            scale = symmetric_scale(weight, bits, per_channel, calibration)
        return cls(scale, bits, zero_point, calibration, trained, least)

    @classmethod
    def from_spec(cls, spec: dict[str, Any], shape: torch.Size, device: torch.device) -> Self:
        spec = {**_DEFAULTS, **spec}
        channels = shape[0] if spec["per_channel"] else 1
        scale = torch.ones(channels, *[1] * (len(shape) - 1), device=device)
        zero_point = scale.new_zeros(scale.shape) if spec["scheme"] == "affine" else None
        return cls(scale, spec["bits"], zero_point, spec["calibration"], spec["trained"], spec["least"])

    def anew(self, weight: Tensor, per_channel: bool | None = None) -> "WeightGrid":
        """Returns the same demand on another weight tensor, with one scale for all channels if told so."""
        per_channel = self.per_channel if per_channel is None else per_channel
        return WeightGrid.fit(weight, self.bits, per_channel, **self._choices())


#: what a specification does not name
_DEFAULTS: dict[str, Any] = {"scheme": "symmetric", "calibration": "auto", "trained": True, "least": False}
