"""What a layer is written as when it is decomposed: its stages, their values, what they are under."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..kernels.conv_factors import relative_error
from ..layers.activation_grid import ActivationGrid
from ..layers.bits import FLOAT_BITS
from ..layers.conv import Conv, Window
from ..layers.conv_chain import AnyWindow, ConvChain
from ..layers.layer import Layer
from ..layers.transposed_conv import TransposedConv, TransposedWindow
from ..layers.weight_constraint import WeightConstraint

#: root mean square of the random weights that a layer of zeros gets
LEAST_SIZE = 1e-3


def chain_of(layer: Conv | TransposedConv, weights: Sequence[Tensor]) -> ConvChain:
    """Returns the chain of convolutions with these weights, which goes over its maps as the layer does.

    Stride, padding, dilation and what a transposed one leaves on go to the stage that is as long as the
    kernel on that axis, to the first that is longer than 1 on any where there is none, and to the very first
    where all are 1x1.

    Args:
        layer: the convolution that is decomposed.
        weights: [out, in / groups, kh, kw] in the order of computation; a stage [R, 1, ...] behind the first
            convolves each channel by itself.
    """
    spatial = [k for k, weight in enumerate(weights) if weight.shape[2:].numel() > 1] or [0]
    bearers = []
    for axis in (0, 1):
        long = [k for k in spatial if weights[k].shape[2 + axis] > 1]
        bearers.append((long or spatial)[0])
    stages = []
    for k, weight in enumerate(weights):
        size = (weight.shape[2], weight.shape[3])
        own = [k == bearer for bearer in bearers]
        alone = k > 0 and weight.shape[1] == 1 < weight.shape[0] == weights[k - 1].shape[0]
        groups = weight.shape[0] if alone else 1
        stages.append((weight.shape[0], weight.shape[1], _stage(layer, size, own, groups)))
    chain = ConvChain(stages, bias=False, device=weights[0].device)
    if not weights[0].is_meta:
        chain.set_stages(weights)
    return chain


def _stage(
    layer: Conv | TransposedConv, size: tuple[int, int], own: Sequence[bool], groups: int
) -> AnyWindow:
    """Returns the window of a stage, with what the layer does along the axes that the stage bears."""
    if isinstance(layer, TransposedConv):
        theirs = layer.window
        if not any(own):
            return Window(size)
        more = _where(own, theirs.more, 0)
        return TransposedWindow(size, _where(own, theirs.stride, 1), _where(own, theirs.padding, 0), more)
    return Window(
        size,
        _where(own, layer.stride, 1),
        # along an axis that another stage bears, "same" adds nothing to a stage of size and stride 1
        "same" if layer.padding == "same" else _where(own, layer.padding, 0),
        _where(own, layer.dilation, 1),
        groups,
    )


def _where(own: Sequence[bool], theirs: tuple[int, int], otherwise: int) -> tuple[int, int]:
    vertical, horizontal = (value if here else otherwise for here, value in zip(own, theirs, strict=True))
    return vertical, horizontal


def draw(form: Layer, weight: Tensor, generator: torch.Generator) -> None:
    """Gives a decomposed layer random factors whose product is as large as the weight is, in place."""
    factors = list(form.factors().values())
    for factor in factors:
        drawn = torch.randn(factor.shape, generator=generator)
        factor.set(drawn.to(factor.device) / factor.shape[1:].numel() ** 0.5)
    wanted = max(_size(weight), LEAST_SIZE)
    gain = (wanted / max(_size(form.output_rows()), 1e-30)) ** (1 / len(factors))
    for factor in factors:
        factor.set(gain * factor.effective())


def _size(weight: Tensor) -> float:
    return float(weight.square().mean().sqrt())


def weight_error(layer: Layer, form: Layer) -> float:
    """Returns how far a decomposed form is from the layer's weight, relative to its Frobenius norm."""
    return relative_error(layer.output_rows(), form.output_rows())


def under_constraints(layer: Layer, form: Layer) -> Layer:
    """Returns the form under what the layer was under, in the execution form that it then keeps.

    Args:
        layer: not decomposed, with one weight.
        form: decomposed and unconstrained.
    """
    (weight,) = layer.factors().values()
    constraints = [c for c in weight.constraints.values() if isinstance(c, WeightConstraint)]
    quantized = layer.activation_bits < FLOAT_BITS
    if quantized or any(c.on_decomposition == "imposed anew" for c in constraints):
        form = form.settled()
    for factor in form.factors().values():
        factor.inherit(weight)
    form.take_activations_of(layer)
    if quantized:
        grid = layer.output_grid or layer.input_grid
        form.grid_stages(layer.activation_bits, "min_max" if grid is None else grid.calibration)
        if form.output_grid is None and not form.sliceable:
            # it sat on a normalisation folded into the layer
            form.output_grid = ActivationGrid(layer.activation_bits, device=weight.device)
    return form
