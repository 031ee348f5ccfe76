"""A transposed convolution: every value spreads over a window of a larger map or a longer sequence."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar, Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conv import as_map, as_pair
from .cost import OperationCost, weighed
from .factor import Factor
from .layer import new_bias
from .over_maps import MapWindow, OverMaps
from .same_padding import same_padding

Pair = tuple[int, int]


class Written(NamedTuple):
    """How the runtime writes one: the (height, width) that it makes, and where what is wanted begins."""

    padding: Literal["same", "valid"]
    size: Pair
    cut: Pair


@dataclass(frozen=True)
class TransposedWindow(MapWindow):
    """How values spread over a map, (vertical, horizontal); sequences are maps of height 1.

    Args:
        kernel: (kh, kw).
        stride: how far apart the windows of neighbours are.
        padding: rows and columns that are cut off on each side.
        more: rows and columns that are left on below and on the right.
    """

    #: the runtime's kernel reads no narrower integers (TRANSPOSE_CONV, tflite/kernels/transpose_conv.cc)
    narrowest_bits: ClassVar[int] = 8
    #: of channels; the runtime's kernel knows no others
    groups: ClassVar[int] = 1

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    more: Pair = (0, 0)

    @property
    def size(self) -> Pair:
        """(kh, kw), by the name that it has in other windows."""
        return self.kernel

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Returns maps [N, in, h, w], or sequences, spread by a kernel [out, in, kh, kw]."""
        if x.dim() == 3:
            return self.convolve(x[:, :, None], weight, bias)[:, :, 0]
        return F.conv_transpose2d(x, weight.transpose(0, 1), bias, self.stride, self.padding, self.more)

    def output_shape(self, outputs: int, *sizes: int) -> tuple[int, ...]:
        """Returns (outputs, height, width) of what comes out for maps of a height and width, or a length."""
        return outputs, *self.output_size(*as_map(sizes))[-len(sizes) :]

    def cost(
        self,
        weight: Factor,
        biases: int,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        activation_bits: int,
        dynamic: bool = False,
    ) -> OperationCost:
        elements, inputs = weight.shape.numel(), weight.shape[1]
        shapes, positions = (input_shape, output_shape), prod(input_shape[1:])
        found = weighed(
            "conv", weight, self.narrowest_bits, biases, positions, *shapes, activation_bits, dynamic
        )
        return replace(found, reduction=inputs, columns=elements // inputs)

    def output_size(self, height: int, width: int) -> Pair:
        """Returns (height, width) of what comes out for maps of a height and width."""
        axes = zip((height, width), self.kernel, self.stride, self.padding, self.more, strict=True)
        tall, wide = ((n - 1) * s + k - 2 * p + more for n, k, s, p, more in axes)
        return tall, wide

    def as_written(self, height: int, width: int) -> Written:
        """Returns how the runtime makes it: in one operator where "SAME" cuts off as much, else in two."""
        size = self.output_size(height, width)
        axes = list(zip((height, width), size, self.kernel, self.stride, self.padding, strict=True))
        if all(-(-out // s) == n and same_padding(out, k, s)[0] == p for n, out, k, s, p in axes):
            return Written("same", size, (0, 0))
        whole = tuple(max((n - 1) * s + k, p + out) for n, out, k, s, p in axes)
        return Written("valid", (whole[0], whole[1]), self.padding)


class TransposedConv(OverMaps):
    """Transposed convolution with weight [out, in, kh, kw], its outputs first as in every layer of ours."""

    type_name = "transposed_conv"
    narrowest_bits = TransposedWindow.narrowest_bits

    def __init__(
        self,
        inputs: int,
        outputs: int,
        window: TransposedWindow,
        bias: bool = True,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self._window = window
        self.weight = Factor((outputs, inputs, *window.kernel), device=device)
        self.bias = new_bias(bias, outputs, device)

    @property
    def window(self) -> TransposedWindow:
        return self._window

    def compute(self, x: Tensor) -> Tensor:
        return self.window.convolve(x, self.weight(), self.bias)

    @classmethod
    def from_body(cls, spec: dict[str, Any], device: torch.device) -> Self:
        window = TransposedWindow.from_json(spec)
        return cls(spec["inputs"], spec["outputs"], window, spec["bias"], device=device)

    @classmethod
    def adopt(cls, conv: nn.ConvTranspose2d | nn.ConvTranspose1d) -> "TransposedConv":
        """Returns the layer with copies of a trained layer's tensors.

        Args:
            conv: without groups and dilation.
        """
        window = TransposedWindow(
            as_pair(conv.kernel_size, 1),
            as_pair(conv.stride, 1),
            as_pair(conv.padding, 0),  # type: ignore[arg-type]  # no words here
            as_pair(conv.output_padding, 0),
        )
        bias = conv.bias is not None
        ours = cls(conv.in_channels, conv.out_channels, window, bias, conv.weight.device)
        ours.weight.set(conv.weight.transpose(0, 1).reshape(ours.weight.shape).contiguous())
        if conv.bias is not None:
            ours.bias = nn.Parameter(conv.bias.detach().clone())
        return ours
