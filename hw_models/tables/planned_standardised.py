"""The operators of a normalisation by an image's own mean and variance, before there is a file."""

from dataclasses import replace

from ...spaces.graph.graph import Operation
from ...spaces.graph.standardised import standardised
from .operator_plan import OperatorPlan, Planned, Shape
from .operator_table import OPERATORS_OF


def plan_standardised(plan: OperatorPlan, operation: Operation, source: Planned) -> Planned:
    """Plans a normalisation of float values.

    Args:
        plan: where to.
        operation: of the kind `standardise`.
        source: what it reads, float.
    """
    found = standardised(operation.module, source.shape, source.order)  # type: ignore[arg-type]
    mean_of, less, times, _, plus, root, *_ = OPERATORS_OF[operation.kind]
    name, sizes, means = operation.name, found.sizes, found.means

    def run(part: str, operator: str, sources: list[Planned], shape: Shape) -> Planned:
        return plan.run(f"{name}.{part}" if part else name, operator, sources, shape, None)

    def constant(part: str, shape: Shape) -> Planned:
        return Planned(f"{name}.{part}", shape, constant=True)

    value = replace(source, shape=sizes)
    centred = run("centred", less, [value, run("mean", mean_of, [value], means)], sizes)
    variance = run("variance", mean_of, [run("squared", times, [centred, centred], sizes)], means)
    scale = run("scale", root, [run("kept", plus, [variance], means)], means)
    value = run("", times, [centred, scale], sizes)
    for operator, part, tensor in ((times, "scaled", found.scale), (plus, "shifted", found.shift)):
        if tensor is not None:
            value = run(part, operator, [value, constant(f"{part}.by", tuple(tensor.shape))], sizes)
    return replace(value, shape=operation.shape)
