"""Where activation grids go: every tensor between integer kernels gets exactly one."""

from collections.abc import Sequence

from torch import nn

from .graph import Graph, Operation, trace
from .kernels.calibration import Method
from .layers.activation_grid import ActivationGrid
from .layers.layer import Layer
from .layers.norm import Norm
from .layers.structure import input_shape_of

#: operations that hand values on without changing their grid
_TRANSPARENT = ("max_pool", "flatten", "channels_last_flatten", "identity", "relu", "relu6")


def place_grids(
    network: nn.Module, layers: Sequence[Layer], bits: int, calibration: Method = "min_max"
) -> None:
    """Puts grids of `bits` on inputs and outputs of these layers, as the integer runtime has them, in place.

    * A layer's output has a grid, after a ReLU that is fused into it.
    * A normalisation directly behind a layer is folded into it and then carries the grid; behind a
      tensor train, or behind a ReLU, it is an operation with a grid of its own.
    * A layer whose input comes from no grid (the network's input, a float layer, an addition) gets one there;
      any other, of whichever step, has none of its own.
    """

    def new_grid(rectified: bool = False) -> ActivationGrid:
        return ActivationGrid(bits, rectified, device, calibration)

    graph = trace(network, input_shape_of(network))
    device = next(network.parameters()).device
    chosen = {id(layer) for layer in layers}
    for operation in graph.operations:
        module = operation.module
        if isinstance(module, Layer) and id(module) in chosen:
            module.activation_bits, module.dynamic = bits, False
            if module.decomposed:
                module.grid_stages(bits, calibration)
            if not folds(graph, operation):
                module.output_grid = new_grid(_rectified(graph, operation))
        elif isinstance(module, Norm) and _behind(graph, operation, chosen):
            module.output_grid = new_grid(_rectified(graph, operation))
    calls = [(call.module, _source_grid(graph, call)) for call in graph.operations if call.kind == "layer"]
    bare = {id(layer) for layer, grid in calls if grid is None}
    for layer in {id(layer): layer for layer, _ in calls if isinstance(layer, Layer)}.values():
        if id(layer) not in bare:
            layer.input_grid = None
        elif id(layer) in chosen:
            layer.input_grid = new_grid()


def folds(graph: Graph, operation: Operation) -> bool:
    """Whether the only reader of a layer is a normalisation that can be folded into it exactly."""
    readers = graph.consumers(operation.name)
    layer = operation.module
    return isinstance(layer, Layer) and layer.sliceable and len(readers) == 1 and readers[0].kind == "norm"


def _rectified(graph: Graph, operation: Operation) -> bool:
    readers = graph.consumers(operation.name)
    return len(readers) == 1 and readers[0].kind == "relu"


def _source(graph: Graph, operation: Operation) -> Operation:
    """Returns the operation that really makes an operation's input."""
    source = graph[operation.inputs[0]]
    while source.kind in _TRANSPARENT:
        source = graph[source.inputs[0]]
    return source


def _source_grid(graph: Graph, operation: Operation) -> ActivationGrid | None:
    module = _source(graph, operation).module
    return module.output_grid if isinstance(module, Layer | Norm) else None


def _behind(graph: Graph, operation: Operation, chosen: set[int]) -> bool:
    """Whether a normalisation's input comes from one of the chosen layers."""
    return id(_source(graph, operation).module) in chosen
