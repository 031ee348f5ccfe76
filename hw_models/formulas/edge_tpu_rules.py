"""What the Edge TPU runs: the operators that Coral documents, and what of a layer table falls to the CPU.

The compiler makes one part for the chip: from the first operator that it does not take, everything runs on
the CPU. Files are held against the same list by `evaluators.edge_tpu.check`.
"""

from dataclasses import dataclass, replace

from ..tables.layer_table import MAC_KINDS, LayerTable, TableRow
from ..tables.operator_table import OPERATORS_OF

#: operator -> its highest version of 2020 (TensorFlow Lite 2.4, `runtime_version.cc`), which compiler 16, the
#: last one, reads. The operators are those of Coral's page "TensorFlow models on the Edge TPU" but for LSTM.
#: TRANSPOSE is left out: the last compiler knows it, yet maps few (google-coral/edgetpu, issues 342 and 433).
LISTED = {
    "ADD": 3, "AVERAGE_POOL_2D": 3, "CONCATENATION": 3, "CONV_2D": 5, "DEPTHWISE_CONV_2D": 6,
    "EXPAND_DIMS": 1, "FULLY_CONNECTED": 9, "L2_NORMALIZATION": 2, "LOGISTIC": 3, "MAXIMUM": 4,
    "MAX_POOL_2D": 3, "MEAN": 3, "MINIMUM": 4, "MUL": 4, "PACK": 3, "PAD": 3, "PRELU": 1, "QUANTIZE": 2,
    "REDUCE_MAX": 2, "REDUCE_MIN": 2, "RELU": 2, "RELU6": 2, "RELU_N1_TO_1": 1, "RESHAPE": 1,
    "RESIZE_BILINEAR": 3, "RESIZE_NEAREST_NEIGHBOR": 4, "RSQRT": 2, "SLICE": 4, "SOFTMAX": 3,
    "SPACE_TO_DEPTH": 2, "SPLIT": 4, "SQUEEZE": 1, "SQUARED_DIFFERENCE": 1, "STRIDED_SLICE": 4, "SUB": 5,
    "SUM": 2, "TANH": 3, "TRANSPOSE_CONV": 3,
}  # fmt: skip
#: operators that the chip takes, but that no published row holds: nobody knows their time (Coral's
#: benchmark page has no network with squeeze-excitation or its gates)
_UNTIMED = (
    "LOGISTIC",
    "MUL",
    "TANH",
    "SOFTMAX",
    "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR",
    "TRANSPOSE_CONV",
)


def operator_of(row: TableRow) -> str:
    """Returns the operator that a row without weights stands for; empty for those with weights.

    Tables that were stored earlier name an operation's kind.
    """
    return OPERATORS_OF.get(row.cost.operation, (row.cost.operation,))[0]


def reason_against(row: TableRow) -> str | None:
    """Returns why the chip does not run an operation, None where it does."""
    cost = row.cost
    if cost.activation_bits != 8:
        return "float activations: the Edge TPU runs 8-bit integers alone"
    if cost.weight_elements and cost.weight_bits != 8:
        return f"{cost.weight_bits}-bit weights: the Edge TPU reads 8-bit ones alone"
    if cost.compute != "int8":
        return "float arithmetic: the Edge TPU runs 8-bit integers alone"
    if cost.kind == "contraction":
        return "tensor-train stages are transposed: TRANSPOSE is not sure to be mapped"
    operator = operator_of(row)
    if operator and operator not in LISTED:
        return f"{operator} is not among the Edge TPU's operators"
    return None


@dataclass(frozen=True)
class Split:
    """A network's operations by where they run.

    Args:
        chip, cpu: None where nothing runs there.
        layer: where the CPU's part begins; empty where there is none.
        reason: why.
    """

    chip: LayerTable | None
    cpu: LayerTable | None
    layer: str = ""
    reason: str = ""

    def __str__(self) -> str:
        if self.cpu is None:
            return "every operation runs on the Edge TPU"
        return f"{len(self.cpu.rows)} operations from {self.layer} on run on the CPU: {self.reason}"


def split(table: LayerTable) -> Split:
    """Sorts operations: from the first one that the chip does not take, all run on the CPU."""
    for at, row in enumerate(table.rows):
        reason = reason_against(row)
        if reason is not None:
            chip = replace(table, rows=table.rows[:at]) if at else None
            return Split(chip, replace(table, rows=table.rows[at:]), row.path or row.name, reason)
    return Split(table, None)


def untimed(table: LayerTable) -> tuple[str, ...]:
    """Returns the names of operations that the chip may run but whose time no measurement tells."""
    found = {
        operator_of(row)
        for row in table.rows
        if reason_against(row) is None and row.cost.kind not in MAC_KINDS and operator_of(row) in _UNTIMED
    }
    return tuple(sorted({*table.unknown, *found}))
