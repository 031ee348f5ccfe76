"""The grid of an activation tensor: 8-bit integers with a scale and a zero point."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..kernels.affine import asymmetric_scale, integer_range, quantize_affine
from ..kernels.calibration import Method, value_range

#: how fast the range follows the batches of quantization-aware training (a slow average: Jacob et al. 2018)
MOMENTUM = 0.05
#: images of a training batch whose range is followed
FOLLOWED_IMAGES = 8
#: how near to the middle of two integers a mean of integers is one: float32's error is far below it, and the
#: next mean over fewer than 500 integers far above
TIE = 2.0**-10
#: values of one batch that a calibration other than by the extremes looks at, evenly spread
SAMPLED_VALUES = 2**17


class ActivationGrid(nn.Module):
    """Rounds an activation tensor to the grid that the integer runtime will use.

    Ranges are observed on calibration images (`observing`), follow slowly while training, and stand still
    in evaluation. A calibration that leaves extremes out keeps its share of the range while training.

    Args:
        bits: width of the signed integers.
        rectified: whether a ReLU follows; the negative part is then cut here, as the fused kernel does.
        calibration: how the range is found from what was observed.
        fixed: the range where an integer kernel knows only that one; nothing is observed then.
    """

    low: Tensor
    high: Tensor
    share: Tensor | None

    def __init__(
        self,
        bits: int = 8,
        rectified: bool = False,
        device: torch.device | None = None,
        calibration: Method = "min_max",
        fixed: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.bits = bits
        self.rectified = rectified
        self.calibration = calibration
        self.fixed = None if fixed is None else (float(fixed[0]), float(fixed[1]))
        self.observing = False
        low, high = self.fixed or (0.0, 0.0)
        self.register_buffer("low", torch.full((), low, device=device))
        self.register_buffer("high", torch.full((), high, device=device))
        #: [2], calibrated over observed low and high
        self.register_buffer("share", None if calibration == "min_max" else torch.ones(2, device=device))
        self._samples: list[Tensor] = []

    def begin(self) -> None:
        """Starts to observe: the range is forgotten and activations pass unchanged."""
        self.observing = True
        self._samples = []
        if self.fixed is not None:
            return
        self.low.fill_(0.0)
        self.high.fill_(0.0)

    def end(self) -> None:
        """Ends observing: from now on activations are rounded."""
        self.observing = False
        if self.share is not None and self._samples:
            self._calibrate(self.share, torch.cat(self._samples)[None])
        self._samples = []

    def _calibrate(self, share: Tensor, values: Tensor) -> None:
        """Finds the range from values [1, n] and how much of the observed one it is, low and high apart."""

        def rounded(low: Tensor, high: Tensor) -> Tensor:
            return quantize_affine(values, *asymmetric_scale(low, high, self.bits), self.bits)

        low, high = value_range(values, self.calibration, rounded)
        for position, (observed, found) in enumerate(((self.low, low), (self.high, high))):
            share[position] = found.reshape(()) / observed if observed != 0 else 1.0
            observed.mul_(share[position])

    def scale_and_zero_point(self) -> tuple[float, int]:
        """Returns the grid as the artifact holds it."""
        if self.low.is_meta:
            return 1.0, 0
        scale, zero_point = asymmetric_scale(self.low, self.high, self.bits)
        return float(scale), int(zero_point)

    def forward(self, activation: Tensor) -> Tensor:
        if not activation.is_meta and self.fixed is None and (self.observing or self.training):
            self._follow(activation.detach())
        return self.rounded(activation)

    def rounded(self, activation: Tensor, halves_away: bool = False) -> Tensor:
        """Returns an activation on the grid, whose range does not follow it.

        Args:
            activation: any shape.
            halves_away: whether integers are rounded away from zero where two are equally near, as integer
                average pooling does; otherwise to the even one.
        """
        if activation.is_meta or self.observing:
            return activation
        scale, zero_point = asymmetric_scale(self.low, self.high, self.bits)
        least, most = integer_range(self.bits)
        return _RoundToGrid.apply(activation, float(scale), float(zero_point), least, most, halves_away)

    @torch.no_grad()
    def _follow(self, activation: Tensor) -> None:
        # a slow average needs no whole batch: the pass over it took a tenth of the training time
        least, most = torch.aminmax(activation if self.observing else activation[:FOLLOWED_IMAGES])
        low = torch.zeros_like(least) if self.rectified else least.clamp(max=0.0)
        high = most.clamp(min=0.0)
        if self.observing:
            self.low.copy_(torch.minimum(self.low, low))
            self.high.copy_(torch.maximum(self.high, high))
            if self.share is not None:
                stride = -(-activation.numel() // SAMPLED_VALUES)
                values = activation.flatten()[::stride]
                self._samples.append(values.clamp_min(0.0) if self.rectified else values.clone())
        else:
            if self.share is not None:
                low, high = low * self.share[0], high * self.share[1]
            self.low.lerp_(low, MOMENTUM)
            self.high.lerp_(high, MOMENTUM)

    def spec(self) -> dict[str, Any]:
        """Returns the configuration as plain JSON."""
        # networks written before there was a choice do not name it
        calibration = {} if self.calibration == "min_max" else {"calibration": self.calibration}
        fixed = {} if self.fixed is None else {"fixed": list(self.fixed)}
        return {"bits": self.bits, "rectified": self.rectified, **calibration, **fixed}


class _RoundToGrid(torch.autograd.Function):
    """Rounds to a grid, straight-through inside its range.

    Written with few passes over the data: as separate differentiable operations, or by torch's own fake
    quantization on CPUs, it made training up to four times slower than the network itself (2026).
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, scale: float, zero_point: float, least: int, most: int, halves_away: bool
    ) -> Tensor:
        position = x.div(scale).add_(zero_point)
        rounded = position.clamp(least, most)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(rounded.eq(position))
        if halves_away:  # a tie that float arithmetic missed by a hair is still a tie
            size = rounded.abs().add_(0.5 + TIE).floor_()
            rounded = size.mul_(rounded.sign()).clamp_(least, most)
        return rounded.round_().sub_(zero_point).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None, None, None, None
