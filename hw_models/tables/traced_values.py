"""From a network to the operators that the runtime will run for it, before there is a file.

What a kernel takes in is in `spaces.graph.fusion`, which operators an operation becomes in `operator_table`;
the file writer goes the same way through the same graph (`evaluators.litert.lower`), and a property test
holds the operators of both against each other.
"""

from dataclasses import replace
from math import prod

from torch import nn

from ...spaces.errors import AtollError
from ...spaces.graph.fusion import carried_out, written_grid
from ...spaces.graph.graph import Graph, Operation, trace
from ...spaces.graph.operation_kinds import COMBINING, averages
from ...spaces.layers.layer import Layer
from ...spaces.layers.norm import Norm
from ...spaces.layers.same_padding import SameAvgPool2d, SameMaxPool2d, window_padding
from .layer_table import TracedValue
from .operator_plan import AnyGrid, OperatorPlan, Planned
from .operator_table import OPERATORS_OF
from .planned_layer import padded_maps, plan_layer, plan_norm
from .planned_standardised import plan_standardised
from .run_order import run_order

#: operations without arithmetic, that share their input's memory
_VIEWS = ("identity", "channels_last_flatten", "flatten", "reshape")
_KINDS = ("layer", "norm", *_VIEWS, *OPERATORS_OF)


def traced_values(
    network: nn.Module, input_shape: tuple[int, int, int], as_written: bool = False
) -> list[TracedValue]:
    """Traces a network and returns its values as the runtime computes them, an operator each.

    Args:
        network: adopted or compressed.
        input_shape: (channels, height, width).
        as_written: leave normalisations where the network has them, as other converters do, and count no
            biases that are only zeros.

    Raises:
        AtollError: for operations that are not supported.
    """
    graph = trace(network, input_shape)
    _check_kinds(graph)
    graph = graph if as_written else run_order(graph)
    plan = OperatorPlan(zero_biases=not as_written)
    planned: dict[str, Planned] = {}
    for operation in graph.operations:
        if operation.kind == "output":
            for name in operation.inputs:
                plan.give_back(planned[name])
            break
        if operation.name in planned:
            continue  # carried out by the kernel before it
        if operation.constant is not None:
            found, on = graph.constant_as_read(operation), next(iter(operation.grids), None)
            if found is not None:
                planned[operation.name] = Planned(operation.name, tuple(found.shape), on, constant=True)
            continue
        covered = carried_out(graph, operation)
        value = _planned(
            plan, graph, covered, [planned[name] for name in operation.inputs if name in planned]
        )
        for grid in (grid for other in covered for grid in other.grids):
            value = plan.on_grid(value, grid)
        planned.update({other.name: value for other in covered})
    return list(plan.values.values())


def _check_kinds(graph: Graph) -> None:
    """Refuses a network with operations that nothing prices; the message lists all of them."""
    known = (*_KINDS, "input", "output")
    found = [one for one in graph.operations if one.kind not in known and one.constant is None]
    if found:
        named = ", ".join(f"{(one.described or one.kind)!r} at {one.path or one.name}" for one in found)
        raise AtollError(
            f"operation{'s' if len(found) > 1 else ''} {named}: allowed are {', '.join(sorted(_KINDS))}"
        )


def _planned(plan: OperatorPlan, graph: Graph, covered: list[Operation], sources: list[Planned]) -> Planned:
    operation = covered[0]
    grid: AnyGrid | None = written_grid(graph, covered)
    kind, module = operation.kind, operation.module
    if kind == "input":
        return plan.image(operation.name, operation.shape, grid)
    plan.at(operation.path)
    if isinstance(module, Layer):
        folded = any(isinstance(other.module, Norm) for other in covered)
        return plan_layer(plan, operation, module, sources[0], folded, grid)
    if isinstance(module, Norm):
        return plan.on_grid(plan_norm(plan, operation, module, sources[0], grid), grid)
    if kind == "standardise":
        return plan_standardised(plan, operation, plan.to_float(plan.in_torch_order(sources[0])))
    if kind in _VIEWS:
        return _viewed(plan, operation, sources[0])
    if isinstance(module, nn.PReLU):
        sources.append(Planned(f"{operation.name}.slopes", (module.num_parameters,), constant=True))
    if kind in ("concatenate", "softmax", "prelu", *COMBINING):
        sources = [plan.in_torch_order(source) for source in sources]
    if kind in ("relu", "max_pool", "global_max_pool", "expand"):
        grid = sources[0].grid
    elif averages(kind, module) or kind == "upsample":
        sources = [plan.to_float(sources[0])] if averages(kind, module) and grid is None else sources
        grid = sources[0].grid
    elif grid is None or any(source.grid is None for source in sources):
        sources, grid = [plan.to_float(source) for source in sources], None
    return _run(plan, operation, sources, grid)


def _viewed(plan: OperatorPlan, operation: Operation, source: Planned) -> Planned:
    """Values in another shape: maps flattened in torch's order are read so by a dense layer, or moved."""
    if operation.kind == "identity":
        return source
    if operation.kind == "flatten":
        moved = len(source.shape) == 3 and source.shape[0] > 1 and prod(source.shape[1:]) > 1
        unflattened = source.shape if moved else source.unflattened
        return replace(source, shape=operation.shape, unflattened=unflattened)
    if operation.kind == "reshape":
        source = plan.in_torch_order(source)
    return replace(source, shape=operation.shape)


def _run(plan: OperatorPlan, operation: Operation, sources: list[Planned], grid: AnyGrid | None) -> Planned:
    name, kind, shape = operation.name, operation.kind, operation.shape
    computed = next(source for source in sources if not source.constant)
    first, *others = OPERATORS_OF[kind]
    if kind == "concatenate":
        sources = [plan.on_grid(source, grid) for source in sources]
    elif kind == "silu":
        gate = plan.run(f"{name}.gate", first, sources, shape, None)
        return plan.run(name, others[0], [sources[0], gate], shape, grid)
    elif kind == "hard_sigmoid":
        cut = plan.run(f"{name}.cut", first, sources, shape, grid)
        return plan.run(name, others[0], [cut], shape, grid)
    elif kind == "upsample" and getattr(operation.module, "mode", "") == "bilinear":
        first = "RESIZE_BILINEAR"
    elif kind in ("max_pool", "avg_pool"):
        sources = [_padded(plan, operation, sources[0])]
    found = plan.run(name, first, sources, shape, grid)
    if kind in ("concatenate", "softmax", "prelu", *COMBINING):
        return found
    return replace(found, unflattened=computed.unflattened)


def _padded(plan: OperatorPlan, operation: Operation, source: Planned) -> Planned:
    """Maps with zeros around them where a pooling reads other ones than the runtime puts there."""
    module = operation.module
    if isinstance(module, SameMaxPool2d | SameAvgPool2d) or not isinstance(
        module, nn.MaxPool2d | nn.AvgPool2d
    ):
        return source
    padding = _pair(module.padding)
    if not any(padding):
        return source
    zeros = ((padding[0], padding[0]), (padding[1], padding[1]))
    pads = window_padding(source.shape[1:], _pair(module.kernel_size), _pair(module.stride), zeros)
    if pads is None and isinstance(module, nn.AvgPool2d):  # the runtime leaves its own zeros out of averages
        pads = zeros
    return source if pads is None else padded_maps(plan, source, pads)


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])
