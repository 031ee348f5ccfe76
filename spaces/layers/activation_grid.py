"""The grid of an activation tensor: 8-bit integers with a scale and a zero point."""

import torch
from torch import Tensor, nn

from ..kernels.affine import asymmetric_scale
from .constraint import straight_through

#: how fast the range follows the batches of quantization-aware training (Jacob et al. 2018 use a slow average)
MOMENTUM = 0.05


class ActivationGrid(nn.Module):
    """Rounds an activation tensor to the grid that the integer runtime will use.

    Ranges are observed on calibration images (`observing`), follow slowly while training, and stand still
    in evaluation.

    Args:
        bits: width of the signed integers.
        rectified: whether a ReLU follows; the negative part is then cut here, as the fused kernel does.
    """

    low: Tensor
    high: Tensor

    def __init__(self, bits: int = 8, rectified: bool = False, device: torch.device | None = None) -> None:
        super().__init__()
        self.bits = bits
        self.rectified = rectified
        self.observing = False
        self.register_buffer("low", torch.zeros((), device=device))
        self.register_buffer("high", torch.zeros((), device=device))

    def begin(self) -> None:
        """Starts to observe: the range is forgotten and activations pass unchanged."""
        self.observing = True
        self.low.fill_(0.0)
        self.high.fill_(0.0)

    def end(self) -> None:
        """Ends observing: from now on activations are rounded."""
        self.observing = False

    def scale_and_zero_point(self) -> tuple[float, int]:
        """Returns the grid as the artifact holds it."""
        if self.low.is_meta:
            return 1.0, 0
        scale, zero_point = asymmetric_scale(self.low, self.high, self.bits)
        return float(scale), int(zero_point)

    def forward(self, activation: Tensor) -> Tensor:
        if activation.is_meta:
            return activation
        if self.observing or self.training:
            self._follow(activation.detach())
        if self.observing:
            return activation
        scale, zero_point = asymmetric_scale(self.low, self.high, self.bits)
        least, most = -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1
        position = (activation / scale + zero_point).clamp(least, most)
        return straight_through(torch.round(position), position) * scale - zero_point * scale

    @torch.no_grad()
    def _follow(self, activation: Tensor) -> None:
        low = activation.new_zeros(()) if self.rectified else activation.amin().clamp(max=0.0)
        high = activation.amax().clamp(min=0.0)
        if self.observing:
            self.low.copy_(torch.minimum(self.low, low))
            self.high.copy_(torch.maximum(self.high, high))
        else:
            self.low.lerp_(low, MOMENTUM)
            self.high.lerp_(high, MOMENTUM)

    def spec(self) -> dict[str, int | bool]:
        """Returns the configuration as plain JSON."""
        return {"bits": self.bits, "rectified": self.rectified}
