"""What a task's network would be on a device in 8 bits, before it is trained for them."""

from dataclasses import dataclass
from typing import Any

from ...evaluators.edge_tpu.check import EdgeTpuReport, check_edge_tpu
from ...evaluators.measuring.artifact import artifact_bytes
from ...evaluators.measuring.measure import Price, price
from ...evaluators.steps.evaluate import planned_for
from ...hw_models.devices.device import Device
from ...spaces.layers.structure import input_shape_of
from ...spaces.recipes.recipe import Recipe

RECIPE = "quantize(bits=8)"


@dataclass(frozen=True)
class EightBits:
    """The network with every layer in 8 bits.

    Args:
        price: its figures on the device.
        edge_tpu: what the chip's documented rules say of its file; None for other devices.
    """

    price: Price
    edge_tpu: EdgeTpuReport | None

    def to_json(self) -> dict[str, Any]:
        """Returns it in JSON's own types."""
        return {"price": self.price.to_metrics(), "edge_tpu": self.edge_tpu and self.edge_tpu.to_json()}


def in_eight_bits(task: str, device: Device) -> EightBits:
    """Prices the network of a task in 8 bits.

    Args:
        task: its name.
        device: where it is to run.

    Raises:
        AtollError: it cannot be planned, priced or written so.
    """
    network = planned_for(Recipe.parse(RECIPE), task)
    has_chip = any(setup.rest_on for setup in device.about.setups)
    content = artifact_bytes(network, input_shape_of(network)) if has_chip else b""
    return EightBits(price(network, device), check_edge_tpu(content) if has_chip else None)
