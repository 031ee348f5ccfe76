"""The release of TensorFlow that brought each version of each operator, as LiteRT publishes it.

Source: google-ai-edge/LiteRT at commit 119ae63 (TensorFlow 2.23), tflite/converter/tools/versioning/
runtime_version.cc, `FindMinimumRuntimeVersionForOp`. tflite-runtime has TensorFlow's numbers; what those of
ai-edge-litert mean is in `runtime.py`.
"""

from .release import release

#: operator -> releases of its versions, the first version first; "-" for a version that no release has
RELEASES: dict[str, str] = {
    "ABS": "1.13 2.4 2.5 2.6 2.12",
    "ADD": "1.5 1.14 2.4 2.6 2.13 2.23",
    "ADD_N": "1.14",
    "ARG_MAX": "1.9 1.14 2.9",
    "ARG_MIN": "1.9 1.14 2.9",
    "AVERAGE_POOL_2D": "1.5 1.14 2.3",
    "BATCH_MATMUL": "2.3 2.3 2.4 2.5",
    "BATCH_TO_SPACE_ND": "1.6 1.14 2.3 2.12",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "1.14 1.14 1.14",
    "BIDIRECTIONAL_SEQUENCE_RNN": "1.14 1.14 2.3",
    "BROADCAST_TO": "- 2.5 2.5",
    "CAST": "1.5 2.7 2.8 2.9 2.12 2.15 2.17 2.21",
    "CEIL": "1.14",
    "CONCATENATION": "1.5 1.14 2.3 2.14 2.21 2.23",
    "CONV_2D": "1.5 1.14 1.14 2.3 2.4 2.9 2.11 2.15",
    "CONV_3D": "2.5",
    "COS": "1.14 2.23",
    "CUMSUM": "2.4",
    "DENSIFY": "2.2",
    "DEPTH_TO_SPACE": "2.1 2.5",
    "DEPTHWISE_CONV_2D": "1.5 1.12 1.14 2.2 2.3 2.3 2.11",
    "DEQUANTIZE": "1.13.1 1.14 1.15 2.2 2.7 2.18 2.21 2.22",
    "DIV": "1.6 2.3",
    "DYNAMIC_UPDATE_SLICE": "2.9 2.17 2.19 2.20 2.21 2.22",
    "ELU": "1.14",
    "EMBEDDING_LOOKUP": "1.13 1.14 1.14 2.18 2.21",
    "EQUAL": "1.14 1.14 2.3 2.13 2.21",
    "EXP": "1.7 2.12",
    "EXPAND_DIMS": "1.10",
    "FAKE_QUANT": "1.5 1.10",
    "FILL": "1.13 2.3 2.5 2.12",
    "FLOOR": "1.9",
    "FLOOR_DIV": "1.14 1.14 2.13",
    "FLOOR_MOD": "1.13 2.13",
    "FULLY_CONNECTED": "1.5 1.10 1.14 1.14 2.0 2.1 2.3 2.3 2.3 2.11 2.15 2.17 2.18 2.21",
    "GATHER": "1.6 1.14 1.15 2.4 2.5 2.13 2.15",
    "GATHER_ND": "1.14 2.3 2.5 2.13 2.16",
    "GELU": "2.9 2.9",
    "GREATER": "1.14 1.14",
    "GREATER_EQUAL": "1.14 1.14 2.13",
    "HARD_SWISH": "1.15",
    "IF": "1.15",
    "L2_NORMALIZATION": "1.5 1.14",
    "L2_POOL_2D": "1.5",
    "LEAKY_RELU": "1.13.1 2.3",
    "LESS": "1.14 1.14 2.13",
    "LESS_EQUAL": "1.14 1.14",
    "LOCAL_RESPONSE_NORMALIZATION": "1.5",
    "LOG": "1.14 2.15",
    "LOG_SOFTMAX": "1.14 1.14",
    "LOGICAL_AND": "1.11",
    "LOGICAL_NOT": "1.11",
    "LOGICAL_OR": "1.11",
    "LOGISTIC": "1.14 1.14 2.3",
    "LSTM": "1.7 1.10 1.14 2.3",
    "MAX_POOL_2D": "1.5 1.14 2.3",
    "MAXIMUM": "1.14 1.14 2.3 2.3",
    "MEAN": "1.6 1.14 2.4",
    "MINIMUM": "1.14 1.14 2.3 2.3",
    "MIRROR_PAD": "1.13.1 2.3 2.12",
    "MUL": "1.5 1.14 1.15 2.3 2.6 2.11 2.13 2.23",
    "NEG": "1.9",
    "NOT_EQUAL": "1.14 1.14 2.3 2.21",
    "ONE_HOT": "1.11",
    "PACK": "1.11 1.14 2.3 2.13",
    "PAD": "1.5 1.14 2.4 2.6 2.20",
    "PADV2": "1.9 1.14 2.4 2.6 2.20",
    "POW": "1.10",
    "PRELU": "1.8",
    "QUANTIZE": "1.14 1.15 2.7 2.21 2.21 2.21",
    "RANGE": "1.13 2.14",
    "RANK": "1.14",
    "REDUCE_ALL": "2.6",
    "REDUCE_ANY": "1.11",
    "REDUCE_MAX": "1.11 1.14 2.5",
    "REDUCE_MIN": "1.11 1.14 2.5",
    "REDUCE_PROD": "1.11 2.6",
    "RELU": "1.5 2.1 2.5",
    "RELU6": "1.5 1.14 2.5",
    "RELU_0_TO_1": "2.10",
    "RELU_N1_TO_1": "1.5",
    "RESHAPE": "1.5",
    "RESIZE_BILINEAR": "1.7 1.14 2.2 2.5",
    "RESIZE_NEAREST_NEIGHBOR": "1.13.1 1.14 2.3 2.4",
    "REVERSE_SEQUENCE": "1.14",
    "REVERSE_V2": "1.14 2.2 2.5",
    "RNN": "1.5 1.14 2.3",
    "ROUND": "1.14",
    "RSQRT": "1.10 2.5 2.15",
    "SCATTER_ND": "2.1",
    "SELECT": "1.14 1.14 2.12 2.12",
    "SELECT_V2": "2.2 2.12",
    "SHAPE": "1.10",
    "SIGN": "2.11 2.12",
    "SIN": "1.9 2.23",
    "SLICE": "1.14 1.14 1.14 2.4 2.5 2.14 2.21 2.23",
    "SOFTMAX": "1.5 1.14 2.3 2.23",
    "SPACE_TO_BATCH_ND": "1.6 1.14 2.3 2.12",
    "SPACE_TO_DEPTH": "1.5 1.14",
    "SPLIT": "1.5 1.14 1.14 2.3",
    "SPLIT_V": "1.13.1 2.3",
    "SQRT": "1.10 2.21",
    "SQUARE": "1.12",
    "SQUARED_DIFFERENCE": "1.13.1 2.5",
    "SQUEEZE": "1.6 2.5",
    "STRIDED_SLICE": "1.6 1.14 2.1 2.2 2.5 2.6 2.14 2.14",
    "SUB": "1.6 1.14 2.3 2.4 2.4",
    "SUM": "1.10 1.15",
    "SVDF": "1.5 1.14 2.2 2.3",
    "TANH": "1.14 1.14 2.3",
    "TILE": "1.10.1 2.2 2.8",
    "TOPK_V2": "1.7 1.14 2.13",
    "TRANSPOSE": "1.6 1.14 1.15 2.3 2.4 2.12 2.14.4 2.22 2.23",
    "TRANSPOSE_CONV": "1.9 2.2 2.3 2.13 2.15",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "1.13.1 1.14 2.3 2.12",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "1.14 1.14 2.3",
    "UNPACK": "1.11 1.14 2.2 2.3 2.22",
    "WHERE": "1.14 2.8",
    "WHILE": "1.15",
    "ZEROS_LIKE": "1.12",
}

#: (operator, version) -> the release that brought it where the published one has it not: by the versions that
#: `Interpreter` of the wheels of tensorflow-cpu 2.12 to 2.21 and ai-edge-litert 1.0 to 2.3 finds (tried on
#: 27 November 2026)
FOUND: dict[tuple[str, int], str] = {
    ("BATCH_TO_SPACE_ND", 4): "2.13",
    ("CAST", 5): "2.13",
    ("CAST", 7): "2.19",
    ("DEPTHWISE_CONV_2D", 7): "2.13",
    ("DYNAMIC_UPDATE_SLICE", 2): "2.18",
    ("EXP", 2): "2.13",
    ("FULLY_CONNECTED", 10): "2.13",
    ("MIRROR_PAD", 3): "2.13",
    ("PACK", 4): "2.14",
    ("QUANTIZE", 5): "2.23",
    ("QUANTIZE", 6): "2.23",
    ("SELECT", 4): "2.14",
    ("SELECT_V2", 2): "2.14",
    ("SPACE_TO_BATCH_ND", 4): "2.13",
    ("TRANSPOSE", 7): "2.20",
}
#: the oldest release of TensorFlow that was run; what older ones load is claimed by the rule alone
OLDEST_RUN = "2.12"
#: said of such a claim
BY_RULE = "by rule"


def brought_in(name: str, version: int) -> str | None:
    """Returns the release that brought a version of an operator; None where the table lacks it.

    Args:
        name: in the schema's BuiltinOperator.
        version: of the operator, from 1.
    """
    releases = RELEASES.get(name, "").split()
    if not 0 < version <= len(releases) or releases[version - 1] == "-":
        return None
    return FOUND.get((name, version), releases[version - 1])


def how_known(needed: str) -> str:
    """Returns `by rule` of a release older than all that were run, else nothing.

    >>> how_known("2.1.0"), how_known("2.13.0")
    ('by rule', '')
    """
    return BY_RULE if release(needed) < release(OLDEST_RUN) else ""
