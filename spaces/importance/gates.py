"""Gates: factors on what modules give or read, put on for a while and taken off again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ..layers.layer import Layer


@contextmanager
def gated(network: nn.Module, gates: Mapping[str, Tensor]) -> Iterator[None]:
    """Multiplies what modules give by gates, for as long as the block lasts.

    A gate on an output channel of a layer does what the same factor on the channel's weights and bias would
    do, whatever form the weights have (a codebook, signs, a chain of cores).

    Args:
        network: any.
        gates: by dotted module name; [B, C] for layers, the weight's shape for factors. Spatial dimensions
            follow by themselves.
    """
    handles = [
        network.get_submodule(path).register_forward_hook(
            lambda module, inputs, output, gate=gate: _multiplied(output, gate, module)
        )
        for path, gate in gates.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def gated_inputs(network: nn.Module, gates: Mapping[str, Tensor]) -> Iterator[None]:
    """Multiplies what layers compute with by gates, for as long as the block lasts.

    Args:
        network: any.
        gates: by dotted layer name; [1, C], spatial dimensions follow by themselves. Changed in place, they
            take effect at once.
    """
    handles = [_gate_input(network.get_submodule(path), gate) for path, gate in gates.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _gate_input(layer: nn.Module, gate: Tensor) -> Any:
    sign = layer.input_sign if isinstance(layer, Layer) else None
    if sign is not None:  # the layer computes with signs, and zero has one
        return sign.register_forward_hook(lambda _, inputs, output: _multiplied(output, gate, layer))
    return layer.register_forward_pre_hook(lambda _, inputs: (_multiplied(inputs[0], gate, layer),))


def _multiplied(value: Tensor, gate: Tensor, module: nn.Module) -> Tensor:
    gate = gate.to(value.device)
    if isinstance(module, Layer) and module.features_last:
        return value * gate.reshape(gate.shape[0], *[1] * (value.dim() - 2), gate.shape[1])
    return value * gate.reshape(*gate.shape, *[1] * (value.dim() - gate.dim()))
