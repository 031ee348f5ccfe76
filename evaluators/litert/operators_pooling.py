"""Operators over windows, positions and axes, one function each, as in `operators`."""

from collections.abc import Sequence

from .operators import PADDING, window_size
from .tensors import TensorGrid
from .writer import TfliteModel


def pool_2d(
    model: TfliteModel,
    x: int,
    kind: str,
    window: tuple[int, int],
    strides: tuple[int, int] | None = None,
    padding: str = "valid",
) -> int:
    """``max`` or ``average`` pooling of ``x`` [1, height, width, channels], by default in whole windows."""
    strides = strides or window
    batch, height, width, channels = model.tensors[x].shape
    shape = (
        batch,
        window_size(height, window[0], strides[0], padding),
        window_size(width, window[1], strides[1], padding),
        channels,
    )
    y = model.add_activation(shape, model.tensors[x].grid)
    model.add_operator(
        {"max": "MAX_POOL_2D", "average": "AVERAGE_POOL_2D"}[kind],
        (x,),
        (y,),
        options="Pool2D",
        padding=PADDING[padding],
        strideH=strides[0],
        strideW=strides[1],
        filterHeight=window[0],
        filterWidth=window[1],
    )
    return y


def mean(
    model: TfliteModel, x: int, axes: Sequence[int], keep_dims: bool = False, grid: TensorGrid | None = None
) -> int:
    """Mean of ``x`` over ``axes``; int8 results are on ``grid``, by default that of the input."""
    shape = model.tensors[x].shape
    kept = [1 if axis in axes else size for axis, size in enumerate(shape) if keep_dims or axis not in axes]
    y = model.add_activation(kept, grid or model.tensors[x].grid)
    index = model.add_index(axes)
    model.add_operator("MEAN", (x, index), (y,), options="Reducer", keepDims=keep_dims)
    return y


def resize(
    model: TfliteModel,
    x: int,
    size: tuple[int, int],
    kind: str,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> int:
    """``bilinear`` or ``nearest_neighbor`` interpolation of maps ``x`` [1, height, width, channels]."""
    batch, _, _, channels = model.tensors[x].shape
    y = model.add_activation((batch, *size, channels), model.tensors[x].grid)
    name = "".join(word.capitalize() for word in ("resize", *kind.split("_")))
    settings = dict(alignCorners=align_corners, halfPixelCenters=half_pixel_centers)
    model.add_operator(f"RESIZE_{kind.upper()}", (x, model.add_index(size)), (y,), options=name, **settings)
    return y
