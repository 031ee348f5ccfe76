"""Which values of a network are never negative: their signs say nothing."""

from torch import nn

from ..layers.layer import Layer
from ..layers.structure import input_shape_of
from ..operations.kinds import MOVES
from .graph import Graph
from .reading import trace

#: what is never negative whatever it is made of
_MAKES = ("relu", "relu6", "relu_0_to_1", "sigmoid", "hard_sigmoid", "softmax")
#: what keeps values that are not negative so
_KEEPS = (
    "max_pool", "avg_pool", "global_avg_pool", "global_max_pool", "mean", "upsample",
    "channels_last_flatten", "expand", "identity", "concatenate", *MOVES[:-1],
)  # fmt: skip
#: the same, of two values; beside one value there may be a negative number
_KEEPS_TWO = ("add", "multiply", "divide")


def never_negative(graph: Graph) -> set[str]:
    """Returns the names of values that come from a ReLU or the like by what keeps them at zero or above."""
    found: set[str] = set()
    for operation in graph.operations:
        keeps = operation.kind in _KEEPS or (operation.kind in _KEEPS_TWO and len(operation.inputs) == 2)
        if operation.kind in _MAKES or (keeps and all(name in found for name in operation.inputs)):
            found.add(operation.name)
    return found


def layers_with_unsigned_inputs(network: nn.Module) -> set[int]:
    """Returns the identities (`id`) of the layers that somewhere read a value that is never negative."""
    graph = trace(network, input_shape_of(network))
    positive = never_negative(graph)
    return {
        id(operation.module)
        for operation in graph.operations
        if isinstance(operation.module, Layer) and operation.inputs[0] in positive
    }
