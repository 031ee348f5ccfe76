"""A network's layers with their shares of bytes, work and predicted time."""

from dataclasses import dataclass, replace

from torch import nn

from ...hw_models.devices.device import Device
from ...hw_models.tables.layer_table import LayerTable
from ...hw_models.tables.network_table import layer_table
from ...spaces.layers.structure import input_shape_of


@dataclass(frozen=True)
class LayerShare:
    """One layer, or one operation that is no layer's.

    Args:
        layer: dotted name; of an operation without one, the name of its value.
        kind: of its dearest kernel.
        weight_bytes: of weights and biases.
        macs: multiply-accumulates of one image.
        latency_ms: predicted, alone; None where the device prices no time.
        bytes_share, macs_share, latency_share: of the network's, in [0, 1].
    """

    layer: str
    kind: str
    weight_bytes: int
    macs: int
    latency_ms: float | None
    bytes_share: float
    macs_share: float
    latency_share: float | None


def layer_shares(network: nn.Module, device: Device) -> list[LayerShare]:
    """Returns the layers in the order in which they run; what is nothing is left out.

    Args:
        network: adopted.
        device: predicts the time of each, as if it ran alone.
    """
    table = layer_table(network, input_shape_of(network))
    by_layer: dict[str, list[int]] = {}
    for number, row in enumerate(table.rows):
        by_layer.setdefault(row.path or row.name, []).append(number)
    parts = {
        name: replace(table, rows=tuple(table.rows[number] for number in numbers))
        for name, numbers in by_layer.items()
    }
    times = {name: _latency_ms(part, device) for name, part in parts.items()}
    time_ms = sum(value or 0.0 for value in times.values())
    found = []
    for name, part in parts.items():
        own_ms = times[name]
        dearest = max(part.rows, key=lambda row: (row.cost.macs, row.cost.output_elements))
        latency_share = None if own_ms is None or not time_ms else own_ms / time_ms
        share = LayerShare(
            layer=name,
            kind=dearest.cost.kind,
            weight_bytes=part.weight_bytes,
            macs=part.macs,
            latency_ms=own_ms,
            bytes_share=part.weight_bytes / max(1, table.weight_bytes),
            macs_share=part.macs / max(1, table.macs),
            latency_share=latency_share,
        )
        if share.weight_bytes or share.macs or (latency_share or 0) >= 0.001:
            found.append(share)
    return found


def _latency_ms(part: LayerTable, device: Device) -> float | None:
    found = device.predict(part).get("latency_ms")
    return None if found is None else found.value
