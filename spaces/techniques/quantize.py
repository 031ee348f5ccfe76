"""Quantization: weights and activations as small integers, trained on their grids or put there afterwards."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from ..errors import AtollError
from ..layers.half import BITS as HALF_BITS
from ..layers.statistics import BATCH, reestimate
from ..layers.structure import settle, to_meta
from ..quantization.bias_correction import correct_biases
from ..quantization.equalization import equalize
from ..quantization.weight_grids import WeightGrids, quantize_layers
from ..technique.context import Context
from ..technique.domains import Choice
from ..technique.targets import end_layers, targeted_layers
from ..technique.technique import Decisions, Technique, layers_setting, setting

#: images on which activation ranges are observed
IMAGES = 512
AFFINE_NOTE = (
    "integer kernels take no zero points on weights: the artifact widens these weights to float (DEQUANTIZE) "
    "and they are priced as float arithmetic"
)
#: said where equalization changes nothing
NO_PAIR = "nothing: no two layers follow each other by what scales with its input, such as a ReLU"


@dataclass(frozen=True)
class Quantize(Technique):
    """Puts weights on grids and activations on 8-bit ones; the fine-tuning trains on them.

    * `bits`: `quantize(bits=8)` is integer everywhere, input and output included. 3 bits have 7 levels and
      are stored as int4. 16 bits are half precision: float16 in the file, float arithmetic and float
      activations, since the runtime has no kernels for 16-bit integer weights.
    * `scheme`: an affine grid has a zero point and all 2^bits levels, zero among them. Integer kernels take
      symmetric weights alone, so affine ones are widened to float in the artifact (DEQUANTIZE) and priced as
      float arithmetic.
    * `activations`: `int8` ranges are observed on training images and follow slowly in training; `dynamic`
      ones are taken by the kernel from each image (convolutions) or row (dense layers) as it runs, input and
      output of a layer stay float; depthwise and decomposed convolutions then keep float activations.
    * `method`: `lsq` learns the steps of the weights' grids (Esser et al. 2020); `ste` leaves them as they
      were calibrated and trains the weights, straight-through; `ptq` trains nothing in this step.
    * `equalize`: `cross_layer` first gives neighbouring layers the same range in every channel, which leaves
      the float network as it is. `correct_bias`: `empirical` then takes off every layer's bias what the
      integers move its mean by. Both are for networks that lose by `method=ptq` (Nagel et al. 2019).
    """

    name: ClassVar[str] = "quantize"
    version: ClassVar[int] = 1
    stage: ClassVar = "numbers"
    source: ClassVar[str] = "THESIS §2.1.1 eqs. 1-2; PUB-II (quantization-aware training); Esser et al. 2020"

    bits: int = setting(8, Choice((16, 8, 4, 3, 2), (8, 4, 2)), "THESIS: 8 bits", shown=True)
    first_last: str = setting(
        "int8",
        Choice(("int8", "same", "float"), ("int8", "same")),
        "THESIS: first and last layer are kept finer",
    )
    activations: str = setting(
        "int8", Choice(("int8", "float", "dynamic"), ("int8",)), "PUB-III: integer only for Edge TPU"
    )
    scheme: str = setting(
        "symmetric", Choice(("symmetric", "affine"), ("symmetric",)), "THESIS §2.1.1: symmetric"
    )
    granularity: str = setting(
        "per_channel",
        Choice(("per_channel", "per_tensor"), ("per_channel",)),
        "Jacob et al. 2018; LiteRT's 8-bit specification: one scale an output channel",
    )
    calibration: str = setting(
        "auto",
        Choice(("auto", "min_max", "percentile", "mse"), ("auto",)),
        "own choice: weights min_max at 8 bits and mse below, activations min_max",
    )
    method: str = setting(
        "lsq", Choice(("lsq", "ste", "ptq"), ("lsq",)), "Esser et al. 2020: learned step sizes"
    )
    equalize: str = setting(
        "none", Choice(("none", "cross_layer"), ("none",)), "own choice: training makes up for it", later=True
    )
    correct_bias: str = setting(
        "none", Choice(("none", "empirical"), ("none",)), "own choice: training makes up for it", later=True
    )
    layers: str = layers_setting()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bits == HALF_BITS:
            for key, default in (
                ("scheme", "symmetric"),
                ("granularity", "per_channel"),
                ("calibration", "auto"),
            ):
                if getattr(self, key) != default:
                    raise AtollError(
                        f"{self.name}: got bits=16 and {key}={getattr(self, key)}, allowed with half "
                        f"precision is {key}={default}: it has no grid"
                    )
        if self.activations == "dynamic" and (self.bits == HALF_BITS or self.scheme == "affine"):
            raise AtollError(
                f"{self.name}: got activations=dynamic with bits={self.bits} and scheme={self.scheme}, "
                "allowed are 8 bits or fewer and scheme=symmetric: such kernels take nothing else"
            )

    @property
    def fine_tuned(self) -> bool:
        return self.method != "ptq"

    @property
    def levels_per_weight(self) -> int | None:
        return self._grids.levels(self.bits)

    @property
    def needs_levels(self) -> int | None:
        return self.levels_per_weight

    def plan(self, model: nn.Module) -> nn.Module:
        planned = settle(to_meta(model))
        self._quantize(planned)
        return planned

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, Decisions]:
        quantized = settle(deepcopy(model))
        done: dict[str, Any] = {}
        if self.equalize == "cross_layer":
            names = self._widths(quantized)[0]
            pairs = len(equalize(quantized, names, context.images(BATCH)))
            done["equalized"] = (
                f"{pairs} {'pair' if pairs == 1 else 'pairs'} of neighbouring layers" if pairs else NO_PAIR
            )
        exact = deepcopy(quantized) if self.correct_bias == "empirical" else None
        notes = self._quantize(quantized)
        reestimate(quantized, context.images(IMAGES))
        if exact is not None:
            done["not_corrected"] = correct_biases(quantized, exact, notes["bits"], context.images(BATCH))
        return quantized, self.decisions(model, quantized, **notes, **done)

    @property
    def _grids(self) -> WeightGrids:
        return WeightGrids(
            "affine" if self.scheme == "affine" else "symmetric",
            self.granularity == "per_channel",
            self.calibration,  # type: ignore[arg-type]  # the domain knows the words
            trained=self.method == "lsq",
        )

    def _quantize(self, network: nn.Module) -> dict[str, Any]:
        """Puts the grids in; returns the bits of every layer and what else there is to say."""
        widths, left_alone = self._widths(network)
        remarks = quantize_layers(network, widths, self._grids, self.activations)
        notes: dict[str, Any] = {"bits": widths, "left_alone": left_alone, **remarks}
        if self.scheme == "affine":
            notes["note"] = AFFINE_NOTE
        return notes

    def _widths(self, network: nn.Module) -> tuple[dict[str, int], dict[str, str]]:
        """Returns the bits of every layer that gets a grid, and why the others get none."""
        ends = end_layers(network)
        widths: dict[str, int] = {}
        left_alone: dict[str, str] = {}
        for name, layer in targeted_layers(network, self.layers):
            bits = self._width(name in ends)
            if bits is None:
                left_alone[name] = "first_last=float: the network's first or last layer"
                continue
            reason = self._grids.reason_against(layer, bits)
            if reason is None:
                widths[name] = bits
            else:
                left_alone[name] = reason
        return widths, left_alone

    def _width(self, first_or_last: bool) -> int | None:
        if not first_or_last or self.first_last == "same":
            return self.bits
        return None if self.first_last == "float" else max(8, self.bits)
