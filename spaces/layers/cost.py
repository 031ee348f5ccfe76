"""What one operation of a layer costs, in the terms that device models price."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Literal

from .bits import FLOAT_BITS

if TYPE_CHECKING:  # a stored layer table is priced without torch
    from .factor import Factor

OperationKind = Literal[
    "conv", "pointwise", "depthwise", "dense", "contraction", "norm", "elementwise", "pool", "move", "unknown"
]
#: the arithmetic of the kernel that really runs
Compute = Literal["float32", "int8"]


@dataclass(frozen=True)
class OperationCost:
    """One operation: work, weights and activations; elements are counted without the batch.

    Args:
        kind: which kernel family runs.
        macs: multiply-accumulates of one image.
        weight_elements, weight_bits: weights and the bits in which the artifact stores each.
        bias_elements: 32 bits each.
        input_elements, output_elements, activation_bits: tensors read and written.
        compute: arithmetic of the kernel (int4 and int2 convolutions run as float32).
        moved_elements: elements permuted before a tensor-train contraction.
        rank_elements: rank x elements of a contraction (its inner size times its output).
        patch_elements: size of the im2col patch matrix of a convolution.
        reduction: products that are summed in one output element, kernel area times inputs of a group.
        columns: output channels of a group: its weights are a matrix of reduction x columns; both 0 unknown.
        calibrated: whether the published measurements hold a kernel like this one.
        operation: what it is called where it is no layer's: kind in a trace, operator of a file.
    """

    kind: OperationKind
    macs: int = 0
    weight_elements: int = 0
    weight_bits: int = FLOAT_BITS
    bias_elements: int = 0
    input_elements: int = 0
    output_elements: int = 0
    activation_bits: int = FLOAT_BITS
    compute: Compute = "float32"
    moved_elements: int = 0
    rank_elements: int = 0
    patch_elements: int = 0
    reduction: int = 0
    columns: int = 0
    calibrated: bool = True
    operation: str = ""

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights and biases as the artifact stores them."""
        return (self.weight_elements * self.weight_bits + 7) // 8 + 4 * self.bias_elements

    def repeated(self, times: int) -> "OperationCost":
        """Returns what it costs in a loop, which no measurement holds: work as often, the weights once."""
        return replace(
            self,
            macs=times * self.macs,
            input_elements=times * self.input_elements,
            output_elements=times * self.output_elements,
            calibrated=False,
        )

    def tiled_macs(self, tile: int) -> int:
        """Multiply-accumulates of an array that works on tile x tile weights at a time, filled or not."""
        if not (self.reduction and self.columns):
            return self.macs
        filled = self.reduction * self.columns
        return self.macs * (_rounded(self.reduction, tile) * _rounded(self.columns, tile)) // filled

    @property
    def kernel_bytes(self) -> int:
        """Bytes of one operand element in the kernel: fewer stored bits do not make it narrower."""
        return 1 if self.compute == "int8" else 4

    @property
    def kernel_weight_bytes(self) -> int:
        """Bytes of weights and biases as the kernel reads them, widened to its arithmetic."""
        return self.weight_elements * self.kernel_bytes + 4 * self.bias_elements


def weighed(
    kind: OperationKind,
    weight: "Factor",
    narrowest: int,
    biases: int,
    positions: int,
    input_shape: Sequence[int],
    output_shape: Sequence[int],
    activation_bits: int,
    dynamic: bool = False,
) -> OperationCost:
    """Returns what it costs to multiply by every element of a weight at so many positions.

    Args:
        kind: which kernel family runs.
        weight: [columns, ...], of which one output element sums the rest.
        narrowest, activation_bits, dynamic: as `kernel` takes them.
        biases: their number.
        positions: of one image.
        input_shape, output_shape: without the batch.
    """
    elements, reduction = prod(weight.shape), prod(weight.shape[1:])
    compute, calibrated = kernel(weight, narrowest, activation_bits, dynamic)
    return OperationCost(
        kind=kind,
        macs=positions * elements,
        weight_elements=elements,
        weight_bits=storage_bits(weight, narrowest),
        bias_elements=biases,
        input_elements=prod(input_shape),
        output_elements=prod(output_shape),
        activation_bits=activation_bits,
        compute=compute,
        reduction=reduction,
        columns=weight.shape[0],
        calibrated=calibrated,
    )


def loop_costs(inside: Sequence[OperationCost], times: int) -> tuple[OperationCost, OperationCost]:
    """Returns what a loop costs: the matrix product of its steps, and all else that they do together.

    Args:
        inside: of the operators of one step, of which one is the product.
        times: how often they run.
    """
    (product,) = (cost for cost in inside if cost.macs)
    others = [cost for cost in inside if cost is not product]
    step = OperationCost(
        kind="elementwise",
        input_elements=sum(cost.input_elements for cost in others),
        output_elements=sum(cost.output_elements for cost in others),
        operation="WHILE",
    )
    return product.repeated(times), step.repeated(times)


def _rounded(size: int, tile: int) -> int:
    return -(-size // tile) * tile


def storage_bits(factor: "Factor", narrowest: int) -> int:
    """Returns the bits in which the artifact stores each weight of a factor.

    The narrowest type that the runtime computes right; float16 for half precision. A codebook without a grid
    stays float.

    Args:
        factor: the weight.
        narrowest: `narrowest_bits` of the layer.
    """
    bits = factor.grid_bits
    if bits is None:
        return FLOAT_BITS
    return next(width for width in (2, 4, 8, 16) if width >= max(bits, narrowest))


def kernel(
    factor: "Factor", narrowest: int, activation_bits: int, dynamic: bool = False
) -> tuple[Compute, bool]:
    """Returns the arithmetic that a layer's kernel runs in, and whether it was ever measured.

    Weights-only integers are widened to float before use, and so are half precision and integers with a
    zero point, which no integer kernel takes; int4 dense runs as int8; int4 and int2 convolutions are not
    delegated and are priced as float. The grid of a plan that stands for wider ones too is priced as the
    fastest.

    Args:
        factor: the weight.
        narrowest: `narrowest_bits` of the layer: that of dense ones is 2, that of convolutions 4.
        activation_bits: of the tensors read and written, 32 is float.
        dynamic: whether the kernel rounds float activations to 8 bits as it runs.
    """
    bits = storage_bits(factor, narrowest)
    if bits == FLOAT_BITS:
        return "float32", True
    if (activation_bits == FLOAT_BITS and not dynamic) or factor.affine or bits > 8:
        return "float32", False
    if bits == 8:
        return "int8", not dynamic
    if factor.least:
        return "int8", False
    return ("float32" if narrowest > 2 else "int8"), False
