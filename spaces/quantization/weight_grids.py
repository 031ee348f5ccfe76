"""Putting layers on grids: what quantizing techniques share."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from ..kernels.affine import Calibration, symmetric_levels
from ..layers.bits import FLOAT_BITS
from ..layers.codebook import Codebook
from ..layers.half import BITS as HALF_BITS
from ..layers.half import Half
from ..layers.layer import Layer
from ..layers.structure import named_layers
from ..layers.weight_grid import Scheme, WeightGrid
from .activation_grids import place_grids

#: width of integer activations (THESIS §2.1.1; PUB-III: what Edge TPU and the integer kernels take)
ACTIVATION_BITS = 8
_FLOAT_ALONE = "its activations stay float: the runtime has no integer kernel for a recurrence"


@dataclass(frozen=True)
class WeightGrids:
    """How weights are put on grids.

    Args:
        scheme: `symmetric` around zero, or `affine` with a zero point and one level more.
        per_channel: one scale an output channel, or one for all.
        calibration: how the range is found.
        trained: whether scales move in training.
        least: whether the grids stand in a plan for themselves and wider ones.
    """

    scheme: Scheme = "symmetric"
    per_channel: bool = True
    calibration: Calibration = "auto"
    trained: bool = True
    least: bool = False

    def levels(self, bits: int) -> int:
        """Returns how many values a weight of that width may take; 16 bits are half precision."""
        if bits == HALF_BITS or self.scheme == "affine":
            return int(2**bits)
        return 2 * symmetric_levels(bits) + 1

    def reason_against(self, layer: Layer, bits: int) -> str | None:
        """Returns why a layer cannot be put on a grid of that width, None where it can."""
        levels = [factor.levels for factor in layer.factors().values() if factor.levels is not None]
        signs = any(factor.signs is not None for factor in layer.factors().values())
        if levels and (signs or min(levels) < self.levels(bits)):
            return f"its weights can take only {min(levels)} values already"
        return None

    def impose(self, layer: Layer, bits: int) -> None:
        """Puts the weights of a layer on grids of that width, fitted to what they are."""
        for factor in layer.factors().values():
            if bits == HALF_BITS:
                factor.impose(Half())
                continue
            # shared values must stay shared after rounding: one scale for all channels then
            per_channel = self.per_channel and factor.find(Codebook) is None
            how = (per_channel, self.scheme, self.calibration, self.trained, self.least)
            factor.impose(WeightGrid.fit(factor.effective(), bits, *how))


def quantize_layers(
    network: nn.Module, widths: Mapping[str, int], grids: WeightGrids, activations: str
) -> dict[str, dict[str, str]]:
    """Puts layers on grids, in place.

    Args:
        network: settled (see `settle`).
        widths: bits of each layer, by name; 16 is half precision.
        grids: how the weights are.
        activations: `int8` for grids with ranges from calibration images, `dynamic` for ranges that the
            kernel takes as it runs, `float`.

    Returns:
        remarks where activations are not what was asked for, with the reasons by name: `stays_float` for
        operations between integer layers, `not_dynamic` for layers.
    """
    layers = {name: layer for name, layer in named_layers(network) if name in widths}
    for name, layer in layers.items():
        grids.impose(layer, widths[name])
    if activations == "int8":
        method = "min_max" if grids.calibration == "auto" else grids.calibration
        narrow = {name: layer for name, layer in layers.items() if widths[name] < HALF_BITS}
        integers = [layer for layer in narrow.values() if not layer.float_alone]
        stays_float = place_grids(network, integers, ACTIVATION_BITS, method)
        stays_float |= {name: _FLOAT_ALONE for name, layer in narrow.items() if layer.float_alone}
        return {"stays_float": stays_float} if stays_float else {}
    refused = {}
    for name, layer in layers.items():
        reason = _reason_against_dynamic(layer)
        # no kernel takes a zero point or half precision beside activations that it rounds
        kept = layer.dynamic and grids.scheme == "symmetric" and widths[name] < HALF_BITS
        layer.dynamic = kept or (activations == "dynamic" and reason is None)
        if activations == "dynamic" and reason is not None:
            refused[name] = reason
    return {"not_dynamic": refused} if refused else {}


def _reason_against_dynamic(layer: Layer) -> str | None:
    if layer.activation_bits < FLOAT_BITS:
        return "its activations have grids of their own already"
    if not layer.takes_dynamic:
        return "float activations: the runtime has no kernel for this layer that rounds them as it runs"
    return None
