"""What a loop costs: a matrix product at every step, and all else that a step does."""

from collections.abc import Sequence

from ...spaces.layers.cost import OperationCost


def loop_costs(inside: Sequence[OperationCost], times: int) -> tuple[OperationCost, OperationCost]:
    """Returns the costs of the product and of all else together.

    Args:
        inside: of the operators of one step, of which one is the product.
        times: how often they run.
    """
    (product,) = (cost for cost in inside if cost.kind == "dense")
    others = [cost for cost in inside if cost is not product]
    step = OperationCost(
        kind="elementwise",
        input_elements=sum(cost.input_elements for cost in others),
        output_elements=sum(cost.output_elements for cost in others),
        operation="WHILE",
    )
    return product.repeated(times), step.repeated(times)
