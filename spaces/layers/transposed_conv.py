"""A transposed convolution: every value spreads over a window of a larger map or a longer sequence."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .conv import as_pair
from .cost import OperationCost, kernel, storage_bits
from .factor import Factor
from .layer import Layer, keep_bias, new_bias
from .same_padding import same_padding

Pair = tuple[int, int]


class Written(NamedTuple):
    """How the runtime writes one: the (height, width) that it makes, and where what is wanted begins."""

    padding: Literal["same", "valid"]
    size: Pair
    cut: Pair


@dataclass(frozen=True)
class TransposedWindow:
    """How values spread over a map, (vertical, horizontal); sequences are maps of height 1.

    Args:
        kernel: (kh, kw).
        stride: how far apart the windows of neighbours are.
        padding: rows and columns that are cut off on each side.
        more: rows and columns that are left on below and on the right.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    more: Pair = (0, 0)

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

    def to_json(self) -> dict[str, Any]:
        """Returns it as plain JSON; `from_json` reads it."""
        return {name: list(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Reads what `to_json` gave, beside whatever else is stored there."""
        return cls(*(tuple(stored[field.name]) for field in fields(cls)))


class TransposedConv(Layer):
    """Transposed convolution with weight [out, in, kh, kw], its outputs first as in every layer of ours."""

    type_name = "transposed_conv"
    #: the runtime's kernel reads no narrower integers (TRANSPOSE_CONV, tflite/kernels/transpose_conv.cc)
    narrowest_bits = 8

    def __init__(
        self,
        inputs: int,
        outputs: int,
        window: TransposedWindow,
        bias: bool = True,
        device: torch.device | None = None,
    ) -> None:
        super().__init__()
        self.window = window
        self.weight = Factor((outputs, inputs, *window.kernel), device=device)
        self.bias = new_bias(bias, outputs, device)

    @property
    def inputs(self) -> int:
        return self.weight.shape[1]

    @property
    def outputs(self) -> int:
        return self.weight.shape[0]

    def factors(self) -> dict[str, Factor]:
        return {"weight": self.weight}

    def compute(self, x: Tensor) -> Tensor:
        if x.dim() == 3:
            return self.compute(x[:, :, None])[:, :, 0]
        weight, window = self.weight().transpose(0, 1), self.window
        return F.conv_transpose2d(x, weight, self.bias, window.stride, window.padding, window.more)

    def output_rows(self) -> Tensor:
        return self.weight.effective()

    def keep_outputs(self, index: Tensor) -> None:
        self.weight.keep(0, index)
        self.bias = keep_bias(self.bias, index)

    def keep_inputs(self, index: Tensor) -> None:
        self.weight.keep(1, index)

    def costs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> list[OperationCost]:
        elements = self.weight.shape.numel()
        compute, calibrated = kernel(self.weight, self.narrowest_bits, self.activation_bits)
        return [
            OperationCost(
                kind="conv",
                macs=torch.Size(input_shape[1:]).numel() * elements,
                weight_elements=elements,
                weight_bits=storage_bits(self.weight, self.narrowest_bits),
                bias_elements=0 if self.bias is None else self.outputs,
                input_elements=torch.Size(input_shape).numel(),
                output_elements=torch.Size(output_shape).numel(),
                activation_bits=self.activation_bits,
                compute=compute,
                reduction=self.inputs,
                columns=elements // self.inputs,
                calibrated=calibrated,
            )
        ]

    def body_spec(self) -> dict[str, Any]:
        return {
            "inputs": self.inputs,
            "outputs": self.outputs,
            **self.window.to_json(),
            "bias": self.bias is not None,
        }

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
