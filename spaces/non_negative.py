"""Which values of a network are never negative: their signs say nothing."""

from torch import nn

from .graph import Graph, trace
from .layers.layer import Layer
from .layers.structure import input_shape_of

_RECTIFIED = ("relu", "relu6")
#: what keeps values that are not negative so
_KEEPS = (
    "max_pool",
    "avg_pool",
    "global_avg_pool",
    "flatten",
    "channels_last_flatten",
    "identity",
    "add",
    "concatenate",
)


def never_negative(graph: Graph) -> set[str]:
    """Returns the names of values that come from a ReLU by operations that keep them at zero or above."""
    found: set[str] = set()
    for operation in graph.operations:
        kept = operation.kind in _KEEPS and all(name in found for name in operation.inputs)
        if operation.kind in _RECTIFIED or kept:
            found.add(operation.name)
    return found


def layers_behind_relu(network: nn.Module) -> set[int]:
    """Returns the identities (`id`) of the layers that somewhere read a value that is never negative."""
    graph = trace(network, input_shape_of(network))
    positive = never_negative(graph)
    return {
        id(operation.module)
        for operation in graph.operations
        if isinstance(operation.module, Layer) and operation.inputs[0] in positive
    }
