"""A two-dimensional convolution, plain, grouped or depthwise."""

from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import AtollError
from .cost import OperationCost, OperationKind, kernel, storage_bits
from .factor import Factor
from .layer import Layer, keep_bias, new_bias, round_as_it_runs


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
    def takes_dynamic(self) -> bool:
        # LiteRT's depthwise kernel takes int8 weights alone there, and a convolution with one output channel
        # rounds otherwise below 8 bits (own measurement of 2.3, 2026)
        return (self.groups == 1 or self.groups != self.inputs) and self.outputs > 1

    @property
    def _rounded_together(self) -> tuple[int, ...]:
        """The dimensions over which a kernel that rounds its input takes one range: of an image, or a pixel.

        XNNPACK runs plain 1x1 convolutions of 8 bits as dense layers, one row a pixel (own measurement, 2026).
        """
        kept = (self.stride, self.padding, self.groups) == ((1, 1), (0, 0), 1)
        dense = kept and self.weight.shape[2:].numel() == 1 and storage_bits(self.weight, True) == 8
        return (1,) if dense else (1, 2, 3)

    def compute(self, x: Tensor) -> Tensor:
        if self.dynamic:
            x = round_as_it_runs(x, self._rounded_together)
        return F.conv2d(x, self.weight(), self.bias, self.stride, self.padding, self.dilation, self.groups)

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
        positions = output_shape[1] * output_shape[2]
        elements = self.weight.shape.numel()
        patch = self.weight.shape[1:].numel()
        kind: OperationKind = "depthwise" if self.depthwise else "pointwise" if self._pointwise else "conv"
        compute, calibrated = kernel(self.weight, True, self.activation_bits, self.dynamic)
        return [
            OperationCost(
                kind=kind,
                macs=positions * elements,
                weight_elements=elements,
                weight_bits=storage_bits(self.weight, True),
                bias_elements=0 if self.bias is None else self.outputs,
                input_elements=torch.Size(input_shape).numel(),
                output_elements=torch.Size(output_shape).numel(),
                activation_bits=self.activation_bits,
                compute=compute,
                patch_elements=positions * patch if kind == "conv" else 0,
                calibrated=calibrated,
            )
        ]

    @property
    def _pointwise(self) -> bool:
        return self.groups == 1 and tuple(self.weight.shape[2:]) == (1, 1)

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
