"""What LiteRT Micro runs: operators, the types that each takes, and how many axes.

Found by running: a file of every operator that this Atoll writes, in every type and with four to six axes, in
the interpreter of the package tflite-micro 0.dev20261023182759 (commit 8f6596d, 27 November 2026), beside
LiteRT's plain kernels. What is not here was refused, ended the process, or computed something else.
"""

from math import inf

from ..tables.tflite_file import FileOperator, TfliteFile

#: what a study calls the runtime
MICRO = "litert-micro"
#: the package on the index that has its interpreter, and the one that the rules were found with
PACKAGE, TRIED = "tflite-micro", "0.dev20261023182759"
#: said of a file that runs, in place of a reason
RUNS = "runs"

_BOTH = ("float32", "int8")
#: operator without weights -> types of what it reads
READS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((
        "MUL", "AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "PAD", "PADV2", "MIRROR_PAD", "SLICE",
        "STRIDED_SLICE", "BROADCAST_TO", "TRANSPOSE", "RESHAPE", "CONCATENATION", "RELU", "RELU6", "MAXIMUM",
        "MINIMUM", "PRELU", "LOGISTIC", "TANH", "HARD_SWISH", "ELU", "LEAKY_RELU", "SOFTMAX", "BATCH_MATMUL",
        "GATHER", "SPLIT", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "GREATER_EQUAL", "QUANTIZE", "RSQRT",
    ), _BOTH),
    # integers count the rounds of a loop
    **dict.fromkeys(("ADD", "SUB", "WHILE"), (*_BOTH, "int32")),
    **dict.fromkeys(("SQRT", "SQUARE", "EXP", "LOG", "ABS", "NEG", "DIV"), ("float32",)),
    "LESS": ("int32",),
    "SELECT_V2": ("bool",),
    "DEQUANTIZE": ("int8",),
}  # fmt: skip
_CONVOLUTION = {"float32": ("float32",), "int8": ("int8", "int4")}
#: operator with weights -> type of what it reads -> types of its weights
WEIGHTS: dict[str, dict[str, tuple[str, ...]]] = {
    "CONV_2D": _CONVOLUTION,
    "DEPTHWISE_CONV_2D": _CONVOLUTION,
    "FULLY_CONNECTED": _CONVOLUTION,
    "TRANSPOSE_CONV": {"float32": ("float32",), "int8": ("int8",)},
}
#: what takes one scale alone: dense layers of 4 bits are refused with several, and what widens constants
#: takes the first of them for all
ONE_SCALE = (("FULLY_CONNECTED", "int4"), ("DEQUANTIZE", "int8"))
#: operator -> most axes; with more it is refused, or the process ends
AXES: dict[str, int] = {
    **dict.fromkeys(("STRIDED_SLICE", "PRELU"), 4),
    **dict.fromkeys(("PAD", "PADV2", "SLICE", "TRANSPOSE", "BROADCAST_TO", "BATCH_MATMUL"), 5),
}
#: place of what an operator reads where that is not the first, and of its weights
_PLACES = {"TRANSPOSE_CONV": (2, 1), "SPLIT": (1, -1)}


def refused(file: TfliteFile) -> str:
    """Returns the first operator that LiteRT Micro does not run, in words; nothing where it runs them all.

    >>> from atoll.evaluators.litert.writer import TfliteModel
    >>> from atoll.evaluators.litert.operators import relu
    >>> model = TfliteModel()
    >>> model.outputs = [relu(model, model.add_input((1, 4)), "relu_0_to_1", None)]
    >>> refused(TfliteFile.parse(model.to_bytes()))
    'it has no RELU_0_TO_1'
    """
    found = (why_not(graph, operator) for graph in file.graphs for operator in graph.operators)
    return next(filter(None, found), "")


def why_not(file: TfliteFile, operator: FileOperator) -> str:
    """Returns why LiteRT Micro does not run an operator of a graph; nothing where it runs it."""
    name = operator.name
    if name not in READS and name not in WEIGHTS:
        return f"it has no {name}"
    place, at_weights = _PLACES.get(name, (0, 1))
    if not 0 <= place < len(operator.places) or operator.places[place] < 0:
        return f"it does not run {name} without an input"
    source = file.tensors[operator.places[place]]
    read, several = source.dtype.lower(), source.scales[1] > 1
    if name in WEIGHTS:
        weight = file.tensors[operator.places[at_weights]]
        kind, several = weight.dtype.lower(), weight.scales[1] > 1
        if kind not in WEIGHTS[name].get(read, ()):
            return f"it does not run {name} with {kind} weights and {read} activations"
        if several and (name, kind) in ONE_SCALE:
            return f"it does not run {name} with {kind} weights of a scale a channel"
    elif read not in READS[name]:
        return f"it does not run {name} of {read}"
    elif several and (name, read) in ONE_SCALE:
        return f"it runs {name} of {read} with one scale alone, and this has one a channel"
    axes = max(len(file.tensors[index].shape) for index in (operator.places[place], *operator.outputs))
    if axes > AXES.get(name, inf):
        return f"it runs {name} of {AXES[name]} axes at most, and this has {axes}"
    return ""
