"""What the techniques that write a layer as several smaller ones have in common."""

from abc import abstractmethod
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import AtollError
from ..kernels.layer_fit import BATCH, MAP_BATCH, MAP_IMAGES, fit_layer
from ..layers.bits import FLOAT_BITS
from ..layers.conv_chain import ConvChain
from ..layers.layer import Layer
from ..layers.statistics import layer_inputs, reestimate
from ..layers.structure import replace, to_meta
from ..technique.context import Context
from ..technique.domains import Choice, Float, Int
from ..technique.targets import targeted_layers
from ..technique.technique import Decisions, Technique, setting
from .decomposable import layer_weight_shape, not_smaller
from .decomposed_form import draw, under_constraints, weight_error

#: images for the fit of a layer
IMAGES = 1024


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
    def factored(self, layer: Layer, weight: Tensor) -> Layer:
        """Returns a layer in decomposed form by formula, without bias and constraints.

        Args:
            layer: one that the technique suits; its sizes alone matter.
            weight: its effective weight; on the meta device the structure alone is made, with ranks of 1
                where they are automatic.
        """

    def write(self, layer: Layer, weight: Tensor, generator: torch.Generator) -> Layer | str:
        """Returns a layer in decomposed form, as `factored` does, or why no rank is worth it.

        Args:
            layer: one that the technique suits.
            weight: its effective weight.
            generator: for techniques that have to search.
        """
        return self.factored(layer, weight)

    @property
    def plan_is_exact(self) -> bool:
        return self.rank != "auto"

    def plan(self, model: nn.Module) -> nn.Module:
        planned = to_meta(model)
        for name, layer in targeted_layers(planned, str(self.scope)):
            form = self._planned(layer)
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
            form = self._written(layer, context.generator)
            if isinstance(form, str):
                left_alone[name] = form
                continue
            weight_errors[name] = weight_error(layer, form)
            errors[name] = self._fit(name, form, model, decomposed, images, context.generator)
        reestimate(decomposed, images)
        notes = {"relative_error": errors, "weight_error": weight_errors, "left_alone": left_alone}
        return decomposed, self.decisions(model, decomposed, **notes)

    def _planned(self, layer: Layer) -> Layer | str:
        """Returns a layer's decomposed form on the meta device, unconstrained, or why it is left alone."""
        reason = self.unsuited(layer)
        if reason is not None:
            return reason
        form = self.factored(layer, torch.empty(layer_weight_shape(layer), device="meta"))
        return not_smaller(layer, form) or _completed(layer, form)

    def _written(self, layer: Layer, generator: torch.Generator) -> Layer | str:
        """Returns a layer's decomposed form, unconstrained, or why it is left alone."""
        planned = self._planned(layer)
        if isinstance(planned, str):
            return planned
        weight = layer.output_rows()
        form = self.write(layer, weight, generator)
        if isinstance(form, str):
            return form
        reason = not_smaller(layer, form)  # ranks that the plan did not know
        if reason is not None:
            return reason
        if self.start == "scratch":
            draw(form, weight, generator)
        return _completed(layer, form)

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


def _completed(layer: Layer, form: Layer) -> Layer:
    """Gives a decomposed form what the layer has beside its weight and the fit must know."""
    if layer.bias is not None:
        form.bias = nn.Parameter(layer.bias.detach().clone())
    form.input_sign = deepcopy(layer.input_sign)
    return form


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
