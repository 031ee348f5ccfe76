"""Batch normalisation over channels or features."""

from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .activation_grid import ActivationGrid
from .bits import FLOAT_BITS
from .cost import OperationCost


class Norm(_BatchNorm):
    """BatchNorm for [B, C] and [B, C, H, W], with a grid for its output where activations are integers."""

    type_name = "norm"
    weight: nn.Parameter
    bias: nn.Parameter
    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        device: torch.device | None = None,
    ) -> None:
        super().__init__(features, eps=eps, momentum=momentum, device=device)
        self.output_grid: ActivationGrid | None = None
        #: whether its scale was fixed at values of which some do not rise: known on meta too
        self.falls = False

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        if input.is_meta:  # a plan asks for shapes alone, and torch's own answer takes milliseconds
            return torch.empty(input.shape, device="meta")
        y = super().forward(input)
        return y if self.output_grid is None else self.output_grid(y)

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """Returns [C] and [C], float64: y = scale x + shift in evaluation.

        In float32 processors differ in the last bit of a square root, and with it the bytes of a file.
        """
        if self.weight.is_meta:
            return 2 * (torch.empty(self.num_features, dtype=torch.float64, device="meta"),)  # as above
        scale = (self.weight.double() / torch.sqrt(self.running_var.double() + self.eps)).detach()
        return scale, (self.bias - self.running_mean * scale).detach()

    @property
    def was_measured(self) -> bool:
        """Whether it has statistics of inputs, not those that it begins with."""
        return bool(self.running_mean.any() or (self.running_var != 1).any())

    @property
    def rising(self) -> bool:
        """Whether y rises with x on every channel, whatever is trained: its scale is fixed and positive."""
        if self.weight.requires_grad or self.falls:
            return False
        return self.weight.is_meta or bool((self.weight > 0).all())  # whoever wrote into it since

    def keep_channels(self, index: Tensor) -> None:
        """Keeps these channels, in place."""
        index = index.to(self.weight.device)
        for name in ("weight", "bias"):
            old = getattr(self, name)
            setattr(self, name, nn.Parameter(old.detach()[index], requires_grad=old.requires_grad))
        self.running_mean = self.running_mean[index]
        self.running_var = self.running_var[index]
        self.num_features = index.numel()

    def costs(
        self, input_shape: tuple[int, ...], output_shape: tuple[int, ...], bits: int | None = None
    ) -> list[OperationCost]:
        """Returns the one scale-and-shift that is left where it cannot be folded into a layer.

        Args:
            input_shape, output_shape: without the batch.
            bits: width of its result; by default that of its own grid.
        """
        count = torch.Size(output_shape).numel()
        own_bits = FLOAT_BITS if self.output_grid is None else self.output_grid.bits
        bits = own_bits if bits is None else bits
        return [
            OperationCost(
                kind="norm",
                macs=count,
                weight_elements=self.num_features,
                weight_bits=bits,
                bias_elements=self.num_features,
                input_elements=count,
                output_elements=count,
                activation_bits=bits,
                compute="int8" if bits == 8 else "float32",
            )
        ]

    def payload_bits(self) -> int:
        """Returns the bits of a scale and a shift per channel."""
        return 2 * 32 * self.num_features

    def spec(self) -> dict[str, Any]:
        """Returns the structure as plain JSON; `from_spec` reads it."""
        spec = {
            "type": self.type_name,
            "features": self.num_features,
            "eps": self.eps,
            "momentum": self.momentum,
            "trained_scale": self.weight.requires_grad,
            "output_grid": None if self.output_grid is None else self.output_grid.spec(),
        }
        return {**spec, "falls": True} if self.falls else spec  # said only where it is not the usual case

    @classmethod
    def from_spec(cls, spec: dict[str, Any], device: torch.device) -> Self:
        """Returns the structure again, tensors allocated but not filled."""
        norm = cls(spec["features"], spec["eps"], spec["momentum"], device=device)
        norm.weight.requires_grad_(spec["trained_scale"])
        norm.falls = spec.get("falls", False)
        if spec["output_grid"] is not None:
            norm.output_grid = ActivationGrid(**spec["output_grid"], device=device)
        return norm

    @classmethod
    def adopt(cls, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> "Norm":
        """Returns the layer with copies of a trained BatchNorm's tensors; without affine it has scale 1.

        Args:
            norm: with running statistics; without them it depends on its batch in use too.
        """
        assert norm.running_mean is not None
        ours = cls(norm.num_features, norm.eps, norm.momentum, norm.running_mean.device)
        ours.load_state_dict({**ours.state_dict(), **norm.state_dict()})
        ours.weight.requires_grad_(norm.weight is not None and norm.weight.requires_grad)
        fixed = not ours.weight.requires_grad and not ours.weight.is_meta
        ours.falls = fixed and not bool((ours.weight > 0).all())
        return ours
