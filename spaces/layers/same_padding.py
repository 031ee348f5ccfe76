"""TensorFlow's "SAME" windows for any stride: as many results as strides fit, extra padding behind."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Pair = tuple[int, int]
_Size = int | tuple[int, int]


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> Pair:
    """Returns how many values TensorFlow adds before and after an axis, so that ceil(size / stride) come out.

    Source: TensorFlow's documentation of `tf.nn`, "Notes on padding": the odd one goes behind. At stride 1
    this is what torch means by "same".

    Args:
        size: of the axis, at least 1.
        kernel, stride, dilation: of the window along it.
    """
    steps = -(-size // stride) - 1
    total = max(steps * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def window_padding(
    sizes: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, ...],
    zeros: tuple[Pair, ...],
    dilation: tuple[int, ...] = (1, 1),
) -> tuple[Pair, ...] | None:
    """Returns the zeros that a window really reads, (before, after) each axis; None where "SAME" puts these.

    Args:
        sizes: of the maps, (height, width).
        window, strides, dilation: along each axis.
        zeros: (before, behind) each axis as the network has them.
    """
    same, pads = True, []
    for size, kernel, stride, (before, behind), step in zip(
        sizes, window, strides, zeros, dilation, strict=True
    ):
        extent = step * (kernel - 1) + 1
        steps = (size + before + behind - extent) // stride
        after = max(0, steps * stride + extent - size - before)
        alike = (before, after) == same_padding(size, kernel, stride, step)
        same = same and steps == (size - 1) // stride and alike
        pads.append((before, after))
    return None if same else tuple(pads)


class SameConv2d(nn.Conv2d):
    """A convolution with zeros as TensorFlow's "SAME" has them; torch knows that at stride 1 only."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: _Size,
        stride: _Size = 1,
        dilation: _Size = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias)
        self.padding = "same"  # torch refuses the word in the constructor where the stride is not 1

    def forward(self, input: Tensor) -> Tensor:
        padded = _padded(input, self.kernel_size, self.stride, self.dilation)
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class SameMaxPool2d(nn.MaxPool2d):
    """Max pooling over TensorFlow's "SAME" windows: what lies outside of the maps is never the largest."""

    def __init__(self, kernel_size: int, stride: int) -> None:
        super().__init__(kernel_size, stride)
        self.padding = "same"  # type: ignore[assignment]

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = _pair(self.kernel_size), _pair(self.stride)
        return F.max_pool2d(_padded(input, kernel, stride, (1, 1), -torch.inf), kernel, stride)


class SameAvgPool2d(nn.AvgPool2d):
    """Average pooling over TensorFlow's "SAME" windows: the mean of what lies inside of the maps."""

    def __init__(self, kernel_size: int, stride: int) -> None:
        super().__init__(kernel_size, stride)
        self.padding = "same"  # type: ignore[assignment]

    def forward(self, input: Tensor) -> Tensor:
        kernel, stride = _pair(self.kernel_size), _pair(self.stride)

        def averaged(x: Tensor) -> Tensor:
            return F.avg_pool2d(_padded(x, kernel, stride, (1, 1)), kernel, stride)

        return averaged(input) / averaged(torch.ones_like(input[:1, :1]))


def _padded(
    x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], value: float = 0.0
) -> Tensor:
    windows = zip(x.shape[2:], kernel, stride, dilation, strict=True)
    vertical, horizontal = (same_padding(*window) for window in windows)
    return F.pad(x, (*horizontal, *vertical), value=value)


def _pair(size: _Size) -> Pair:
    return (size, size) if isinstance(size, int) else size
