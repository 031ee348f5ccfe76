"""From a network to the operators that the runtime will run for it, before there is a file.

What a kernel takes in is in `spaces.graph.fusion`, which operators an operation becomes in `operator_table`;
the file writer goes the same way through the same graph (`evaluators.litert.lower`), and a property test
holds the operators of both against each other.
"""

from dataclasses import replace

from torch import nn

from ...spaces.errors import AtollError
from ...spaces.graph.advice import advice
from ...spaces.graph.axis_order import wanted_orders, without
from ...spaces.graph.fusion import carried_out, keeps_all_steps, written_grid
from ...spaces.graph.graph import Graph, Operation
from ...spaces.graph.non_negative import never_negative
from ...spaces.layers.layer import Layer
from ...spaces.layers.norm import Norm
from ...spaces.layers.pooling import pooling
from ...spaces.operations.integer_kernels import averages, divides_by_number
from ...spaces.operations.kinds import COMBINING, MOVES
from .layer_table import TracedValue
from .operator_plan import AnyGrid, OperatorPlan, Planned
from .operator_table import FLOAT_ALONE, OPERATORS_OF
from .planned_layer import padded_maps, plan_layer, plan_norm
from .planned_moves import plan_moves
from .planned_recurrence import plan_recurrence
from .planned_standardised import plan_standardised
from .run_order import run_order

#: operations that a message lists: what reads the result of one that nothing prices is often none either
_SHOWN = 5
_KINDS = ("layer", "norm", "identity", "channels_last_flatten", *MOVES, *OPERATORS_OF)


def traced_values(graph: Graph, as_written: bool = False) -> list[TracedValue]:
    """Returns the values of a traced network as the runtime computes them, an operator each.

    Args:
        graph: of a network, adopted or compressed.
        as_written: leave normalisations where the network has them, as other converters do, and count no
            biases that are only zeros.

    Raises:
        AtollError: for operations that are not supported.
    """
    _check_kinds(graph)
    graph = graph if as_written else run_order(graph)
    positive = never_negative(graph)
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
        sources = [planned[name] for name in operation.inputs if name in planned]
        try:
            value = _planned(plan, graph, covered, sources, positive.issuperset(operation.inputs))
        except AtollError as error:
            raise AtollError(f"{operation.path or operation.name}: {error}") from error
        for grid in (grid for other in covered for grid in other.grids):
            value = plan.on_grid(value, grid)
        planned.update({other.name: value for other in covered})
    return list(plan.values.values())


def _check_kinds(graph: Graph) -> None:
    """Refuses a network with operations that nothing prices; the message lists the first of them."""
    known = (*_KINDS, "input", "output")
    found = [one for one in graph.operations if one.kind not in known and one.constant is None]
    if found:
        named = ", ".join(
            f"{(one.described or one.kind)!r} at {one.path or one.name}" for one in found[:_SHOWN]
        )
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise AtollError(
            f"operation{'s' if len(found) > 1 else ''} {named}{more}: allowed are {', '.join(sorted(_KINDS))}"
            f"{advice([one.module for one in found])}"
        )


def _planned(
    plan: OperatorPlan, graph: Graph, covered: list[Operation], sources: list[Planned], positive: bool
) -> Planned:
    operation = covered[0]
    grid: AnyGrid | None = written_grid(graph, covered)
    kind, module = operation.kind, operation.module
    if kind == "input":
        return plan.image(operation.name, operation.shape, grid)
    plan.at(operation.path)
    if not sources:
        raise AtollError(f"{operation.described} reads nothing that is computed from the input")
    shapes = [() if source.constant else source.shape for source in sources]
    orders = wanted_orders(operation, shapes, [source.order for source in sources])
    sources = [plan.in_order(source, order) for source, order in zip(sources, orders, strict=True)]
    if kind == "recurrence":
        source = plan.to_float(plan.in_torch_order(sources[0]))
        return replace(plan_recurrence(plan, operation, source, keeps_all_steps(covered)), axes=source.axes)
    if isinstance(module, Layer):
        folded = any(isinstance(other.module, Norm) for other in covered)
        found = plan_layer(plan, operation, module, sources[0], folded, grid)
        return replace(found, axes=sources[0].axes)
    if isinstance(module, Norm):
        found = plan.on_grid(plan_norm(plan, operation, module, sources[0], grid), grid)
        return replace(found, axes=sources[0].axes)
    if kind == "standardise":
        found = plan_standardised(plan, operation, plan.to_float(plan.in_torch_order(sources[0])))
        return replace(found, axes=sources[0].axes)
    if kind == "identity":
        return sources[0]
    if kind == "channels_last_flatten":
        return replace(sources[0], shape=operation.shape, axes=None)
    if kind in MOVES:
        source = plan.to_float(sources[0]) if kind == "constant_pad" else sources[0]
        return plan_moves(plan, operation, source)
    if isinstance(module, nn.PReLU):
        sources.append(Planned(f"{operation.name}.slopes", (module.num_parameters,), constant=True))
    if kind in ("concatenate", "softmax", "prelu", "matmul", *COMBINING):
        sources = [plan.in_torch_order(source) for source in sources]
    if kind in ("relu", "max_pool", "global_max_pool", "expand"):
        grid = sources[0].grid
    elif averages(kind, module) or kind == "upsample":
        sources = [plan.to_float(sources[0])] if averages(kind, module) and grid is None else sources
        grid = sources[0].grid
    elif grid is None or kind in FLOAT_ALONE or any(source.grid is None for source in sources):
        sources, grid = [plan.to_float(source) for source in sources], None
    return _run(plan, operation, sources, grid, positive)


def _run(
    plan: OperatorPlan, operation: Operation, sources: list[Planned], grid: AnyGrid | None, positive: bool
) -> Planned:
    name, kind, shape = operation.name, operation.kind, operation.shape
    if kind == "matmul":
        return replace(plan.multiply(name, sources, shape, grid), axes=(*range(len(shape)),))
    computed = next(source for source in sources if not source.constant)
    first, *others = OPERATORS_OF[kind]
    if kind == "divide" and not divides_by_number(kind, operation.numbers):
        first = "DIV"
    elif kind == "concatenate":
        sources = [plan.on_grid(source, grid) for source in sources]
    elif kind == "upsample" and getattr(operation.module, "mode", "") == "bilinear":
        first = "RESIZE_BILINEAR"
    elif kind in ("max_pool", "avg_pool"):
        sources = [_padded(plan, operation, sources[0], positive)]
    if kind == "silu":
        gate = plan.run(f"{name}.gate", first, sources, shape, None)
        found = plan.run(name, others[0], [sources[0], gate], shape, grid)
    elif kind == "hard_sigmoid":
        cut = plan.run(f"{name}.cut", first, sources, shape, grid)
        found = plan.run(name, others[0], [cut], shape, grid)
    elif kind == "clamp":
        operators = [
            op for op, bound in zip((first, *others), operation.numbers, strict=True) if bound is not None
        ]
        (found,) = sources
        for at, one in enumerate(operators, 1):
            found = plan.run(name if at == len(operators) else f"{name}.low", one, [found], shape, grid)
    else:
        found = plan.run(name, first, sources, shape, grid)
    if kind in ("mean", "global_avg_pool") and len(shape) < len(sources[0].shape):
        return replace(found, axes=without(sources[0].order, operation.axes))
    if kind in ("concatenate", "softmax", "prelu", *COMBINING):
        return replace(found, axes=computed.axes)
    return replace(found, unflattened=computed.unflattened, axes=computed.axes)


def _padded(plan: OperatorPlan, operation: Operation, source: Planned, positive: bool) -> Planned:
    """Maps with zeros or lowest values around them where a pooling reads other ones than SAME has there."""
    windows = pooling(operation.module, source.shape[1:], operation.shape[1:])  # type: ignore[arg-type]
    assert windows is not None  # others are no poolings
    if windows.pads is None:
        return source
    return padded_maps(plan, source, windows.pads, windows.largest and not positive)
