"""The operators of layers with weights and of normalisations, before there is a file."""

from dataclasses import replace
from itertools import zip_longest
from math import prod

from ...spaces.graph.graph import Operation
from ...spaces.layers.activation_grid import ActivationGrid
from ...spaces.layers.bits import FLOAT_BITS
from ...spaces.layers.conv import Conv, Window, as_map
from ...spaces.layers.conv_chain import AnyWindow, ConvChain
from ...spaces.layers.cost import Compute, OperationCost, kernel
from ...spaces.layers.factor import Factor
from ...spaces.layers.layer import Layer
from ...spaces.layers.norm import Norm
from ...spaces.layers.same_padding import Pair, window_padding
from ...spaces.layers.transposed_conv import TransposedConv, TransposedWindow
from ...spaces.layers.tt_dense import TTDense
from .operator_plan import AnyGrid, FixedGrid, OperatorPlan, Planned, Shape
from .operator_table import OPERATORS_OF

#: of signs that a kernel reads as integers
_SIGNS = FixedGrid()


def plan_layer(
    plan: OperatorPlan,
    operation: Operation,
    layer: Layer,
    source: Planned,
    folded: bool,
    grid: AnyGrid | None,
) -> Planned:
    """Plans a layer.

    Args:
        plan: where to.
        operation: whose module it is.
        layer: with what it does to its input.
        source: its input.
        folded: whether a normalisation is folded into it, which leaves a bias.
        grid: of its result, None for float.
    """
    source = plan.on_grid(source, layer.input_grid)
    if layer.input_sign is not None:
        compare, select = OPERATORS_OF["sign"]
        signs = _SIGNS if layer.activation_bits == 8 else None
        positive = plan.run(f"{operation.name}.positive", compare, [source], source.shape, None, bits=8)
        chosen = plan.run(f"{operation.name}.sign", select, [positive], source.shape, signs)
        source = replace(chosen, unflattened=source.unflattened)
    train = isinstance(layer, TTDense) and not layer.sliceable
    if train:
        source = plan.in_torch_order(source)
    *inner, last = layer.costs(source.shape, operation.shape)
    bias = last.bias_elements
    if train:
        last = replace(last, bias_elements=0)
    elif folded:
        last = replace(last, bias_elements=max(bias, operation.shape[0]))
    costs = [*inner, last]
    final = FixedGrid(grid.bits) if train and bias and grid is not None else grid
    for position, ((factor, window, behind), cost) in enumerate(zip(_stages(layer), costs, strict=True)):
        end = position == len(costs) - 1
        name = f"{operation.name}.{position}" if len(costs) > 1 else operation.name
        if train and bias:
            name = f"{operation.name}.{position}"
        behind = final if end else behind
        integer = factor.grid_bits is not None and factor.grid_bits <= 8 and not factor.affine
        behind_kernel = behind if integer and source.grid is not None else None
        if behind_kernel is None:
            source = plan.to_float(source)
        shape = _shape_behind(window, factor, source.shape, operation.shape if end else None, cost)
        source = _with_zeros(plan, window, source)
        wanted = shape
        if isinstance(window, TransposedWindow):
            size = window.as_written(*as_map(source.shape[1:])).size
            shape = (shape[0], *size[1 - len(shape) :])
            cost = replace(cost, output_elements=prod(shape))
        source = plan.weigh(
            name, source, shape, behind_kernel, _as_run(plan, cost, layer, factor, window, source)
        )
        if shape != wanted:
            source = plan.run(f"{name}.slice", "SLICE", [source], wanted, source.grid)
        if cost.moved_elements:
            source = plan.run(f"{name}.transpose", "TRANSPOSE", [source], shape, source.grid)
        source = plan.on_grid(source, behind)
    if train and bias:
        source = _scale_and_shift(plan, operation.name, source, _shift_cost(bias, operation.shape), grid)
    return plan.on_grid(source, grid)


def _as_run(
    plan: OperatorPlan,
    cost: OperationCost,
    layer: Layer,
    factor: Factor,
    window: AnyWindow | None,
    source: Planned,
) -> OperationCost:
    bits = FLOAT_BITS if source.grid is None else source.grid.bits
    narrowest = layer.narrowest_bits if window is None else window.narrowest_bits
    compute, calibrated = kernel(factor, narrowest, bits, layer.dynamic)
    # the runtime's convolutions must have a bias, if only zeros
    zeros = window is not None and plan.zero_biases
    biases = factor.shape[0] if zeros else cost.bias_elements
    return replace(cost, bias_elements=biases, compute=compute, calibrated=calibrated, moved_elements=0)


def _stages(layer: Layer) -> list[tuple[Factor, AnyWindow | None, AnyGrid | None]]:
    """Returns factor, window and the grid behind it, None behind the last, of every stage."""
    if isinstance(layer, ConvChain):
        return [(factor, window, grid) for window, factor, _, grid in layer.steps()]
    if isinstance(layer, Conv | TransposedConv):
        return [(layer.weight, layer.window, None)]
    if isinstance(layer, TTDense):
        grids = [grid for grid in layer.stage_grids if isinstance(grid, ActivationGrid)]
        return [(stage[0], None, grid) for stage, grid in zip_longest(layer.stages(), grids)]
    (factor,) = layer.factors().values()
    return [(factor, None, None)]


def _shape_behind(
    window: AnyWindow | None, factor: Factor, before: Shape, end: Shape | None, cost: OperationCost
) -> Shape:
    if end is not None:
        return end
    if window is not None:
        return window.output_shape(factor.shape[0], *before[1:])
    return (cost.output_elements,)


def _with_zeros(plan: OperatorPlan, window: AnyWindow | None, source: Planned) -> Planned:
    if not isinstance(window, Window):
        return source
    zeros = window.zeros(*source.shape[1:])
    pads = window_padding(as_map(source.shape[1:]), window.size, window.stride, zeros, window.dilation)
    return source if pads is None else padded_maps(plan, source, pads)


def padded_maps(plan: OperatorPlan, source: Planned, pads: tuple[Pair, ...], lowest: bool = False) -> Planned:
    """Plans zeros or lowest values, (before, after) each axis, around maps; nothing where there are none."""
    if not any(pad for pair in pads for pad in pair):
        return source
    channels, *sizes = source.shape
    of_axes = pads[-len(sizes) :]  # maps with one axis have a height of 1
    shape = (channels, *(size + sum(pair) for size, pair in zip(sizes, of_axes, strict=True)))
    found = plan.run(f"{source.name}.pad", "PADV2" if lowest else "PAD", [source], shape, source.grid)
    return replace(found, axes=source.axes)


def _shift_cost(features: int, shape: Shape) -> OperationCost:
    """Returns the cost of the bias behind a tensor train: a scale of ones and a shift."""
    return OperationCost(
        kind="norm",
        macs=prod(shape),
        weight_elements=features,
        bias_elements=features,
        output_elements=prod(shape),
    )


def plan_norm(
    plan: OperatorPlan, operation: Operation, norm: Norm, source: Planned, grid: AnyGrid | None
) -> Planned:
    """Plans a normalisation that nothing takes in: a 1x1 depthwise convolution, which runs not in place."""
    source = plan.in_torch_order(source)
    (cost,) = norm.costs(operation.shape, operation.shape, FLOAT_BITS)
    return _scale_and_shift(plan, operation.name, source, cost, grid)


def _scale_and_shift(
    plan: OperatorPlan, name: str, source: Planned, cost: OperationCost, grid: AnyGrid | None
) -> Planned:
    grid = None if source.grid is None else grid
    source = plan.to_float(source) if grid is None else source
    bits = FLOAT_BITS if grid is None else grid.bits
    compute: Compute = "int8" if bits == 8 else "float32"
    cost = replace(cost, weight_bits=bits, compute=compute, reduction=1, columns=1)
    return plan.weigh(name, source, source.shape, grid, cost)
