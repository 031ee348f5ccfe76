"""The runtime's operators, an entry each, and which of them an operation of a network becomes.

Plan, price and file writer read these; which operations a kernel takes in is in `spaces.graph.fusion`.
"""

from dataclasses import dataclass

from ...spaces.layers.cost import OperationKind


@dataclass(frozen=True)
class OperatorEntry:
    """What an operator is.

    Args:
        kind: kernel family; those of operators with weights depend on sizes and are not said here.
        in_place: whether it writes over its first input where that dies and is as large as the result.
        view: whether it is no work at all and shares its input's memory.
        calibrated: whether measurements hold a kernel like it.
        picks: whether it reads no more than what it gives.
    """

    kind: OperationKind = "unknown"
    in_place: bool = False
    view: bool = False
    calibrated: bool = True
    picks: bool = False


_ELEMENTWISE = OperatorEntry("elementwise", in_place=True)
OPERATORS: dict[str, OperatorEntry] = {
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"), OperatorEntry(view=True)),
    **dict.fromkeys((
        "ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "POW",
        "RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "PRELU", "LEAKY_RELU", "ELU", "GELU",
        "LOGISTIC", "TANH", "HARD_SWISH", "ABS", "NEG", "EXP", "LOG", "SQRT", "RSQRT", "SQUARE",
        "FLOOR", "CEIL", "ROUND", "SIGN", "CAST",
        "SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION", "QUANTIZE", "DEQUANTIZE",
    ), _ELEMENTWISE),
    **dict.fromkeys((
        "SELECT", "SELECT_V2", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "EQUAL", "NOT_EQUAL",
    ), OperatorEntry("elementwise", in_place=True, calibrated=False)),
    **dict.fromkeys((
        "MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D", "MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN",
        "REDUCE_PROD",
    ), OperatorEntry("pool")),
    **dict.fromkeys((
        "CONCATENATION", "PACK", "UNPACK", "SPLIT", "SPLIT_V", "TILE", "PAD", "PADV2", "MIRROR_PAD", "SLICE",
        "STRIDED_SLICE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "TRANSPOSE",
        "SPACE_TO_DEPTH", "DEPTH_TO_SPACE", "BROADCAST_TO", "REVERSE_V2", "SPACE_TO_BATCH_ND",
        "BATCH_TO_SPACE_ND",
    ), OperatorEntry("move")),
    "GATHER": OperatorEntry("move", picks=True),
}  # fmt: skip
UNKNOWN = OperatorEntry()

#: kinds that are computed in float wherever they stand: the bounds of a clamp would need the value's own grid
FLOAT_ALONE = ("clamp",)

#: kind of an operation without weights -> the operators that it becomes, in the order of execution
OPERATORS_OF: dict[str, tuple[str, ...]] = {
    "add": ("ADD",),
    "subtract": ("SUB",),
    "multiply": ("MUL",),
    "divide": ("MUL",),  # by a number, else DIV
    "concatenate": ("CONCATENATION",),
    "relu": ("RELU",),
    "relu6": ("RELU6",),
    "relu_n1_to_1": ("RELU_N1_TO_1",),
    "relu_0_to_1": ("RELU_0_TO_1",),
    "clamp": ("MAXIMUM", "MINIMUM"),  # or one of them
    "maximum": ("MAXIMUM",),
    "minimum": ("MINIMUM",),
    "leaky_relu": ("LEAKY_RELU",),
    "elu": ("ELU",),
    "gelu": ("GELU",),
    "prelu": ("PRELU",),
    "sqrt": ("SQRT",),
    "rsqrt": ("RSQRT",),
    "square": ("SQUARE",),
    "exp": ("EXP",),
    "log": ("LOG",),
    "abs": ("ABS",),
    "negate": ("NEG",),
    "sigmoid": ("LOGISTIC",),
    "tanh": ("TANH",),
    "hard_swish": ("HARD_SWISH",),
    "silu": ("LOGISTIC", "MUL"),  # x sigmoid(x)
    "hard_sigmoid": ("ADD", "MUL"),  # relu6(x + 3) / 6: there is no operator of that name
    "softmax": ("SOFTMAX",),
    "recurrence": ("WHILE",),
    "matmul": ("BATCH_MATMUL",),
    # less the mean, by the root of the variance; then a scale and a shift where there are any
    "standardise": ("MEAN", "SUB", "MUL", "MEAN", "ADD", "RSQRT", "MUL", "MUL", "ADD"),
    "max_pool": ("MAX_POOL_2D",),
    "avg_pool": ("AVERAGE_POOL_2D",),
    "global_avg_pool": ("MEAN",),
    "mean": ("MEAN",),
    "global_max_pool": ("MAX_POOL_2D",),
    "upsample": ("RESIZE_NEAREST_NEIGHBOR",),  # or RESIZE_BILINEAR
    "expand": ("BROADCAST_TO",),
    # what a layer does to its input where it computes with signs: SIGN has a third value
    "sign": ("GREATER_EQUAL", "SELECT_V2"),
}
