"""What one kernel carries out: what is fused or folded into it, and the grid that it writes to."""

from ..layers.activation_grid import ActivationGrid
from ..layers.layer import Layer
from ..layers.norm import Norm
from ..operations.integer_kernels import ACTIVATIONS, TAKES_ACTIVATION, hands_on
from ..operations.moves import Parts
from .graph import Graph, Operation


def fuses(graph: Graph, operation: Operation) -> bool:
    """Whether the kernel before an operation carries it out too: fused activations, folded normalisations."""
    source = graph[operation.inputs[0]]
    if len(graph.consumers(source.name)) != 1:
        return False
    if operation.kind == "norm":
        layer = source.module
        if not isinstance(layer, Layer) or not layer.sliceable:
            return False
        return len(source.shape) == 1 or not layer.features_last  # of rows it normalises other ones
    return operation.kind in ACTIVATIONS and source.kind in TAKES_ACTIVATION


def carried_out(graph: Graph, operation: Operation) -> list[Operation]:
    """Returns the operations that one kernel carries out, from the given one on.

    A normalisation is folded only where nothing is rounded between it and the layer. A recurrence of which
    only the last step is read keeps no other.
    """
    found = [operation]
    reader = graph.only_reader(operation)
    if operation.kind == "recurrence":
        return [*found, reader] if reader and _takes_last_step(operation, reader) else found
    if reader and isinstance(reader.module, Norm) and fuses(graph, reader) and not operation.grids:
        found.append(reader)
        reader = graph.only_reader(reader)
    if reader and reader.kind in ACTIVATIONS and fuses(graph, reader):
        found.append(reader)
    return found


def keeps_all_steps(operations: list[Operation]) -> bool:
    """Whether a kernel gives all steps of a recurrence, not the last one alone."""
    return len(operations) == 1 and operations[0].shape[0] > 1


def _takes_last_step(recurrence: Operation, reader: Operation) -> bool:
    """Whether an operation takes of a recurrence the step that comes last as it runs."""
    steps, units = recurrence.shape
    last = 0 if getattr(recurrence.module, "backwards", False) else steps - 1
    return reader.moves == (Parts(((last, 1, 1), (0, units, 1))),)


def activation_among(operations: list[Operation]) -> str | None:
    """Returns the activation that a kernel carries out behind its own operation, None for none."""
    return next((operation.kind for operation in operations[1:] if operation.kind in ACTIVATIONS), None)


def own_grid(operations: list[Operation]) -> ActivationGrid | None:
    """Returns the grid that a kernel writes to: the first one behind it; it is moved to any other."""
    return next((grid for operation in operations for grid in operation.grids), None)


def wanted_grid(graph: Graph, operation: Operation) -> ActivationGrid | None:
    """Returns the grid that the one reader of an operation puts on it, None where there is none."""
    reader = graph.only_reader(operation)
    while reader is not None and hands_on(reader.kind, reader.module) and not reader.grids:
        reader = graph.only_reader(reader)
    return reader.module.input_grid if reader is not None and isinstance(reader.module, Layer) else None


def written_grid(graph: Graph, operations: list[Operation]) -> ActivationGrid | None:
    """Returns the grid on which a kernel's result lies as it is made, None for float.

    A function without a grid of its own writes to that of its reader; layers and normalisations do not, since
    their integer kernels round where training did.
    """
    if isinstance(operations[0].module, Layer | Norm):
        return own_grid(operations)
    return own_grid(operations) or wanted_grid(graph, operations[-1])
