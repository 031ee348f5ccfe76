"""Normalisation by an image's own mean and variance, written as operators, in float."""

from ...spaces.graph.graph import Operation
from ...spaces.graph.standardised import standardised
from . import operators, operators_pooling
from .values import LoweredValue, Workbench
from .weights import to_numpy


def lower_standardised(bench: Workbench, operation: Operation, source: LoweredValue) -> LoweredValue:
    """Writes a normalisation; there is no operator of that name, nor integer kernels for its parts.

    Args:
        bench: the file under construction.
        operation: of the kind `standardise`.
        source: what it reads.
    """
    source, model = bench.to_float(bench.in_torch_order(source)), bench.model
    found = standardised(operation.module, operation.shape, source.order)  # type: ignore[arg-type]
    axes = tuple(axis + 1 for axis in found.axes)
    value = bench.shaped(source, (1, *found.sizes))
    centred = operators.subtract(model, value, operators_pooling.mean(model, value, axes, keep_dims=True))
    variance = operators_pooling.mean(model, operators.mul(model, centred, centred), axes, keep_dims=True)
    eps = operators.scalar(model, found.eps, int8=False)
    scale = operators.function(model, operators.add(model, variance, eps), "RSQRT")
    value = operators.mul(model, centred, scale)
    for build, part in ((operators.mul, found.scale), (operators.add, found.shift)):
        if part is not None:
            value = build(model, value, model.add_constant(to_numpy(part)[None], "float32"))
    return LoweredValue(value, source.shape, axes=source.axes)
