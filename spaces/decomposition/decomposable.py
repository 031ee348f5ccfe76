"""Which layers can be written as several smaller ones, and when that is worth it."""

import torch

from ..layers.conv import Conv
from ..layers.conv_chain import ConvChain
from ..layers.dense import Dense
from ..layers.layer import Layer
from ..layers.transposed_conv import TransposedConv

#: dense layers with fewer weights are left alone: PUB-II decomposes only the large dense layer
LEAST_WEIGHTS = 4096
#: what a stage of a convolution takes in an int8 file beside its weights, and each of its channels: scale
#: and the bias that every kernel wants (own measurement, 2026: 304 bytes for 8 channels, 509 for 32)
STAGE_BYTES, CHANNEL_BYTES = 250, 8


def unsuited_dense(layer: Layer) -> str | None:
    """Returns why a layer cannot be decomposed as a dense one, None where it can."""
    if layer.decomposed:
        return "is decomposed already"
    return None if isinstance(layer, Dense) else "is no dense layer"


def unsuited_conv(layer: Layer) -> str | None:
    """Returns why a layer cannot be decomposed as a convolution, None where it can."""
    if layer.decomposed:
        return "is decomposed already"
    if isinstance(layer, TransposedConv):
        return None
    if not isinstance(layer, Conv):
        return "is no convolution"
    if layer.depthwise:
        return "convolves each channel by itself: it has no channels to mix with fewer weights"
    return f"convolves {layer.groups} groups of channels by themselves" if layer.groups > 1 else None


def unsuited_kind(layer: Layer, kinds: str) -> str | None:
    """Returns why a layer cannot be decomposed as what it is, None where it can.

    Args:
        layer: dense or a convolution.
        kinds: `dense`, `conv`, or `all` for both.
    """
    conv = isinstance(layer, Conv | TransposedConv)
    if not layer.decomposed and kinds == ("dense" if conv else "conv"):
        return f"is {'a convolution' if conv else 'a dense layer'}, and kinds={kinds}"
    return unsuited_conv(layer) if conv else unsuited_dense(layer)


def layer_weight_shape(layer: Layer) -> torch.Size:
    """Returns the shape of the one weight of a layer that is not decomposed."""
    (factor,) = layer.factors().values()
    return factor.shape


def not_smaller(layer: Layer, form: Layer) -> str | None:
    """Returns why a decomposed form is not worth it, by sizes alone; None where it is.

    A dense layer must have 4096 weights and shrink to half. A convolution must be smaller in a file of
    8-bit weights, what every stage and channel adds to it included.
    """
    weights = _elements(layer)
    if not isinstance(form, ConvChain):
        if weights < LEAST_WEIGHTS:
            return f"has {weights} weights: too few, allowed are {LEAST_WEIGHTS} and more"
        if 2 * _elements(form) > weights:
            return f"would have {_elements(form)} weights in place of {weights}: not half as many"
        return None
    before = weights + STAGE_BYTES + CHANNEL_BYTES * layer.outputs
    after = sum(f.shape.numel() + STAGE_BYTES + CHANNEL_BYTES * f.shape[0] for f in form.factors().values())
    if after >= before:
        return f"would take about {after} bytes with 8-bit weights in place of {before}"
    return None


def _elements(layer: Layer) -> int:
    return sum(factor.shape.numel() for factor in layer.factors().values())
