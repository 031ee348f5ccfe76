"""The network as others can export it: effective weights in place of constraints and of what only trains.

In arithmetic a weight on a grid is (q - z) s of int8 integers q, and an activation grid is rounding and
clamping: ordinary operations, equal to the network's own. As pairs both are the quantize and dequantize
operations that exporters know (`quantized_decomposed`), so that runtimes with integer kernels find them.
"""

from copy import deepcopy
from typing import Literal

import torch
from torch import Tensor, nn

from ...spaces.kernels.affine import integer_range
from ...spaces.layers.activation_grid import TIE, ActivationGrid
from ...spaces.layers.factor import Factor
from ...spaces.layers.sign import InputSign
from .pairs import dequantized, dequantized_by_channel, quantized

Form = Literal["arithmetic", "pairs"]


def plain_network(network: nn.Module, form: Form) -> nn.Module:
    """Returns a copy that computes the same in evaluation, without parameters to train.

    Args:
        network: adopted or compressed, on a real device.
        form: how integers and grids are written.
    """
    copy = deepcopy(network).eval()
    for module in list(copy.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Factor):
                setattr(module, name, PlainFactor(child, form))
            elif isinstance(child, ActivationGrid):
                setattr(module, name, PlainGrid(child, form))
            elif isinstance(child, InputSign):
                setattr(module, name, PlainSign())
    return copy.requires_grad_(False)


class PlainFactor(Factor):
    """The effective weight of a factor, as int8 integers where it is exactly that."""

    values: Tensor
    scale: Tensor | None
    zero_point: Tensor

    def __init__(self, factor: Factor, form: Form) -> None:
        nn.Module.__init__(self)
        self.raw = None
        self.constraints = nn.ModuleDict()
        self.form = form
        integers = factor.integers()
        values = factor.effective() if integers is None else integers.values
        self.register_buffer("values", values.clone())
        scale = None if integers is None else integers.scale.flatten().clone()
        self.register_buffer("scale", scale)
        if integers is not None and scale is not None:
            points = integers.zero_point
            zeros = torch.zeros_like(scale) if points is None else points.flatten()
            self.register_buffer("zero_point", zeros.long().clone())
            # as numbers, which exporters want where there is one for all channels
            self.step = (float(scale[0]), int(zeros[0]))

    @property
    def shape(self) -> torch.Size:
        return self.values.shape

    @property
    def device(self) -> torch.device:
        return self.values.device

    def forward(self) -> Tensor:
        if self.scale is None:
            return self.values
        if self.form == "pairs":
            if self.scale.numel() == 1:
                return dequantized(self.values, *self.step)
            return dequantized_by_channel(self.values, self.scale, self.zero_point)
        rows = (-1, *[1] * (self.values.dim() - 1))
        return (self.values.float() - self.zero_point.reshape(rows)) * self.scale.reshape(rows)


class PlainGrid(ActivationGrid):
    """An activation grid that stands still."""

    def __init__(self, grid: ActivationGrid, form: Form) -> None:
        nn.Module.__init__(self)
        self.bits, self.form = grid.bits, form
        self.scale, self.zero_point = grid.scale_and_zero_point()

    def forward(self, activation: Tensor) -> Tensor:
        return self.rounded(activation)

    def rounded(self, activation: Tensor, halves_away: bool = False) -> Tensor:
        least, most = integer_range(self.bits)
        if halves_away:  # from between two integers to just behind the middle
            away = (activation / self.scale + self.zero_point).sign()
            activation = activation + away * (TIE * self.scale)
        if self.form == "pairs":
            steps = quantized(activation, self.scale, self.zero_point, least, most)
            return dequantized(steps, self.scale, self.zero_point, least, most)
        position = (activation / self.scale + self.zero_point).clamp(least, most)
        return (position.round() - self.zero_point) * self.scale


class PlainSign(InputSign):
    """-1 or +1 for every activation."""

    def forward(self, activation: Tensor) -> Tensor:
        return torch.where(activation >= 0, 1.0, -1.0)
