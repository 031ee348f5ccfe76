"""Mixed precision: every layer gets the width that its measured sensitivity asks for."""

from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ..errors import AtollError
from ..kernels.affine import symmetric_levels
from ..kernels.allocation import allocate_bits
from ..layers.half import BITS as HALF_BITS
from ..layers.layer import Layer
from ..layers.statistics import reestimate
from ..layers.structure import named_layers, settle, to_meta
from ..quantization.noise import layer_noise, maker
from ..quantization.sensitivity import layer_sensitivities
from ..quantization.weight_grids import WeightGrids, quantize_layers
from ..technique.context import Context
from ..technique.domains import Choice, Float, Int
from ..technique.targets import targeted_layers
from ..technique.technique import Decisions, Technique, layers_setting, setting

#: widths that the runtime stores as they are (int8, int4, int2); layers begin at their `narrowest_bits`
WIDTHS = (8, 4, 2)
#: images on which activation ranges are observed
IMAGES = 512
#: images on which sensitivities are measured
SENSITIVITY_IMAGES = 256
#: images on which the noise of layers is measured: enough to tell layers apart, as in a card (own choice)
NOISE_IMAGES = 64
#: digits of a sensitivity in the decisions
DIGITS = 3


@dataclass(frozen=True)
class MixedPrecision(Technique):
    """Puts every layer on a grid of 8, 4 or 2 bits, within a budget of bits for all weights together.

    Each layer alone is put on each width, and what that does to the network's outputs is measured on
    training images. Taking the effects to add up, the widths with the least sum are chosen exactly. A width
    is one that the runtime stores: convolutions have 4 bits at least, and transposed ones 8, beyond the
    budget. Weights and activations are then trained on their grids, steps learned. Beyond the budget,
    `wide` layers keep half precision and compute in float: those whose signal-to-noise ratio on their grids
    is the lowest, as a card names them, and those that make what such layers read where that is why.
    """

    name: ClassVar[str] = "mixed_precision"
    version: ClassVar[int] = 1
    stage: ClassVar = "numbers"
    source: ClassVar[str] = (
        "THESIS §2.1.1: layers differ in sensitivity; Cai et al. 2020, ZeroQ (its measure, additive); "
        "Esser et al. 2020"
    )

    bits: float = setting(
        4.0,
        Float(2.0, 8.0, (6.0, 4.0, 3.0), "bits a weight"),
        "own measurement, 2026: 4 bits cost nothing here",
        shown=True,
    )
    activations: str = setting(
        "int8", Choice(("int8", "float", "dynamic"), ("int8",)), "PUB-III: integer only for Edge TPU"
    )
    wide: int = setting(
        0, Int(0, 1000, (0,)), "own choice: none; a layer below 20 dB is worth trying", later=True
    )
    layers: str = layers_setting()

    @property
    def plan_is_exact(self) -> bool:
        return False

    @property
    def chooses_half(self) -> bool:
        return self.wide > 0

    @property
    def levels_per_weight(self) -> int | None:
        return 2 * symmetric_levels(max(WIDTHS)) + 1

    @property
    def needs_levels(self) -> int | None:
        return 2 * symmetric_levels(min(WIDTHS)) + 1

    def plan(self, model: nn.Module) -> nn.Module:
        """Returns every layer at its narrowest width, priced as the fastest of its widths."""
        planned = settle(to_meta(model))
        widths, _ = self._widths(planned)
        self._budget(planned, widths)
        narrowest = {name: min(tried) for name, tried in widths.items()}
        quantize_layers(planned, narrowest, WeightGrids(least=True), self.activations)
        return planned

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        quantized = settle(deepcopy(model))
        tried, left_alone = self._widths(quantized)
        budget = self._budget(quantized, tried)
        images = context.images(SENSITIVITY_IMAGES)
        sensitivities = layer_sensitivities(quantized, tried, WeightGrids(), images)
        sizes = [_weights(quantized, name) for name in tried]
        chosen = allocate_bits(sizes, list(sensitivities.values()), budget)
        widths = dict(zip(tried, chosen or (), strict=True))
        wide = self._worst(quantized, widths, context) if self.wide else {}
        widths |= dict.fromkeys(wide, HALF_BITS)
        remarks = quantize_layers(quantized, widths, WeightGrids(), self.activations)
        reestimate(quantized, context.images(IMAGES))
        spent = sum(size * bits for size, bits in zip(sizes, widths.values(), strict=True))
        notes = {
            "bits": widths,
            "mean_bits": round(spent / sum(sizes), DIGITS) if sizes else None,
            "sensitivity": {
                name: {str(bits): float(f"{value:.{DIGITS}g}") for bits, value in measured.items()}
                for name, measured in sensitivities.items()
            },
            "left_alone": left_alone,
            **({"wide": wide} if wide else {}),
            **remarks,
        }
        return quantized, self.decisions(model, quantized, **notes)

    def _worst(self, network: nn.Module, widths: dict[str, int], context: Context) -> dict[str, float]:
        """Returns the layers to keep wide, one by one, each with the lowest ratio that made it one, in dB.

        One that is wide already and still has the lowest loses by what it reads: the layer that makes that,
        and puts it on a grid, comes next.
        """
        targeted = dict(targeted_layers(network, self.layers))
        may = [name for name in widths if WeightGrids().reason_against(targeted[name], HALF_BITS) is None]
        found: dict[str, float] = {}
        for _ in range(self.wide):
            probe = deepcopy(network)
            quantize_layers(probe, widths | dict.fromkeys(found, HALF_BITS), WeightGrids(), self.activations)
            reestimate(probe, context.images(IMAGES))
            noise = layer_noise(probe, context.images(NOISE_IMAGES))
            for name in sorted(noise.keys() & widths, key=noise.__getitem__):
                culprit = maker(network, name) if name in found else name
                if culprit in may and culprit not in found:
                    found[culprit] = round(noise[name], 1)
                    break
            else:
                break
        return found

    def _widths(self, network: nn.Module) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
        """Returns the widths that each targeted layer can have, and why the others have none."""
        found: dict[str, tuple[int, ...]] = {}
        left_alone: dict[str, str] = {}
        for name, layer in targeted_layers(network, self.layers):
            reasons = {
                bits: WeightGrids().reason_against(layer, bits)
                for bits in WIDTHS
                if bits >= layer.narrowest_bits
            }
            possible = tuple(bits for bits, reason in reasons.items() if reason is None)
            if possible:
                found[name] = possible
            else:
                left_alone[name] = reasons[min(reasons)] or ""
        return found, left_alone

    def _budget(self, network: nn.Module, widths: dict[str, tuple[int, ...]]) -> int:
        """Returns the bits that all weights together may take; raises where the narrowest take more."""
        sizes = {name: _weights(network, name) for name in widths}
        running = named_layers(network)
        without_choice = [name for name, layer in running if layer.narrowest_bits == max(WIDTHS)]
        fixed = sum(sizes.pop(name, 0) for name in without_choice)
        total, least = sum(sizes.values()), sum(sizes[name] * min(widths[name]) for name in sizes)
        budget = int(self.bits * total)
        if least > budget:
            raise AtollError(
                f"{self.name}: got bits={self.bits:g}, allowed here are {least / total:.2f} to 8: "
                "the runtime stores convolutions in 4 bits at least"
            )
        return budget + max(WIDTHS) * fixed


def _weights(network: nn.Module, name: str) -> int:
    layer = network.get_submodule(name)
    factors = layer.factors().values() if isinstance(layer, Layer) else ()
    return sum(factor.shape.numel() for factor in factors)
