"""What a file computes in float although integers were asked for everywhere."""

from torch import nn

from ...spaces.quantization.activation_grids import integer_throughout
from .inspect import float_tensors
from .lower import operator_layers


def silent_floats(network: nn.Module, input_shape: tuple[int, ...], content: bytes) -> list[str]:
    """Returns which operators of a file work with float tensors that nobody asked for, a sentence each.

    None where a layer of the network was left float, has float activations, or weights that no integer kernel
    takes: float was asked for then.

    Args:
        network: what the file was written from.
        input_shape: (channels, height, width), (channels, length) or (features,).
        content: the bytes of the file.
    """
    found = float_tensors(content) if integer_throughout(network) else []
    if not found:
        return []
    layers = operator_layers(network, input_shape)
    sentences: dict[int, str] = {}
    for tensor in found:
        shape = "x".join(str(size) for size in tensor.tensor.shape)
        # a file that was written otherwise may have more operators than the network gives
        layer = layers[tensor.operator] if tensor.operator < len(layers) else "the end"
        where = f"{tensor.operator_name} of {layer}"
        sentences.setdefault(tensor.operator, f"{where} makes or reads {tensor.tensor.dtype} {shape}")
    return list(sentences.values())
