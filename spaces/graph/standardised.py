"""Normalisation by an image's own mean and variance, as one computation whatever it is over."""

from dataclasses import dataclass
from math import prod

from torch import Tensor, nn

from ..operations.moves import Shape

Standardising = nn.LayerNorm | nn.GroupNorm | nn.InstanceNorm1d | nn.InstanceNorm2d


@dataclass(frozen=True)
class Standardised:
    """Values less their mean, over the root of their variance plus `eps`, times a scale, plus a shift.

    Args:
        sizes: in which shape the runtime computes, without the batch; the values lie as they did.
        axes: of `sizes` over which the mean and the variance are.
        eps: what is added to the variance.
        scale, shift: with as many axes as `sizes`, in the order of the file; None for none.
    """

    sizes: Shape
    axes: tuple[int, ...]
    eps: float
    scale: Tensor | None
    shift: Tensor | None

    @property
    def means(self) -> Shape:
        """The shape of a mean."""
        return tuple(1 if axis in self.axes else size for axis, size in enumerate(self.sizes))


def standardised(module: Standardising, shape: Shape, order: tuple[int, ...]) -> Standardised:
    """Returns what a normalisation of torch's computes on values of a shape.

    Args:
        module: without running statistics.
        shape: (C, ...) without the batch, as torch has it.
        order: for every axis of the file's tensor, without the batch, the axis of torch's that it is.
    """
    laid_out = tuple(shape[axis] for axis in order)
    if isinstance(module, nn.LayerNorm):
        over = range(len(shape) - len(module.normalized_shape), len(shape))
        parts = [_beside(part, (), order) for part in (module.weight, module.bias)]
        return Standardised(laid_out, tuple(sorted(map(order.index, over))), module.eps, *parts)
    behind = (1,) * (len(shape) - 1)
    scale, shift = (_beside(part, behind, order) for part in (module.weight, module.bias))
    if not isinstance(module, nn.GroupNorm):
        over = range(1, len(shape))
        return Standardised(laid_out, tuple(sorted(map(order.index, over))), module.eps, scale, shift)
    groups, place = module.num_groups, order.index(0)
    # what lies around the channels as one axis each: the runtime's kernels take four, with the batch
    before, after = (
        tuple(n for n in (prod(part),) if n > 1) for part in (laid_out[:place], laid_out[place + 1 :])
    )
    channels = (groups, shape[0] // groups)
    sizes = (*before, *channels, *after)
    axes = tuple(axis for axis in range(len(sizes)) if axis != len(before))
    spread = (*[1] * len(before), *channels, *[1] * len(after))
    parts = [None if part is None else part.detach().reshape(spread) for part in (module.weight, module.bias)]
    return Standardised(sizes, axes, module.eps, *parts)


def _beside(part: Tensor | None, behind: tuple[int, ...], order: tuple[int, ...]) -> Tensor | None:
    """Returns a parameter beside values in the order of the file."""
    if part is None:
        return None
    found = part.detach().reshape(*part.shape, *behind)
    return found.reshape(*[1] * (len(order) - found.dim()), *found.shape).permute(order)
