"""Operations over windows and positions of maps: poolings, means, upsampling, written as operators."""

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from ...spaces.errors import AtollError
from ...spaces.graph.axis_order import laid_out, without
from ...spaces.graph.graph import Operation
from ...spaces.layers.pooling import pooling
from ...spaces.operations.integer_kernels import averages
from . import operators_pooling
from .lower_functions import on_int8
from .operators_moving import LOWEST, pad
from .tensors import TensorGrid
from .values import LoweredValue, Workbench

#: torch's interpolation -> (LiteRT's operator, whether positions are the middles of pixels)
_RESIZES = {
    "nearest": ("nearest_neighbor", False),
    "nearest-exact": ("nearest_neighbor", True),
    "bilinear": ("bilinear", True),
}


def lower_pooling(
    bench: Workbench, operation: Operation, source: LoweredValue, target: TensorGrid | None
) -> LoweredValue | None:
    """Writes a pooling or an upsampling.

    Args:
        bench: the file under construction.
        operation: what to write.
        source: maps.
        target: the grid of the result; averages over windows that have one stay on that of the maps.

    Returns:
        the result, None where the operation is of another kind.

    Raises:
        AtollError: LiteRT has no operator for its settings.
    """
    module, kind = operation.module, operation.kind
    if averages(kind, module) and target is None:
        source = bench.to_float(source)
    if kind in ("global_avg_pool", "mean"):
        return _mean(bench, operation, source, target)
    if kind == "global_max_pool":
        maps = bench.maps(source)
        window = bench.model.tensors[maps].shape[1:3]
        index = operators_pooling.pool_2d(bench.model, maps, "max", window)  # type: ignore[arg-type]  # two axes
        return replace(source, index=index, shape=(*[1] * (len(source.shape) - 1), source.shape[-1]))
    if kind in ("max_pool", "avg_pool"):
        return _pool(bench, operation, source)
    if isinstance(module, nn.Upsample):
        return _upsample(bench, module, source, operation.shape)
    return None


def _mean(
    bench: Workbench, operation: Operation, source: LoweredValue, target: TensorGrid | None
) -> LoweredValue:
    """A mean over axes, of whole maps most often."""
    (source,), target = on_int8(bench, operation.kind, [source], target)
    order = source.order
    keep = len(operation.shape) == len(order)
    over = sorted(1 + order.index(axis) for axis in operation.axes)
    x = bench.shaped(source, (1, *source.shape))
    index = operators_pooling.mean(bench.model, x, over, keep_dims=keep, grid=target)
    left = order if keep else without(order, operation.axes)
    return LoweredValue(index, laid_out(operation.shape, left), axes=left)


def _pool(bench: Workbench, operation: Operation, source: LoweredValue) -> LoweredValue:
    windows = pooling(operation.module, source.torch_shape[1:], operation.shape[1:])  # type: ignore[arg-type]
    assert windows is not None  # others are no poolings
    maps, mode = bench.maps(source), "same" if windows.pads is None else "valid"
    if windows.pads and any(pad for pair in windows.pads for pad in pair):
        positive = operation.inputs[0] in bench.positive
        around = LOWEST if windows.largest and not positive else 0.0
        maps = pad(bench.model, maps, [(0, 0), *windows.pads, (0, 0)], around)
    kind = "max" if windows.largest else "average"
    index = operators_pooling.pool_2d(bench.model, maps, kind, windows.window, windows.strides, mode)
    return replace(source, index=index, shape=laid_out(operation.shape, source.order))


def _upsample(
    bench: Workbench, module: nn.Upsample, source: LoweredValue, shape: Sequence[int]
) -> LoweredValue:
    """Interpolation; int8 maps keep their grid, on which LiteRT rounds what lies between."""
    size = (shape[1], shape[2])
    factors = module.scale_factor or tuple(new / old for new, old in zip(size, source.shape, strict=False))
    factors = factors if isinstance(factors, tuple) else (factors, factors)
    aligned = bool(module.align_corners)
    # LiteRT goes by the sizes alone, torch by the factor where one is given
    exact = aligned or all(f * old == new for f, old, new in zip(factors, source.shape, size, strict=False))
    if module.mode not in _RESIZES or not exact:
        raise AtollError(
            f"an upsampling of mode {module.mode!r} from {source.shape[:2]} by {factors} cannot be written "
            f"for LiteRT; allowed are {', '.join(_RESIZES)}, to whole numbers"
        )
    kind, centered = _RESIZES[module.mode]
    index = operators_pooling.resize(
        bench.model, bench.maps(source), size, kind, aligned, centered and not aligned
    )
    return replace(source, index=index, shape=(*size, source.shape[2]))
