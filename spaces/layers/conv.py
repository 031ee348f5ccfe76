"""A two-dimensional convolution, plain, grouped or depthwise."""

from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import AtollError
from .cost import OperationCost, OperationKind, kernel, storage_bits
from .factor import Factor
from .layer import Layer, keep_bias, new_bias, round_as_it_runs


@dataclass(frozen=True)
class Window:
    """How a convolution goes over its maps, (vertical, horizontal), with zeros around them.

    Args:
        size: (kh, kw).
        groups: of channels; as many as there are channels where each is convolved by itself.
    """

    size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Returns the convolution of maps [N, in, h, w] with a weight [out, in / groups, kh, kw]."""
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def output_shape(self, outputs: int, height: int, width: int) -> tuple[int, int, int]:
        """Returns (outputs, height, width) of what comes out for maps of a height and width."""
        sizes = zip((height, width), self.size, self.stride, self.padding, self.dilation, strict=True)
        tall, wide = ((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes)
        return outputs, tall, wide


class Conv(Layer):
    """Convolution with weight [out, in / groups, kh, kw] and zero padding."""

    type_name = "conv"

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] = (0, 0),
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
    def outputs(self) -> int:
        return self.weight.shape[0]

    @property
    def depthwise(self) -> bool:
        """Whether every channel is convolved by itself."""
        return self.groups > 1 and self.groups == self.inputs == self.outputs

    def factors(self) -> dict[str, Factor]:
        return {"weight": self.weight}

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
        dense = kept and self.weight.shape[2:].numel() == 1 and storage_bits(self.weight, True) == 8
        return (1,) if dense else (1, 2, 3)

    def compute(self, x: Tensor) -> Tensor:
        if self.dynamic:
            x = round_as_it_runs(x, self._rounded_together)
        return self.window.convolve(x, self.weight(), self.bias)

    def output_rows(self) -> Tensor:
        return self.weight.effective()

    def keep_outputs(self, index: Tensor) -> None:
        self.weight.keep(0, index)
        self.bias = keep_bias(self.bias, index)
        if self.groups > 1:  # depthwise: a channel goes with its input
            self.groups = index.numel()

    def keep_inputs(self, index: Tensor) -> None:
        if self.groups == 1:
            self.weight.keep(1, index)

    def costs(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> list[OperationCost]:
        biases = 0 if self.bias is None else self.outputs
        window, bits = self.window, self.activation_bits
        shapes = (input_shape, output_shape)
        return [convolution_cost(self.weight, window, biases, *shapes, bits, self.dynamic)]

    def body_spec(self) -> dict[str, Any]:
        return {
            "inputs": self.inputs,
            "outputs": self.outputs,
            "size": list(self.weight.shape[2:]),
            "stride": list(self.stride),
            "padding": list(self.padding),
            "dilation": list(self.dilation),
            "groups": self.groups,
            "bias": self.bias is not None,
        }

    @classmethod
    def from_body(cls, spec: dict[str, Any], device: torch.device) -> Self:
        pairs = {name: tuple(spec[name]) for name in ("size", "stride", "padding", "dilation")}
        return cls(
            spec["inputs"], spec["outputs"], groups=spec["groups"], bias=spec["bias"], device=device, **pairs
        )

    @classmethod
    def adopt(cls, conv: nn.Conv2d) -> "Conv":
        """Returns the layer with copies of a trained convolution's tensors.

        Raises:
            AtollError: for padding that is not the same number of zeros on both sides.
        """
        if conv.padding_mode != "zeros":
            raise AtollError(f"convolution with padding_mode {conv.padding_mode!r}: allowed is 'zeros'")
        padding = conv.padding
        if padding == "valid":
            padding = (0, 0)
        elif isinstance(padding, str):
            total = [d * (k - 1) for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
            if any(n % 2 for n in total):
                raise AtollError(
                    f"convolution of size {_pair(conv.kernel_size)} with padding 'same': it needs more zeros "
                    "on one side; allowed are odd sizes, or padding in numbers"
                )
            padding = tuple(n // 2 for n in total)
        ours = cls(
            conv.in_channels,
            conv.out_channels,
            _pair(conv.kernel_size),
            _pair(conv.stride),
            _pair(padding),
            _pair(conv.dilation),
            conv.groups,
            conv.bias is not None,
            conv.weight.device,
        )
        ours.weight.set(conv.weight)
        if conv.bias is not None:
            ours.bias = nn.Parameter(conv.bias.detach().clone())
        return ours


def _pair(value: tuple[int, ...]) -> tuple[int, int]:
    return (value[0], value[1])


def convolution_cost(
    weight: Factor,
    window: Window,
    biases: int,
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    activation_bits: int,
    dynamic: bool = False,
) -> OperationCost:
    """Returns the cost of one convolution.

    Args:
        weight: [out, in / groups, kh, kw].
        window: how it goes over the maps.
        biases: their number.
        input_shape, output_shape: (channels, height, width).
        activation_bits: 32 is float.
        dynamic: whether the kernel rounds float activations as it runs.
    """
    positions = output_shape[1] * output_shape[2]
    elements, patch = weight.shape.numel(), weight.shape[1:].numel()
    depthwise = window.groups > 1 and window.groups == input_shape[0] == output_shape[0]
    pointwise = window.groups == 1 and window.size == (1, 1)
    kind: OperationKind = "depthwise" if depthwise else "pointwise" if pointwise else "conv"
    compute, calibrated = kernel(weight, True, activation_bits, dynamic)
    return OperationCost(
        kind=kind,
        macs=positions * elements,
        weight_elements=elements,
        weight_bits=storage_bits(weight, True),
        bias_elements=biases,
        input_elements=torch.Size(input_shape).numel(),
        output_elements=torch.Size(output_shape).numel(),
        activation_bits=activation_bits,
        compute=compute,
        patch_elements=positions * patch if kind == "conv" else 0,
        calibrated=calibrated,
    )
