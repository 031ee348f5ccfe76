"""How LiteRT's integer kernels round what they accumulate: what the simulation in real numbers leaves out.

With its default delegate (measured on every kernel here, LiteRT 2.3 on x86-64; the tests hold it):

- A bias is a whole number of steps s_in * s_w, coarse beside weights of few bits.
- XNNPACK rounds acc * s_in * s_w / s_out once, to even. It takes all int8 weights, int4 dense layers with an
  even number of inputs, and int2 ones with a multiple of four and a scale per channel.
- The plain kernels take the rest and round twice (Jacob et al. 2018, appendix B): with
  s_in * s_w / s_out = f / 2^r, f in [1/2, 1), first acc * f, then that divided by 2^r, halves up. Since
  floor(floor(a) / n) = floor(a / n) the two are one rounding of acc * f / 2^r + 1 / 2^(r + 1). Grouped
  convolutions, and those channels of depthwise ones that fill no block of eight, do so with the magnitude.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .file_model import FileModel, OperatorEntry, TensorEntry

KERNELS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
#: channels that the plain depthwise kernel computes at once
DEPTHWISE_BLOCK = 8


@dataclass(frozen=True)
class KernelRounding:
    """The rounding of one kernel, applied to its result in real numbers before that goes on its grid.

    Args:
        scale: step of the result's grid.
        zero_point: of the result's grid.
        bias: [channels], float64, as the file holds it: a whole number of steps; None for none.
        shift: [channels], 1 / 2^(r + 1) in steps of the grid, where the kernel rounds twice; else None.
        by_magnitude: [channels], whether it does so on the magnitude.
        moved: [channels], the file's bias less the network's, where they differ; else None.
    """

    scale: float
    zero_point: int
    bias: Tensor | None
    shift: Tensor | None
    by_magnitude: Tensor | None
    moved: Tensor | None = None

    @property
    def changes_nothing(self) -> bool:
        """Whether the grid alone rounds as the kernel does."""
        return self.moved is None and self.shift is None

    @classmethod
    def of(cls, model: FileModel, operator: OperatorEntry) -> "KernelRounding | None":
        """Returns the rounding of an operator, None where it is no such kernel or runs on float."""
        if operator.name not in KERNELS:
            return None
        places = [model.tensors[index] if index >= 0 else None for index in operator.inputs]
        if operator.name == "TRANSPOSE_CONV":
            _, weight, source, *rest = places
        else:
            source, weight, *rest = places
        target, bias = model.tensors[operator.outputs[0]], rest[0] if rest else None
        assert source is not None and weight is not None
        if source.grid is None or target.grid is None or weight.scales is None:
            return None
        channels = weight.shape[weight.channel_axis]
        steps = np.float32(source.grid.scale) * np.broadcast_to(weight.scales, channels)
        ratio = steps.astype(np.float64) / np.float64(np.float32(target.grid.scale))
        twice = not _rounds_once(operator, weight)
        shift = torch.from_numpy(_half_of_the_last_bit(ratio)) if twice else None
        return cls(
            target.grid.scale,
            target.grid.zero_point,
            None if bias is None else torch.from_numpy(_whole_numbers(bias) * steps.astype(np.float64)),
            shift,
            _by_magnitude(operator, source, weight) if twice else None,
        )

    def beside(self, bias: np.ndarray | None) -> "KernelRounding":
        """Returns the rounding of a kernel whose bias is, in the network, [channels] or None."""
        if bias is None or self.bias is None:
            return self
        return replace(self, moved=(self.bias - torch.from_numpy(bias)).float())

    def __call__(self, y: Tensor, axis: int) -> Tensor:
        """Returns what the kernel gives for a result in real numbers, not yet cut off at the grid's ends.

        Args:
            y: the exact result, any shape.
            axis: of the channels, each of which may come several times in a row.
        """
        if self.moved is not None:
            y = y + _along(self.moved, y, axis)
        if self.shift is None:
            return y
        shift = _along(self.shift, y, axis).add(0.5)
        position = y / self.scale
        if self.by_magnitude is None:
            return position.add_(shift).floor_().mul_(self.scale)
        away = position.abs().add_(shift).floor_().mul_(position.sign())
        up = position.add_(shift).floor_()
        return torch.where(_along(self.by_magnitude, y, axis), away, up).mul_(self.scale)

    def on_grid(self, y: Tensor, axis: int) -> Tensor:
        """Returns the same on the kernel's grid, cut off at its ends."""
        steps = torch.round(self(y, axis) / self.scale)
        return steps.clamp_(-128 - self.zero_point, 127 - self.zero_point).mul_(self.scale)


def _rounds_once(operator: OperatorEntry, weight: TensorEntry) -> bool:
    if weight.dtype == "int8":
        return True
    if operator.name != "FULLY_CONNECTED":
        return False
    outputs, inputs = weight.shape
    if weight.dtype == "int4":
        return inputs % 2 == 0
    return inputs % 4 == 0 and weight.scales is not None and len(weight.scales) == outputs


def _whole_numbers(bias: TensorEntry) -> np.ndarray:
    return np.frombuffer(bias.data, np.int32)


def _half_of_the_last_bit(ratio: np.ndarray) -> np.ndarray:
    """1 / 2^(r + 1) of each ratio f / 2^r; 0 where nothing is shifted out."""
    shifted_out = np.maximum(-np.frexp(ratio)[1], 0)
    return np.where(shifted_out > 0, np.exp2(-1.0 - shifted_out), 0.0).astype(np.float32)


def _by_magnitude(operator: OperatorEntry, source: TensorEntry, weight: TensorEntry) -> Tensor | None:
    channels = weight.shape[weight.channel_axis]
    if operator.name == "DEPTHWISE_CONV_2D":
        found = torch.arange(channels) >= channels - channels % DEPTHWISE_BLOCK
    else:
        grouped = operator.name == "CONV_2D" and weight.shape[3] != source.shape[-1]
        found = torch.full((channels,), grouped)
    return found if found.any() else None


def _along(values: Tensor, y: Tensor, axis: int) -> Tensor:
    """Values a channel, shaped for an axis of a tensor."""
    size = y.shape[axis]
    repeated = values.to(y.device).repeat_interleave(size // len(values))
    shape = [1] * y.dim()
    shape[axis] = size
    return repeated.reshape(shape)
