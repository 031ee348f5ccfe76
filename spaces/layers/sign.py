"""Binary activations: a layer sees the signs of its input."""

from typing import Any

import torch
from torch import Tensor, nn


class InputSign(nn.Module):
    """Replaces an activation by its sign, -1 or +1; zero counts as positive (THESIS eq. 3).

    The gradient is 1 where |x| <= threshold, else 0 (eq. 4). No runtime of ours has a binary kernel: the
    layer behind computes on -1 and +1 in the arithmetic that it has anyway, and the sign is one more pass
    over the activation.

    Args:
        threshold: where the straight-through gradient ends; 1 is the papers'.
    """

    def __init__(self, threshold: float = 1.0) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, activation: Tensor) -> Tensor:
        if activation.is_meta:  # a plan asks for shapes alone
            return activation
        return _Sign.apply(activation, self.threshold)

    def spec(self) -> dict[str, float]:
        """Returns the configuration as plain JSON."""
        return {"threshold": self.threshold}


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: float) -> Tensor:  # type: ignore[override]
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(x.abs() <= threshold)
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (inside,) = ctx.saved_tensors
        return gradient * inside, None
