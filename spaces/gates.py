"""Gates: factors on what modules give, put on for a while and taken off again."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def gated(network: nn.Module, gates: Mapping[str, Tensor]) -> Iterator[None]:
    """Multiplies what modules give by gates, for as long as the block lasts.

    A gate on an output channel of a layer does what the same factor on the channel's weights and bias would
    do, whatever form the weights have (a codebook, signs, a chain of cores).

    Args:
        network: any.
        gates: by dotted module name. [B, C] or [1, C] for layers and normalisations, the weight's shape for
            factors; spatial dimensions follow by themselves. Changed in place, they take effect at once.
    """
    handles = [
        network.get_submodule(path).register_forward_hook(_multiply(gate)) for path, gate in gates.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _multiply(gate: Tensor) -> Callable[[nn.Module, Any, Tensor], Tensor]:
    def hook(_: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return output * gate.reshape(*gate.shape, *[1] * (output.dim() - gate.dim()))

    return hook
