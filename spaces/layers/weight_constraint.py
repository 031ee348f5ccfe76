"""What may be demanded of a weight: a mask, a codebook, two values or three, a grid.

A factor (one weight tensor of a layer) keeps its constraints in the order in which they were imposed.
They are *evaluated* in a fixed order instead: values (codebook), sign (binary, ternary), grid
(quantizer), mask.
That order makes every constraint hold at once whatever the order of imposition: a masked zero is on every
symmetric grid, a shared value stays shared after rounding, a sign times a step is on the grid.
Later training therefore cannot leave an earlier constraint.
"""

from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

Fate = Literal["carried over", "imposed anew", "dropped"]


class Origin:
    """Where a constraint was imposed; copies of a network share it, a constraint imposed anew has its own."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "Origin":
        return self


class WeightConstraint(nn.Module):
    """One demand on a weight tensor: gives the effective weight and what must be stored for it."""

    kind: ClassVar[str]
    #: what happens to it when its layer is decomposed into factors
    on_decomposition: ClassVar[Fate]

    def __init__(self) -> None:
        super().__init__()
        self.origin = Origin()

    def forward(self, weight: Tensor) -> Tensor:
        """Returns the effective weight; gradients pass as the constraint allows."""
        raise NotImplementedError

    def spec(self) -> dict[str, Any]:
        """Returns kind and configuration, enough for `from_spec` on a weight of the same shape."""
        raise NotImplementedError

    @classmethod
    def from_spec(cls, spec: dict[str, Any], shape: torch.Size, device: torch.device) -> Self:
        """Returns the constraint with its tensors allocated but not filled."""
        raise NotImplementedError

    def anew(self, weight: Tensor) -> "WeightConstraint | None":
        """Returns the same demand fitted to another weight tensor; None where it is dropped."""
        raise NotImplementedError

    def keep(self, dim: int, size: int, index: Tensor) -> None:
        """Keeps the entries `index` of dimension `dim` (of size `size`) in every per-weight tensor."""
        for name, tensor in [*self.named_parameters(recurse=False), *self.named_buffers(recurse=False)]:
            if tensor.dim() > 1 and tensor.shape[dim] == size and size > 1:
                kept = tensor.detach().index_select(dim, index.to(tensor.device))
                if isinstance(tensor, nn.Parameter):
                    kept = nn.Parameter(kept, requires_grad=tensor.requires_grad)
                setattr(self, name, kept)


def straight_through(exact: Tensor, smooth: Tensor) -> Tensor:
    """Returns `exact` in the forward pass and the gradient of `smooth` in the backward pass.

    Values are exactly those of `exact` (no `smooth + (exact - smooth)` rounding).
    """
    return _StraightThrough.apply(exact, smooth)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, exact: Tensor, smooth: Tensor) -> Tensor:  # type: ignore[override]
        return exact.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:  # type: ignore[override]
        return None, gradient
