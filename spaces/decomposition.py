"""What the techniques that write a layer as several smaller ones have in common."""

from abc import abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from .context import Context
from .domains import Choice, Float, Int
from .errors import AtollError
from .kernels.conv_factors import relative_error
from .kernels.layer_fit import BATCH, MAP_BATCH, MAP_IMAGES, fit_layer
from .kernels.statistics import layer_inputs, reestimate
from .layers.activation_grid import ActivationGrid
from .layers.constraint import Constraint
from .layers.conv import Conv, Window
from .layers.conv_chain import ConvChain
from .layers.dense import Dense
from .layers.factor import FLOAT_BITS
from .layers.layer import Layer
from .layers.structure import replace, to_meta
from .targets import targeted_layers
from .technique import Decisions, Technique, setting

#: dense layers with fewer weights are left alone: PUB-II decomposes only the large dense layer
LEAST_WEIGHTS = 4096
#: what a stage of a convolution takes in an int8 file beside its weights, and each of its channels: scale
#: and the bias that every kernel wants (own measurement, 2026: 304 bytes for 8 channels, 509 for 32)
STAGE_BYTES, CHANNEL_BYTES = 250, 8
#: images for the fit of a layer
IMAGES = 1024
#: root mean square of the random weights that a layer of zeros gets
LEAST_SIZE = 1e-3


class Decomposition(Technique):
    """Writes layers as chains of smaller ones, then fits each to the layer's own inputs and outputs.

    A subclass declares the settings below (its `layers` last) and writes one layer.
    """

    @property
    @abstractmethod
    def rank(self) -> int | float | str:
        """The number that bounds every rank, or `auto`: the smallest ranks that keep `max_error`."""

    @property
    @abstractmethod
    def start(self) -> str:
        """`decomposition` of the trained weights, or `scratch`."""

    @property
    @abstractmethod
    def fit_steps(self) -> int:
        """Adam steps of the fit."""

    @abstractmethod
    def unsuited(self, layer: Layer) -> str | None:
        """Returns why the technique does not touch a layer of this kind, in words; None where it does."""

    @abstractmethod
    def write(self, layer: Layer, weight: Tensor, generator: torch.Generator | None) -> Layer | str:
        """Returns a layer in decomposed form, without bias and constraints, or why no rank is worth it.

        Args:
            layer: one that the technique suits; its sizes alone matter.
            weight: its effective weight; on the meta device the structure alone is made, with ranks of 1
                where they are automatic.
            generator: None on the meta device.
        """

    @property
    def plan_is_exact(self) -> bool:
        return self.rank != "auto"

    def plan(self, model: nn.Module) -> nn.Module:
        planned = to_meta(model)
        for name, layer in targeted_layers(planned, str(self.scope)):
            form = self._form(layer, None)
            if isinstance(form, Layer):
                replace(planned, name, under_constraints(layer, form))
        return planned

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        decomposed = deepcopy(model)
        images = context.images(IMAGES)
        errors: dict[str, float] = {}
        weight_errors: dict[str, float] = {}
        left_alone: dict[str, str] = {}
        for name, layer in targeted_layers(model, str(self.scope)):
            form = self._form(layer, context.generator)
            if isinstance(form, str):
                left_alone[name] = form
                continue
            weight_errors[name] = weight_error(layer, form)
            errors[name] = self._fit(name, form, model, decomposed, images, context.generator)
        reestimate(decomposed, images)
        notes = {"relative_error": errors, "weight_error": weight_errors, "left_alone": left_alone}
        return decomposed, self.decisions(model, decomposed, **notes)

    def _form(self, layer: Layer, generator: torch.Generator | None) -> Layer | str:
        """Returns a layer in decomposed form, unconstrained, or why it is left alone."""
        reason = self.unsuited(layer)
        if reason is not None:
            return reason
        form = self._smaller(layer, torch.empty(layer_weight_shape(layer), device="meta"), None)
        if generator is not None and isinstance(form, Layer):
            form = self._smaller(layer, layer.output_rows(), generator)
        if isinstance(form, Layer):
            if generator is not None and self.start == "scratch":
                draw(form, layer.output_rows(), generator)
            if layer.bias is not None:
                form.bias = nn.Parameter(layer.bias.detach().clone())
            form.input_sign = deepcopy(layer.input_sign)  # the fit must see what the layer sees
        return form

    def _smaller(self, layer: Layer, weight: Tensor, generator: torch.Generator | None) -> Layer | str:
        form = self.write(layer, weight, generator)
        return form if isinstance(form, str) else not_smaller(layer, form) or form

    def _fit(
        self,
        name: str,
        form: Layer,
        model: nn.Module,
        decomposed: nn.Module,
        images: Tensor,
        generator: torch.Generator,
    ) -> float:
        """Puts a layer's decomposed form in its place, fitted; returns the relative squared error."""
        layer = model.get_submodule(name)
        if not isinstance(layer, Layer):
            raise AtollError(f"{name}: got {type(layer).__name__}, allowed is a layer with weights")
        maps = isinstance(form, ConvChain)
        images = images[:MAP_IMAGES] if maps else images
        inputs, _ = layer_inputs(decomposed, decomposed.get_submodule(name), images)
        _, outputs = layer_inputs(model, layer, images)
        batch = MAP_BATCH if maps else BATCH
        error = fit_layer(form, inputs, outputs, self.fit_steps, generator, batch)
        form = under_constraints(layer, form)
        replace(decomposed, name, form)
        constrained = any(factor.constraints for factor in form.factors().values())
        if constrained or form.activation_bits < FLOAT_BITS:
            reestimate(decomposed, images)
            error = fit_layer(form, inputs, outputs, self.fit_steps, generator, batch)
        return error


# Settings that all of them have ------------------------------------------------------------------------


def max_error_setting() -> Any:
    """Declares the error bound that counts where the rank is `auto`."""
    return setting(
        0.5,
        Float(0.0, 1.0, (0.5,), "of the weights' Frobenius norm", open_ends=True),
        "Oseledets 2011, thm. 2.2; own choice: trained layers lie at 0.9 and more at ranks that pay, "
        "and the fit makes up for it",
    )


def start_setting() -> Any:
    """Declares where the values of the factors come from."""
    return setting(
        "decomposition",
        Choice(("decomposition", "scratch"), ("decomposition",)),
        "PUB-II; own measurement, 2026: cores from scratch did worst",
    )


def fit_steps_setting() -> Any:
    """Declares how long each layer is fitted to its own inputs and outputs."""
    return setting(
        200, Int(0, 5000, (200,)), "own measurement, 2026: the fit brings back 14 points at rank 10"
    )


# Which layers ------------------------------------------------------------------------------------------


def unsuited_dense(layer: Layer) -> str | None:
    """Returns why a layer cannot be decomposed as a dense one, None where it can."""
    if layer.decomposed:
        return "is decomposed already"
    return None if isinstance(layer, Dense) else "is no dense layer"


def unsuited_conv(layer: Layer) -> str | None:
    """Returns why a layer cannot be decomposed as a convolution, None where it can."""
    if layer.decomposed:
        return "is decomposed already"
    if not isinstance(layer, Conv):
        return "is no convolution"
    if layer.depthwise:
        return "convolves each channel by itself: it has no channels to mix with fewer weights"
    return f"convolves {layer.groups} groups of channels by themselves" if layer.groups > 1 else None


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


# What is written ---------------------------------------------------------------------------------------


def chain_of(layer: Conv, weights: Sequence[Tensor]) -> ConvChain:
    """Returns the chain of convolutions with these weights, which goes over its maps as the layer does.

    Stride, padding and dilation go to the stage that is as long as the kernel on that axis, to the first
    that is longer than 1 on any where there is none, and to the very first where all are 1x1.

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
        window = Window(
            size,
            _where(own, layer.stride, 1),
            # along an axis that another stage bears, "same" adds nothing to a stage of size and stride 1
            "same" if layer.padding == "same" else _where(own, layer.padding, 0),
            _where(own, layer.dilation, 1),
            weight.shape[0] if alone else 1,
        )
        stages.append((weight.shape[0], weight.shape[1], window))
    chain = ConvChain(stages, bias=False, device=weights[0].device)
    if not weights[0].is_meta:
        chain.set_stages(weights)
    return chain


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
    constraints = [c for c in weight.constraints.values() if isinstance(c, Constraint)]
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
