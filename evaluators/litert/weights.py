"""Weights of one layer on their way into the file: folded, laid out, in the narrowest exact type."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from ...spaces.layers.factor import Factor
from ...spaces.layers.half import LARGEST, Half
from ...spaces.layers.norm import Norm
from . import operators
from .likely import LikelyIntegers
from .support import LARGEST_RATIO, WeightedOperator, reads_bias_scales, weight_type
from .tensors import TensorGrid
from .writer import TfliteModel

# A bias is int32; half of its range keeps room for the accumulated products.
LARGEST_BIAS = 2**30
# Axis of the output channels in the runtime's layouts of [out, in, ...] weights.
_LAYOUTS: dict[WeightedOperator, tuple[tuple[int, ...], int]] = {
    "conv": ((0, 2, 3, 1), 0),
    "depthwise": ((1, 2, 3, 0), 3),
    "dense": ((0, 1), 0),
    "transposed": ((0, 2, 3, 1), 0),
}


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """The values of a tensor; zeros on the meta device, where there are none."""
    if tensor.is_meta:
        return np.zeros(tuple(tensor.shape), np.float32)
    return tensor.detach().cpu().numpy()


def folded_bias(bias: np.ndarray | None, norm: Norm) -> np.ndarray:
    """The bias [out], float64, of a layer followed by ``norm``."""
    gain, shift = (to_numpy(part).astype(np.float64) for part in norm.scale_and_shift())
    return shift if bias is None else bias * gain + shift


@dataclass(frozen=True)
class Weights:
    """Weight and bias of a layer.

    Args:
        values: [out, in, ...]; real values, or integers where ``scale`` is given.
        scale: [out] or [1]; None for real values.
        bits: width of the integers; of real values, 32 or 16 for half precision.
        bias: [out] real values, or None.
        zero_point: [out] or [1], the integers that mean zero; None where all are 0.
        likely: how a plan's integers will be distributed, who has no values; None where they are known.
    """

    values: np.ndarray
    scale: np.ndarray | None
    bits: int
    bias: np.ndarray | None
    zero_point: np.ndarray | None = None
    likely: LikelyIntegers | None = None

    @classmethod
    def of(cls, factor: Factor, bias: torch.Tensor | None) -> "Weights":
        """The effective weight of a factor: as integers where it is exactly that, else as float."""
        real_bias = None if bias is None else to_numpy(bias).astype(np.float64)
        integers = factor.integers()
        if integers is None:
            bits = 16 if factor.find(Half) is not None else 32
            return cls(to_numpy(factor.effective()), None, bits, real_bias)
        scale = to_numpy(integers.scale).astype(np.float64)
        zero_point = None if integers.zero_point is None else to_numpy(integers.zero_point)
        likely = LikelyIntegers.of(factor) if factor.device.type == "meta" else None
        return cls(to_numpy(integers.values), scale, integers.bits, real_bias, zero_point, likely)

    def folded(self, norm: Norm) -> "Weights":
        """The same layer followed by ``norm``: integers change at most their sign, scales take the gain.

        Half precision is rounded again: the file holds the nearest to the weights times the gain.
        """
        gain, bias = to_numpy(norm.scale_and_shift()[0]).astype(np.float64), folded_bias(self.bias, norm)
        spread = gain.reshape(-1, *[1] * (self.values.ndim - 1))
        if self.scale is None:
            return replace(self, values=(self.values * spread).astype(np.float32), bias=bias)
        folded = replace(self, scale=self.scale * np.where(gain == 0, 1.0, np.abs(gain)), bias=bias)
        if self.zero_point is None:
            return replace(folded, values=self.values * np.sign(spread))
        # -(v - z) = ~v - ~z, and ~v has as many bits as v
        values, points = self.values.astype(np.int8), self.zero_point.astype(np.int8)
        points = np.where(gain < 0, ~points, points)
        mirrored = np.where(spread < 0, ~values, values)
        zeros = points.reshape(-1, *[1] * (values.ndim - 1))
        return replace(folded, values=np.where(spread == 0, zeros, mirrored), zero_point=points)

    def with_columns(self, order: np.ndarray) -> "Weights":
        """The same dense weights for inputs that come in another order."""
        return replace(self, values=self.values[:, order])

    def int8_kernel_fits(self, source: TensorGrid | None, target: TensorGrid | None) -> bool:
        """Whether the layer can run on int8 activations from grid ``source`` to grid ``target``."""
        if self.scale is None or self.zero_point is not None or source is None or target is None:
            return False
        steps = source.scale * self._scale_with_room(self.scale, source)
        bias = np.zeros(1) if self.bias is None else np.abs(self.bias)
        return bool(np.all(steps < LARGEST_RATIO * target.scale) and np.all(bias < LARGEST_BIAS * steps))

    def _scale_with_room(self, scale: np.ndarray, source: TensorGrid) -> np.ndarray:
        """The scale, larger for channels of zeros so that their bias fits: they do not need it."""
        if self.bias is None or scale.size == 1:
            return scale
        empty = ~self.values.reshape(len(self.values), -1).any(axis=1)
        return np.where(empty, np.maximum(scale, np.abs(self.bias) / (source.scale * 2**20)), scale)

    def add_to(
        self, model: TfliteModel, operator: WeightedOperator, source: TensorGrid | None, dynamic: bool = False
    ) -> tuple[int, int]:
        """Adds weight and bias as constants; returns their indices, what the operator takes as inputs.

        Args:
            model: where to.
            operator: which kernel they are for.
            source: grid of the int8 activations; None for float activations, for which a DEQUANTIZE in the
                file widens the integers.
            dynamic: whether the kernel takes integers beside float activations, which it rounds as it runs.
        """
        order, axis = _LAYOUTS[operator]
        stored = self.likely.drawn(self.values.shape) if self.likely and model.drawn else self.values
        values = stored.transpose(order)
        bias = np.zeros(len(self.values)) if self.bias is None else self.bias
        no_bias = self.bias is None and operator == "dense"  # convolutions must have one
        if source is not None and self.scale is not None:
            scale = self._scale_with_room(self.scale, source).astype(np.float32)
            dtype = weight_type(operator, self.bits, True)
            weight = model.add_constant(values, dtype, scale, axis)
            steps = np.float32(source.scale) * scale  # in float32, as the runtime multiplies them
            # zeros are zeros on any scale, and those of the weights are in the file
            own = scale if self.bias is None else steps
            read = own if reads_bias_scales(operator, dtype) else None
            data: tuple[np.ndarray, str, np.ndarray | None] = np.rint(bias / steps), "int32", read
        elif self.scale is not None:
            scale, dtype = self.scale, weight_type(operator, self.bits, False)
            if dynamic:
                scale = _one_a_channel(scale, len(self.values))
            weight = model.add_constant(values, dtype, scale, axis, zero_points=self.zero_point)
            if not dynamic:
                weight = operators.dequantize(model, weight)
            data = bias, "float32", None
        elif self.bits == 16:
            halves = values.clip(-LARGEST, LARGEST).astype(np.float16)
            weight = operators.dequantize(model, model.add_constant(halves, "float16"))
            data = bias, "float32", None
        else:
            weight = model.add_constant(values, "float32")
            data = bias, "float32", None
        if no_bias:
            return weight, operators.NO_TENSOR
        return weight, model.add_constant(*data, structural=self.bias is None)


def _one_a_channel(scale: np.ndarray, channels: int) -> np.ndarray:
    """Scales [channels] that are not all equal in float32, for kernels that round activations as they run.

    With one scale for all, or equal ones, the plain convolution rounds them on a symmetric grid instead
    (LiteRT, tflite/kernels/conv.cc: hybrid per channel only where two scales differ).
    """
    scales = np.broadcast_to(scale, channels).astype(np.float32)
    if channels > 1 and np.all(scales == scales[0]):
        scales[-1] = np.nextafter(scales[-1], np.float32(0))
    return scales
