"""Layers with weights and normalisations, written as operators."""

from dataclasses import replace
from itertools import zip_longest
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ...spaces.errors import AtollError
from ...spaces.layers.activation_grid import ActivationGrid
from ...spaces.layers.conv import Conv, Window, as_map
from ...spaces.layers.conv_chain import AnyWindow, ConvChain
from ...spaces.layers.dense import Dense
from ...spaces.layers.factor import Factor
from ...spaces.layers.layer import Layer
from ...spaces.layers.norm import Norm
from ...spaces.layers.same_padding import window_padding
from ...spaces.layers.transposed_conv import TransposedConv, TransposedWindow
from ...spaces.layers.tt_dense import TTDense
from . import operators
from .operators_moving import pad, part, transpose
from .support import WeightedOperator
from .tensors import TensorGrid
from .values import LoweredValue, Workbench, channels_first_order
from .weights import Weights, to_numpy

Shape = tuple[int, ...]
#: -1 and +1 are -127 and 127 steps, exactly in float32 too; steps of 1 would round the layer's bias to whole
#: weights
SIGN_GRID = TensorGrid(float(np.float32(1 / 127)))


def lower_layer(
    bench: Workbench,
    layer: Layer,
    source: LoweredValue,
    norm: Norm | None,
    activation: str | None,
    target: TensorGrid | None,
) -> LoweredValue:
    """Writes a layer, a normalisation folded into it and a fused activation; returns the result.

    Args:
        bench: the file under construction.
        layer: what to write.
        source: its input.
        norm: folded into the layer; None for none.
        activation: ``relu`` or ``relu6``, fused; None for none.
        target: the grid of the result, None for float.

    Raises:
        AtollError: there is no way to write such a layer.
    """
    source = bench.on_grid(source, bench.grid(layer.input_grid))
    if layer.input_sign is not None:
        source = _signs(bench, source, SIGN_GRID if layer.activation_bits == 8 else None)
    if isinstance(layer, TTDense) and not layer.sliceable:
        value = _lower_tensor_train(bench, layer, bench.in_torch_order(source), target, activation)
    else:
        value = _lower_stages(bench, layer, norm, source, target, activation)
    return bench.on_grid(value, target)


def _signs(bench: Workbench, source: LoweredValue, grid: TensorGrid | None) -> LoweredValue:
    """The signs of a value: int8 on ``grid``, which a DEQUANTIZE gives back exactly, or float for None."""
    return replace(source, index=operators.sign(bench.model, source.index, grid))


class _Stage(NamedTuple):
    """One convolution (with a window) or dense stage of a layer, and the grid behind it where it is inner."""

    factor: Factor
    window: AnyWindow | None
    grid: ActivationGrid | None


def _stages(layer: Layer) -> list[_Stage]:
    """The stages of a layer that follow each other as they are; the last one has the layer's bias.

    Raises:
        AtollError: there is no way to write such a layer.
    """
    if isinstance(layer, Conv | TransposedConv):
        return [_Stage(layer.weight, layer.window, None)]
    if isinstance(layer, ConvChain):
        return [_Stage(factor, window, grid) for window, factor, _, grid in layer.steps()]
    if isinstance(layer, Dense):
        return [_Stage(layer.weight, None, None)]
    if isinstance(layer, TTDense):
        grids = [grid for grid in layer.stage_grids if isinstance(grid, ActivationGrid)]
        factors = [factor for factor, _, _ in layer.stages()]
        return [_Stage(factor, None, grid) for factor, grid in zip_longest(factors, grids)]
    raise AtollError(f"a layer of type {type(layer).__name__} cannot be written for LiteRT")


def _lower_stages(
    bench: Workbench,
    layer: Layer,
    norm: Norm | None,
    source: LoweredValue,
    target: TensorGrid | None,
    activation: str | None,
) -> LoweredValue:
    """Writes a layer stage by stage; bias, normalisation and activation go into the last one."""
    *inner, last = _stages(layer)
    for stage in inner:
        grid = bench.grid(stage.grid)
        weights = Weights.of(stage.factor, None)
        source = bench.on_grid(_lower_stage(bench, layer, stage, weights, source, grid, None), grid)
    weights = Weights.of(last.factor, layer.bias)
    weights = weights if norm is None else weights.folded(norm)
    return _lower_stage(bench, layer, last, weights, source, target, activation)


def _lower_stage(
    bench: Workbench,
    layer: Layer,
    stage: _Stage,
    weights: Weights,
    source: LoweredValue,
    target: TensorGrid | None,
    activation: str | None,
) -> LoweredValue:
    if stage.window is None:
        return _lower_dense(bench, weights, source, target, activation, layer.dynamic)
    if isinstance(stage.window, TransposedWindow):
        return _lower_transposed(bench, stage.window, weights, source, target, activation)
    return _lower_conv(bench, stage.window, weights, source, target, activation, layer.dynamic)


def _kernel_grids(
    bench: Workbench, weights: Weights, source: LoweredValue, target: TensorGrid | None
) -> tuple[LoweredValue, TensorGrid | None, TensorGrid | None]:
    """The input as the kernel takes it, and the kernel's two grids: both None where it runs in float."""
    grid = bench.grid_of(source)
    if weights.int8_kernel_fits(grid, target):
        return source, grid, target
    return bench.to_float(source), None, None


def _lower_conv(
    bench: Workbench,
    window: Window,
    weights: Weights,
    source: LoweredValue,
    target: TensorGrid | None,
    activation: str | None,
    dynamic: bool,
) -> LoweredValue:
    source, source_grid, target = _kernel_grids(bench, weights, source, target)
    depthwise = window.groups > 1 and weights.values.shape[1] == 1
    operator: WeightedOperator = "depthwise" if depthwise else "conv"
    constants = weights.add_to(bench.model, operator, source_grid, dynamic)
    zeros = window.zeros(*source.shape[:-1])
    x, padding = padded(bench, source, window.size, window.stride, zeros, window.dilation)
    settings: dict[str, Any] = dict(
        grid=target, strides=window.stride, padding=padding, activation=activation, dilation=window.dilation
    )
    build = operators.depthwise_conv_2d if depthwise else operators.conv_2d
    y = build(bench.model, x, *constants, **settings)
    return _maps_made(bench, y, source)


def _maps_made(bench: Workbench, index: int, source: LoweredValue) -> LoweredValue:
    """The value of a tensor [1, height, width, channels] made of maps, or of a sequence, without height."""
    shape = bench.model.tensors[index].shape
    return LoweredValue(index, shape[-len(source.shape) :], axes=source.axes)


def _lower_transposed(
    bench: Workbench,
    window: TransposedWindow,
    weights: Weights,
    source: LoweredValue,
    target: TensorGrid | None,
    activation: str | None,
) -> LoweredValue:
    source, source_grid, target = _kernel_grids(bench, weights, source, target)
    constants = weights.add_to(bench.model, "transposed", source_grid)
    height, width = as_map(source.shape[:-1])
    written = window.as_written(height, width)
    settings: dict[str, Any] = dict(strides=window.stride, padding=written.padding, activation=activation)
    y = operators.transpose_conv(
        bench.model, bench.maps(source), *constants, written.size, grid=target, **settings
    )
    made = window.output_size(height, width)
    if written.cut != (0, 0) or made != written.size:
        cut = [(first, size, 1) for first, size in zip(written.cut, made, strict=True)]
        y = part(bench.model, y, [(0, 1, 1), *cut, (0, bench.model.tensors[y].shape[-1], 1)])
    return _maps_made(bench, y, source)


def padded(
    bench: Workbench,
    source: LoweredValue,
    window: tuple[int, ...],
    strides: tuple[int, int],
    zeros: tuple[tuple[int, int], tuple[int, int]],
    dilation: tuple[int, int] = (1, 1),
) -> tuple[int, str]:
    """Zeros (above, below), (left, right) as LiteRT's: the maps, padded where SAME or VALID means other ones.

    Returns:
        tensor index [1, height, width, channels] and ``same`` or ``valid``.
    """
    pads = window_padding(as_map(source.shape[:-1]), window, strides, zeros, dilation)
    maps = bench.maps(source)
    if pads is None:
        return maps, "same"
    if any(pads[0] + pads[1]):
        maps = pad(bench.model, maps, [(0, 0), *pads, (0, 0)])
    return maps, "valid"


def _lower_dense(
    bench: Workbench,
    weights: Weights,
    source: LoweredValue,
    target: TensorGrid | None,
    activation: str | None,
    dynamic: bool,
) -> LoweredValue:
    source, source_grid, target = _kernel_grids(bench, weights, source, target)
    if source.unflattened is not None:
        weights = weights.with_columns(channels_first_order(source.unflattened))
    constants = weights.add_to(bench.model, "dense", source_grid, dynamic)
    *rows, _ = source.shape
    x = bench.shaped(source, (1, *source.shape)) if rows else source.index
    settings: dict[str, Any] = dict(grid=target, activation=activation, keep_num_dims=bool(rows))
    y = operators.fully_connected(bench.model, x, *constants, **settings)
    return LoweredValue(y, (*rows, len(weights.values)), axes=source.axes if rows else None)


def lower_norm(
    bench: Workbench, norm: Norm, source: LoweredValue, activation: str | None, target: TensorGrid | None
) -> LoweredValue:
    """Writes a normalisation that nothing takes in, as a 1x1 depthwise convolution: y = gain x + shift."""
    gain, shift = (to_numpy(part).astype(np.float64) for part in norm.scale_and_shift())
    value = _scale_and_shift(bench, bench.in_torch_order(source), gain, shift, target, activation)
    return bench.on_grid(value, target)


def _scale_and_shift(
    bench: Workbench,
    source: LoweredValue,
    gain: np.ndarray,
    shift: np.ndarray,
    target: TensorGrid | None,
    activation: str | None,
) -> LoweredValue:
    """``gain`` x + ``shift`` per channel; on int8 grids with weights +-127 and scale |gain| / 127.

    A ``gain`` [1] is that of all channels: then one scale is stored.
    """
    filters = np.broadcast_to(gain, shift.shape).reshape(-1, 1, 1, 1)
    if target is not None and bench.grid_of(source) is not None:
        scale = np.where(gain == 0, 1.0, np.abs(gain)) / 127
        weights = Weights(127 * np.sign(filters), scale, 8, shift)
    else:
        weights = Weights(filters, None, 32, shift)
    source, source_grid, target = _kernel_grids(bench, weights, source, target)
    if source_grid is None:
        weights = Weights(filters, None, 32, shift)
    constants = weights.add_to(bench.model, "depthwise", source_grid)
    maps = bench.maps(source)
    y = operators.depthwise_conv_2d(bench.model, maps, *constants, grid=target, activation=activation)
    return LoweredValue(y, source.shape, axes=source.axes)


def _lower_tensor_train(
    bench: Workbench, layer: TTDense, source: LoweredValue, target: TensorGrid | None, activation: str | None
) -> LoweredValue:
    """Writes a tensor train as dense stages; each multiplies [rows, m r] and moves its mode in front.

    An input of more axes is several rows of features, each by itself: modes move within them alone.
    """
    stages = layer.stages()
    bias = None if layer.bias is None else to_numpy(layer.bias).astype(np.float64)
    grids = [bench.grid(grid) for grid in layer.stage_grids if isinstance(grid, ActivationGrid)]
    if not grids and len(stages) > 1:
        grids = [None] * (len(stages) - 1)
    last = target if bias is None else _grid_before_shift(target, bias)
    value, each_by_itself = source, prod(source.shape[:-1])
    for position, ((factor, rank, mode), grid) in enumerate(zip(stages, [*grids, last], strict=True)):
        weights = Weights.of(factor, None)
        value, source_grid, kernel_grid = _kernel_grids(bench, weights, value, grid)
        constants = weights.add_to(bench.model, "dense", source_grid, layer.dynamic)
        fused = activation if bias is None and position == len(stages) - 1 else None
        y = operators.fully_connected(
            bench.model, value.index, *constants, grid=kernel_grid, activation=fused
        )
        rows = bench.model.tensors[y].shape[0] // each_by_itself
        if rows * rank > 1 and mode > 1:
            shape, order = _mode_in_front(each_by_itself, rows * rank, mode)
            y = transpose(bench.model, bench.shaped(LoweredValue(y, ()), shape), order)
        value = bench.on_grid(LoweredValue(y, (rows * rank * mode,)), grid)
    if bias is not None:
        rows_of_features = (each_by_itself, layer.outputs) if each_by_itself > 1 else (layer.outputs,)
        value = replace(value, shape=rows_of_features)
        value = _scale_and_shift(bench, value, np.ones(1), bias, target, activation)
    return replace(value, shape=(*source.shape[:-1], layer.outputs), axes=source.axes)


def _mode_in_front(each_by_itself: int, others: int, mode: int) -> tuple[Shape, Shape]:
    """Sizes of a stage's result, and the order of its axes that puts the mode before all others.

    Rows and rank stay neighbours, so they are one axis of ``others``, and every stage shares one order.
    """
    if each_by_itself > 1:
        return (each_by_itself, others, mode), (0, 2, 1)
    return (others, mode), (1, 0)


def _grid_before_shift(target: TensorGrid | None, shift: np.ndarray) -> TensorGrid | None:
    """A grid for x that loses nothing of what x + ``shift`` shows on ``target``."""
    if target is None:
        return None
    low = (-128 - target.zero_point) * target.scale - max(shift.max(), 0.0)
    high = (127 - target.zero_point) * target.scale - min(shift.min(), 0.0)
    scale = (high - low) / 255
    return TensorGrid(float(np.float32(scale)), int(np.clip(np.rint(-128 - low / scale), -128, 127)))
