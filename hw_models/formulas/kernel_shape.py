"""The shape of the matrix product behind an operation: what its kernel loops over."""

from dataclasses import dataclass

from ..tables.layer_table import TableRow


@dataclass(frozen=True)
class KernelShape:
    """A product of [positions, reduction] and [reduction, outputs].

    Args:
        positions: of the output map, or rows of a dense layer.
        outputs: channels or units made at each of them.
        reduction: weights of one output: window times input channels of its group.
        window: positions of the input that one output reads, 1 for 1x1 and dense.
    """

    positions: float
    outputs: float
    reduction: float
    window: float

    @classmethod
    def of(cls, row: TableRow) -> "KernelShape | None":
        """Returns the shape of an operation with weights, None for any other."""
        cost = row.cost
        if not cost.weight_elements or not cost.macs or not cost.output_elements:
            return None
        positions = cost.macs / cost.weight_elements
        outputs = cost.output_elements / positions
        reduction = cost.weight_elements / outputs
        return cls(positions, outputs, reduction, _window(row, reduction))


def _window(row: TableRow, reduction: float) -> float:
    if row.cost.kind in ("depthwise", "norm"):
        return reduction
    if row.cost.kind != "conv" or len(row.input_shape) != 3:
        return 1.0
    _, height, width = row.input_shape
    channels = row.cost.input_elements / (height * width)
    return max(1.0, round(reduction / channels))
