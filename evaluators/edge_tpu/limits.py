"""What the Edge TPU demands of one operator of a file, and what to change where it does not have it.

Source: Coral, "TensorFlow models on the Edge TPU" (requirements, and the known limitations of operators).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from ...hw_models.formulas.edge_tpu_rules import LISTED
from ...hw_models.tables.tflite_file import FileOperator, TfliteFile

#: innermost sizes that may be above 1
INNERMOST = 3
#: longest vector of a SOFTMAX
LONGEST_SOFTMAX = 16_000
_QUANTIZED = ("int8", "uint8")
_INTEGER = "quantize(bits=8) over every layer makes it integer, inputs and outputs included"
_EIGHT_BITS = "let quantize give {layer} 8 bits"
_CHAIN = "leave {layer} dense: tensor trains need transposes and several rows"
_ONE_SCALE = (
    "one scale for {layer} is safest: granularity=per_tensor; a normalisation folded into it brings a scale "
    "per channel back"
)


@dataclass(frozen=True)
class Finding:
    """What stands against an operator.

    Args:
        reason: why the chip does not take it, or may not.
        advice: what to change in the recipe; {layer} stands for the layer.
        risk: whether the documents allow it all the same.
    """

    reason: str
    advice: str = ""
    risk: bool = False


#: nothing stands against an operator
TAKEN = Finding("", risk=True)


class CheckedOperator:
    """One operator of a file with its tensors."""

    def __init__(self, file: TfliteFile, stored: FileOperator) -> None:
        self._file, self._stored = file, stored
        self.name, self.version = stored.name, stored.version
        self.inputs, self.outputs = stored.places, stored.outputs

    def findings(self) -> Iterator[Finding]:
        """Yields what stands against it; nothing where the chip takes it."""
        if self.name == "TRANSPOSE":
            yield Finding("TRANSPOSE is not sure to be mapped", _CHAIN)
        elif self.name not in LISTED:
            other = f"take another operation than {self.name} in {{layer}}: the Edge TPU has ReLU and ReLU6"
            advice = _INTEGER if self.name == "DEQUANTIZE" else other
            yield Finding(f"{self.name} is not among the Edge TPU's operators", advice)
        else:
            yield from self._types()
            yield from self._shapes()
            yield from _LIMITS.get(self.name, _nothing)(self)
            if self.version > LISTED[self.name]:
                yield Finding(f"version {self.version} is too new, allowed are up to {LISTED[self.name]}")

    def _types(self) -> Iterator[Finding]:
        data = self.inputs[: _DATA_INPUTS.get(self.name, len(self.inputs))]
        for index in (index for index in [*data, *self.outputs] if index >= 0):
            tensor = self._file.tensors[index]
            dtype = tensor.dtype.lower()
            bias = tensor.constant and dtype == "int32" and index in self.inputs[2:]
            if dtype not in _QUANTIZED and not bias:
                advice = _EIGHT_BITS if dtype in ("int4", "int2") else _INTEGER
                yield Finding(f"{dtype} values, allowed are 8-bit integers", advice)
            if tensor.behind:
                yield Finding("its values lie behind the flatbuffer, allowed are those inside it")

    def _shapes(self) -> Iterator[Finding]:
        for index in (index for index in [*self.inputs, *self.outputs] if index >= 0):
            tensor = self._file.tensors[index]
            if not tensor.fixed:
                yield Finding("a size that is not fixed", "export with fixed sizes and batch 1")
            if not tensor.constant and any(size != 1 for size in tensor.shape[:-INNERMOST]):
                allowed = f"allowed are {INNERMOST} innermost sizes above 1 and batch 1"
                yield Finding(f"a tensor of shape {list(tensor.shape)}, {allowed}")

    def option(self, table: str, name: str) -> int:
        """Returns a setting of its options, 0 where it has none."""
        number, layout = _OPTIONS[table, name]
        return 0 if self._stored.options is None else self._stored.options.number(number, layout)

    def shape(self, position: int) -> tuple[int, ...]:
        """Returns the shape of an input."""
        return self._file.tensors[self.inputs[position]].shape

    def rows(self) -> int:
        """Returns how many vectors its output is made of."""
        return prod(self._file.tensors[self.outputs[0]].shape[:-1])

    def scales(self, position: int) -> int:
        """Returns how many scales an input has."""
        return self._file.tensors[self.inputs[position]].scales[1]

    def integers(self, position: int) -> np.ndarray:
        """Returns the values of an int32 constant; none where they are computed."""
        return self._file.values(self.inputs[position], np.int32)


#: (options of the schema, member) -> (its number there, its layout)
_OPTIONS = {
    ("Pool2D", "FusedActivationFunction"): (5, "<b"),
    ("Concatenation", "FusedActivationFunction"): (1, "<b"),
    ("Conv2D", "DilationWFactor"): (4, "<i"),
    ("Conv2D", "DilationHFactor"): (5, "<i"),
    ("DepthwiseConv2D", "DilationWFactor"): (5, "<i"),
    ("DepthwiseConv2D", "DilationHFactor"): (6, "<i"),
    ("FullyConnected", "WeightsFormat"): (1, "<b"),
}
Limits = Callable[[CheckedOperator], Iterator[Finding]]


def _nothing(one: CheckedOperator) -> Iterator[Finding]:
    yield from ()


def _no_activation(options: str) -> Limits:
    def limits(one: CheckedOperator) -> Iterator[Finding]:
        if one.option(options, "FusedActivationFunction"):
            yield Finding("a fused activation, allowed is none")

    return limits


def _one_dilation(options: str) -> Limits:
    def limits(one: CheckedOperator) -> Iterator[Finding]:
        if one.option(options, "DilationHFactor") != one.option(options, "DilationWFactor"):
            yield Finding("another dilation down than across, allowed is the same")

    return limits


def _convolution(one: CheckedOperator) -> Iterator[Finding]:
    yield from _one_dilation("Conv2D")(one)
    if one.shape(0)[-1] != one.shape(1)[-1]:
        yield Finding("groups, allowed are none or one a channel")


def _dense(one: CheckedOperator) -> Iterator[Finding]:
    if one.option("FullyConnected", "WeightsFormat"):
        yield Finding("shuffled weights, allowed is the default format")
    if one.rows() != 1:
        yield Finding(f"{one.rows()} rows, allowed is one", _CHAIN)
    if one.scales(1) > 1:
        reason = "a scale per channel: runtimes of 2020 know one scale a dense layer"
        yield Finding(reason, _ONE_SCALE, risk=True)


def _over_positions(one: CheckedOperator) -> Iterator[Finding]:
    rank = len(one.shape(0))
    axes = sorted({int(axis) % rank for axis in one.integers(1)})
    if rank == 4 and not set(axes) <= {1, 2}:
        yield Finding(f"it goes over axes {axes}, allowed are height and width (1 and 2)")


def _padding(one: CheckedOperator) -> Iterator[Finding]:
    pads = one.integers(1).reshape(-1, 2)
    if len(pads) == 4 and (pads[0].any() or pads[3].any()):
        yield Finding("it pads batch or channels, allowed are height and width")


def _softmax(one: CheckedOperator) -> Iterator[Finding]:
    if one.rows() != 1 or one.shape(0)[-1] > LONGEST_SOFTMAX:
        yield Finding(f"a shape {list(one.shape(0))}, allowed is one vector of up to {LONGEST_SOFTMAX:,}")


def _resize(one: CheckedOperator) -> Iterator[Finding]:
    yield Finding("large sizes are not mapped, for the sake of precision", risk=True)


def _strides(one: CheckedOperator) -> Iterator[Finding]:
    if (one.integers(3) != 1).any():
        yield Finding("strides above 1, allowed is 1")


_LIMITS: dict[str, Limits] = {
    "AVERAGE_POOL_2D": _no_activation("Pool2D"),
    "MAX_POOL_2D": _no_activation("Pool2D"),
    "CONCATENATION": _no_activation("Concatenation"),
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _one_dilation("DepthwiseConv2D"),
    "FULLY_CONNECTED": _dense,
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), _over_positions),
    "PAD": _padding,
    "SOFTMAX": _softmax,
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), _resize),
    "STRIDED_SLICE": _strides,
}
#: how many inputs are data where the others only steer
_DATA_INPUTS = {
    **dict.fromkeys(
        ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "PAD", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"), 1
    ),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE", "STRIDED_SLICE"), 1),
}
