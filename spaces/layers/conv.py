"""A convolution over maps or sequences, plain, grouped or depthwise."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .cost import OperationCost, OperationKind, storage_bits, weighed
from .factor import Factor
from .layer import new_bias, round_as_it_runs
from .over_maps import MapWindow, OverMaps
from .same_padding import same_padding

#: of a convolution's weights in a file: int2 ones do not load or give NaN (own measurements of LiteRT, 2026)
NARROWEST_BITS = 4

#: zeros on both sides (vertical, horizontal), or as many as TensorFlow's "SAME" puts around maps of a size
Padding = tuple[int, int] | Literal["same"]


@dataclass(frozen=True)
class Window(MapWindow):
    """How a convolution goes over its maps, (vertical, horizontal), with zeros around them.

    Sequences are maps of height 1: what it does to them it does to [N, in, 1, length].

    Args:
        size: (kh, kw).
        groups: of channels; as many as there are channels where each is convolved by itself.
    """

    narrowest_bits: ClassVar[int] = NARROWEST_BITS
    paddings: ClassVar[tuple[str, ...]] = ("same",)

    size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Padding = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def zeros(self, *sizes: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Returns the zeros (above, below) and (left, right) of maps of a height and width, or a length."""
        if self.padding != "same":
            vertical, horizontal = self.padding
            return (vertical, vertical), (horizontal, horizontal)
        tall, wide = zip(as_map(sizes), self.size, self.stride, self.dilation, strict=True)
        return same_padding(*tall), same_padding(*wide)

    def pad(self, x: Tensor) -> Tensor:
        """Returns maps [N, in, h, w] with the zeros around them."""
        vertical, horizontal = self.zeros(x.shape[2], x.shape[3])
        return F.pad(x, (*horizontal, *vertical))

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Returns the convolution of maps [N, in, h, w], or sequences, by a [out, in / groups, kh, kw]."""
        if x.dim() == 3:
            return self.convolve(x[:, :, None], weight, bias)[:, :, 0]
        (above, below), (left, right) = self.zeros(x.shape[2], x.shape[3])
        padding = (above, left)
        if (above, left) != (below, right):
            x, padding = self.pad(x), (0, 0)
        return F.conv2d(x, weight, bias, self.stride, padding, self.dilation, self.groups)

    def output_shape(self, outputs: int, *sizes: int) -> tuple[int, ...]:
        """Returns (outputs, height, width) of what comes out for maps of a height and width, or a length."""
        padded = (n + sum(zeros) for n, zeros in zip(as_map(sizes), self.zeros(*sizes), strict=True))
        axes = zip(padded, self.size, self.stride, self.dilation, strict=True)
        found = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in axes]
        return outputs, *found[-len(sizes) :]

    def cost(
        self,
        weight: Factor,
        biases: int,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        activation_bits: int,
        dynamic: bool = False,
    ) -> OperationCost:
        positions = prod(output_shape[1:])
        patch = weight.shape[1:].numel()
        depthwise = self.groups > 1 and weight.shape[1] == 1
        pointwise = self.size == (1, 1)
        kind: OperationKind = "depthwise" if depthwise else "pointwise" if pointwise else "conv"
        shapes = (input_shape, output_shape)
        found = weighed(
            kind, weight, self.narrowest_bits, biases, positions, *shapes, activation_bits, dynamic
        )
        return replace(
            found,
            patch_elements=positions * patch if kind == "conv" else 0,
            columns=weight.shape[0] // self.groups,
        )


def as_map(sizes: tuple[int, ...]) -> tuple[int, int]:
    """Returns (height, width) of maps; a sequence's, which has a length alone, have a height of 1."""
    return (1, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


class Conv(OverMaps):
    """Convolution with weight [out, in / groups, kh, kw] and zero padding; over sequences kh is 1."""

    type_name = "conv"
    narrowest_bits = NARROWEST_BITS

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        padding: Padding = (0, 0),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        bias: bool = True,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.weight = Factor((outputs, inputs // groups, *size), device=device)
        self.bias = new_bias(bias, outputs, device)

    @property
    def inputs(self) -> int:
        return self.weight.shape[1] * self.groups

    @property
    def depthwise(self) -> bool:
        """Whether every channel is convolved by itself."""
        return self.groups > 1 and self.groups == self.inputs == self.outputs

    @property
    def window(self) -> Window:
        """How it goes over its maps."""
        height, width = self.weight.shape[2:]
        return Window((height, width), self.stride, self.padding, self.dilation, self.groups)

    @property
    def takes_dynamic(self) -> bool:
        # LiteRT's depthwise kernel takes int8 weights alone there, and a convolution with one output channel
        # rounds otherwise below 8 bits (own measurement of 2.3, 2026)
        return (self.groups == 1 or self.groups != self.inputs) and self.outputs > 1

    @property
    def _rounded_together(self) -> tuple[int, ...]:
        """The dimensions over which a kernel that rounds its input takes one range: of an image, or a pixel.

        XNNPACK runs plain 1x1 convolutions of 8 bits as dense layers, a row a pixel (own measurement, 2026).
        """
        kept = (self.stride, self.padding, self.groups) == ((1, 1), (0, 0), 1)
        dense = kept and self.weight.shape[2:].numel() == 1 and storage_bits(self.weight, NARROWEST_BITS) == 8
        return (1,) if dense else (1, 2, 3)

    def compute(self, x: Tensor) -> Tensor:
        if x.dim() == 3:
            return self.compute(x[:, :, None])[:, :, 0]
        if self.dynamic:
            x = round_as_it_runs(x, self._rounded_together)
        return self.window.convolve(x, self.weight(), self.bias)

    def keep_outputs(self, index: Tensor) -> None:
        super().keep_outputs(index)
        if self.groups > 1:  # depthwise: a channel goes with its input
            self.groups = index.numel()

    def keep_inputs(self, index: Tensor) -> None:
        if self.groups == 1:
            super().keep_inputs(index)

    @classmethod
    def from_body(cls, spec: dict[str, Any], device: torch.device) -> Self:
        w = Window.from_json(spec)
        goes_over = (w.size, w.stride, w.padding, w.dilation, w.groups)
        return cls(spec["inputs"], spec["outputs"], *goes_over, bias=spec["bias"], device=device)

    @classmethod
    def adopt(cls, conv: nn.Conv2d | nn.Conv1d) -> "Conv":
        """Returns the layer with copies of a trained convolution's tensors (`SameConv2d` too).

        Args:
            conv: its padding is zeros.
        """
        ours = cls(
            conv.in_channels,
            conv.out_channels,
            as_pair(conv.kernel_size, 1),
            as_pair(conv.stride, 1),
            _padding(conv),
            as_pair(conv.dilation, 1),
            conv.groups,
            conv.bias is not None,
            conv.weight.device,
        )
        ours.weight.set(conv.weight.reshape(ours.weight.shape))
        if conv.bias is not None:
            ours.bias = nn.Parameter(conv.bias.detach().clone())
        return ours


def _padding(conv: nn.Conv2d | nn.Conv1d) -> Padding:
    """Returns a convolution's padding in numbers wherever these do not depend on the size of the maps."""
    if not isinstance(conv.padding, str):
        return as_pair(conv.padding, 0)
    if conv.padding == "valid":
        return (0, 0)
    total = [d * (k - 1) for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
    fixed = all(n == 0 or (s == 1 and n % 2 == 0) for n, s in zip(total, conv.stride, strict=True))
    return as_pair(tuple(n // 2 for n in total), 0) if fixed else "same"


def as_pair(value: Sequence[int], upright: int) -> tuple[int, int]:
    """Returns (vertical, horizontal); over sequences the vertical one is another."""
    return (upright, value[0]) if len(value) == 1 else (value[0], value[1])
