"""Operations over windows and positions of maps: poolings, means, upsampling, written as operators."""

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from ...spaces.errors import AtollError
from ...spaces.graph.graph import Operation
from ...spaces.graph.operation_kinds import averages
from ...spaces.layers.same_padding import SameAvgPool2d, SameMaxPool2d
from . import operators
from .lower_functions import on_int8
from .lower_layers import padded
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
    module = operation.module
    if averages(operation.kind, module) and target is None:
        source = bench.to_float(source)
    if operation.kind == "global_avg_pool" and operation.shape[1:] in ((1, 1), ()):
        return _mean(bench, operation, source, target)
    if operation.kind == "global_max_pool" and operation.shape[1:] == (1, 1):
        index = operators.pool_2d(bench.model, bench.maps(source), "max", _pair(source.shape[:2]))
        return replace(source, index=index, shape=(1, 1, source.shape[2]))
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        return _pool(bench, module, source)
    if isinstance(module, nn.Upsample):
        return _upsample(bench, module, source, operation.shape)
    return None


def _mean(
    bench: Workbench, operation: Operation, source: LoweredValue, target: TensorGrid | None
) -> LoweredValue:
    """Global average pooling."""
    (source,), target = on_int8(bench, operation.kind, [source], target)
    keep = len(operation.shape) == 3
    index = operators.mean(bench.model, bench.maps(source), (1, 2), keep_dims=keep, grid=target)
    shape = (1, 1, source.shape[2]) if keep else (source.shape[2],)
    return LoweredValue(index, shape, non_negative=source.non_negative)


def _pool(bench: Workbench, module: nn.MaxPool2d | nn.AvgPool2d, source: LoweredValue) -> LoweredValue:
    window, strides = _pair(module.kernel_size), _pair(module.stride)
    largest = isinstance(module, nn.MaxPool2d)
    kind = "max" if largest else "average"
    if isinstance(module, SameMaxPool2d | SameAvgPool2d):
        index = operators.pool_2d(bench.model, bench.maps(source), kind, window, strides, "same")
        return LoweredValue(index, bench.model.tensors[index].shape[1:], non_negative=source.non_negative)
    padding = _pair(module.padding)
    if module.ceil_mode or _pair(getattr(module, "dilation", 1)) != (1, 1):
        raise AtollError("pooling with ceil_mode or dilation cannot be written for LiteRT")
    if not largest and module.divisor_override:
        raise AtollError("average pooling with a divisor_override cannot be written for LiteRT")
    if not largest and any(padding) and not module.count_include_pad:
        raise AtollError("average pooling that leaves its padding out cannot be written for LiteRT")
    if largest and any(padding) and not source.non_negative:
        raise AtollError("max pooling with padding can be written for LiteRT only behind a ReLU")
    if any(padding):
        zeros = ((padding[0], padding[0]), (padding[1], padding[1]))
        maps, mode = padded(bench, source, window, strides, zeros)
        if mode == "same" and not largest:  # LiteRT's SAME leaves the padding out of the average
            height, width = padding
            maps = operators.pad_2d(bench.model, bench.maps(source), (height, height), (width, width))
            mode = "valid"
    else:
        maps, mode = bench.maps(source), "valid"
    index = operators.pool_2d(bench.model, maps, kind, window, strides, mode)
    return LoweredValue(index, bench.model.tensors[index].shape[1:], non_negative=source.non_negative)


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
    index = operators.resize(bench.model, bench.maps(source), size, kind, aligned, centered and not aligned)
    return replace(source, index=index, shape=(*size, source.shape[2]))


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])
