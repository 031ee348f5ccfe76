"""Which version an operator carries: LiteRT's own rules, a line for what each version brought.

A runtime older than the version refuses the file; with one that is too low it may load the file and compute
nonsense. Source: LiteRT 2.3, tflite/converter/tools/versioning/op_version.cc (`GetBuiltinOperatorVersion`)
and op_signature.cc beside it (what "per channel" and "grouped" mean there).

An operator has the highest version of what it uses. LiteRT's function returns at the first line that fits,
which is the same but for weights of 4 bits beside groups, float activations or no bias: there it names one
of the lower versions, and its own `UpdateOpVersion` leaves a higher one as it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names
from .file_model import FileModel, TensorEntry


@dataclass(frozen=True)
class Signature:
    """What decides a version.

    Args:
        inputs: None for an optional one that is left out.
        outputs: at least one.
        settings: options in the schema's camelCase.
    """

    inputs: Sequence[TensorEntry | None]
    outputs: Sequence[TensorEntry]
    settings: dict[str, Any]

    def dtype(self, position: int) -> str:
        """Returns the type of an input, empty where there is none."""
        entry = self.inputs[position] if position < len(self.inputs) else None
        return "" if entry is None else entry.dtype

    def steps(self, position: int) -> np.ndarray:
        """Returns the scales of an input, none for floats."""
        return _steps(self.inputs[position])


def _steps(entry: TensorEntry | None) -> np.ndarray:
    if entry is None or (entry.grid is None and entry.scales is None):
        return np.zeros(0, np.float32)
    return np.array([entry.grid.scale], np.float32) if entry.grid else np.asarray(entry.scales)


Line = tuple[int, Callable[[Signature], bool]]


def _reads(*dtypes: str) -> Callable[[Signature], bool]:
    return lambda one: one.dtype(0) in dtypes


def _weights(*dtypes: str) -> Callable[[Signature], bool]:
    return lambda one: one.dtype(1) in dtypes


def _integer(one: Signature) -> bool:
    return one.dtype(0) == one.dtype(1) == one.outputs[0].dtype == "int8"


def _dynamic(one: Signature) -> bool:
    """Float activations that the kernel rounds as it runs."""
    return one.dtype(0) == "float32" and one.dtype(1).startswith("int")


def _dynamic_per_channel(axis: int) -> Callable[[Signature], bool]:
    """So many scales as the weights have channels; one is enough for one channel."""

    def holds(one: Signature) -> bool:
        weight = one.inputs[1]
        return _dynamic(one) and weight is not None and one.steps(1).size == weight.shape[axis]

    return holds


def _dynamic_asymmetric(one: Signature) -> bool:
    return _dynamic(one) and bool(one.settings.get("asymmetricQuantizeInputs"))


def _grouped(one: Signature) -> bool:
    x, weight = one.inputs[:2]
    return x is not None and weight is not None and x.shape[3] != weight.shape[3]


def _dilated(one: Signature) -> bool:
    return (one.settings["dilationHFactor"], one.settings["dilationWFactor"]) != (1, 1)


def _per_channel_input(one: Signature) -> bool:
    return one.dtype(0) == "int8" and one.steps(0).size > 1


def _stretched(one: Signature) -> bool:
    """A product whose steps are no smaller than those of the result: its integers must be multiplied up."""
    steps = [one.steps(0), one.steps(1), _steps(one.outputs[0])]
    return all(step.size for step in steps) and bool(steps[0][0] * steps[1][0] / steps[2][0] >= 1)


def _set(*names: str) -> Callable[[Signature], bool]:
    return lambda one: any(one.settings.get(name) for name in names)


def _axes_over(most: int) -> Callable[[Signature], bool]:
    return lambda one: one.inputs[0] is not None and len(one.inputs[0].shape) > most


_INT8: Line = (2, _reads("int8"))
#: operator -> (version, whether an operator uses what that version brought); version 1 is the first of all
LINES: dict[str, tuple[Line, ...]] = {
    "CONV_2D": (
        (2, _dynamic), (3, _integer), (5, _dynamic_per_channel(0)), (6, _grouped), (7, _weights("int4")),
    ),
    "DEPTHWISE_CONV_2D": (
        (2, _dilated), (3, _integer), (4, _dynamic), (6, _dynamic_per_channel(3)), (7, _weights("int4")),
    ),
    "FULLY_CONNECTED": (
        (3, _dynamic), (4, _integer), (5, _set("keepNumDims")), (6, lambda one: len(one.inputs) == 2),
        (9, _dynamic_asymmetric), (10, _weights("int4")), (12, _dynamic_per_channel(0)),
        (14, _weights("int2")),
    ),
    # the third input is what it reads: as int8 since version 2; every one of ours has a bias
    "TRANSPOSE_CONV": ((3, lambda one: len(one.inputs) == 4), (4, _set("fusedActivationFunction"))),
    "BATCH_MATMUL": (_INT8,),
    "DEQUANTIZE": (
        _INT8, (3, _reads("int16", "float16")), (5, _per_channel_input), (6, _reads("int4")),
        (7, _reads("int2")),
    ),
    "RESIZE_BILINEAR": (_INT8, (3, _set("halfPixelCenters"))),
    "RESIZE_NEAREST_NEIGHBOR": (_INT8, (3, _set("halfPixelCenters", "alignCorners"))),
    "MUL": (_INT8, (3, _stretched)),
    "TRANSPOSE": (_INT8, (4, _axes_over(4)), (6, _axes_over(5))),
    "SLICE": (_INT8, (5, _axes_over(4))),
    "BROADCAST_TO": ((2, lambda one: True), (3, _reads("int8"))),
    **dict.fromkeys(("PAD", "PADV2", "STRIDED_SLICE"), (_INT8, (4, _axes_over(4)))),
    **dict.fromkeys(("ADD", "SUB", "CONCATENATION", "MIRROR_PAD"), (_INT8,)),
    **dict.fromkeys(("MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN"), (_INT8,)),
    **dict.fromkeys(("RELU", "RELU6", "LOGISTIC", "TANH", "SOFTMAX", "GELU"), (_INT8,)),
    # in loops; counts are int32, which version 1 knows too
    "WHILE": (),
    "SPLIT": ((2, _weights("int8")),),
    **dict.fromkeys(("LESS", "GATHER"), (_INT8,)),
    **dict.fromkeys(("GREATER_EQUAL", "RSQRT", "MAXIMUM", "MINIMUM"), (_INT8,)),
    # in float alone here
    **dict.fromkeys(("SQRT", "SQUARE", "EXP", "LOG", "ABS", "NEG", "DIV"), ()),
    # int8 came without a version, and the later ones are for types that this writer does not have
    **dict.fromkeys(("RESHAPE", "QUANTIZE", "LEAKY_RELU", "ELU", "HARD_SWISH", "SELECT_V2", "PRELU"), ()),
    **dict.fromkeys(("RELU_N1_TO_1", "RELU_0_TO_1"), ()),
}  # fmt: skip


def version_of(builtin: str, signature: Signature) -> int:
    """Returns the version that an operator must carry.

    Args:
        builtin: name in the schema's BuiltinOperator.
        signature: of one operator.

    Raises:
        AtollError: there are no rules here for such an operator.
    """
    if builtin not in LINES:
        raise AtollError(f"no version is known for operator {builtin!r}; {known_names(builtin, LINES)}")
    return max((version for version, used in LINES[builtin] if used(signature)), default=1)


def versions_of(model: FileModel) -> list[int]:
    """Returns the versions of a file's operators, in the order of execution.

    Products of integers all carry the highest of theirs, as `UpdateOpVersion` has it for operators that share
    a code: trained scales decide it, and they must not decide how many codes, so how many bytes, a file has.
    """
    found = [
        version_of(
            operator.name,
            Signature(
                [None if index < 0 else model.tensors[index] for index in operator.inputs],
                [model.tensors[index] for index in operator.outputs],
                operator.settings,
            ),
        )
        if operator.version is None
        else operator.version
        for operator in model.operators
    ]
    products = [
        at
        for at, operator in enumerate(model.operators)
        if operator.name == "MUL" and operator.version is None and found[at] > 1
    ]
    for at in products:
        found[at] = max(found[product] for product in products)
    return found
