"""The operators that our networks need, one function each: adds the operator, returns its output tensor.

``grid`` is the int8 grid of the output, or None for float32. Operators that only move values keep the grid of
their input. Versions are not chosen here: `versions` has LiteRT's rules.
"""

from typing import Any

import numpy as np

from ...spaces.errors import AtollError
from .tensors import TensorGrid
from .writer import TfliteModel

NO_TENSOR = -1  # an optional input that is left out
PADDING = {"same": 0, "valid": 1}  # Padding of the schema
_ACTIVATION = {None: 0, "relu": 1, "relu6": 3}  # ActivationFunctionType of the schema


def window_size(size: int, kernel: int, stride: int, padding: str) -> int:
    """Output length of a window of ``kernel`` over ``size``; raises AtollError if nothing fits."""
    length = -(-size // stride) if padding == "same" else (size - kernel) // stride + 1
    if length < 1:
        raise AtollError(f"a window of {kernel} does not fit {size} values")
    return length


def conv_2d(
    model: TfliteModel,
    x: int,
    weight: int,
    bias: int = NO_TENSOR,
    grid: TensorGrid | None = None,
    strides: tuple[int, int] = (1, 1),
    padding: str = "same",
    activation: str | None = None,
    dilation: tuple[int, int] = (1, 1),
) -> int:
    """Convolution of ``x`` [1, height, width, in] with ``weight`` [out, kernel h, kernel w, in / groups].

    ``padding`` is ``same`` or ``valid`` as LiteRT means them; see ``operators_moving.pad`` for anything else.
    """
    batch, height, width, _ = model.tensors[x].shape
    out, kernel_h, kernel_w, _ = model.tensors[weight].shape
    shape = (
        batch,
        window_size(height, dilation[0] * (kernel_h - 1) + 1, strides[0], padding),
        window_size(width, dilation[1] * (kernel_w - 1) + 1, strides[1], padding),
        out,
    )
    y = model.add_activation(shape, grid)
    model.add_operator(
        "CONV_2D",
        (x, weight, bias),
        (y,),
        options="Conv2D",
        padding=PADDING[padding],
        strideH=strides[0],
        strideW=strides[1],
        dilationHFactor=dilation[0],
        dilationWFactor=dilation[1],
        fusedActivationFunction=_ACTIVATION[activation],
    )
    return y


def depthwise_conv_2d(
    model: TfliteModel,
    x: int,
    weight: int,
    bias: int = NO_TENSOR,
    grid: TensorGrid | None = None,
    strides: tuple[int, int] = (1, 1),
    padding: str = "same",
    activation: str | None = None,
    dilation: tuple[int, int] = (1, 1),
) -> int:
    """Depthwise convolution of ``x`` [1, height, width, in] with ``weight`` [1, kernel h, kernel w, out]."""
    batch, height, width, channels = model.tensors[x].shape
    _, kernel_h, kernel_w, out = model.tensors[weight].shape
    shape = (
        batch,
        window_size(height, dilation[0] * (kernel_h - 1) + 1, strides[0], padding),
        window_size(width, dilation[1] * (kernel_w - 1) + 1, strides[1], padding),
        out,
    )
    y = model.add_activation(shape, grid)
    model.add_operator(
        "DEPTHWISE_CONV_2D",
        (x, weight, bias),
        (y,),
        options="DepthwiseConv2D",
        padding=PADDING[padding],
        strideH=strides[0],
        strideW=strides[1],
        depthMultiplier=out // channels,
        dilationHFactor=dilation[0],
        dilationWFactor=dilation[1],
        fusedActivationFunction=_ACTIVATION[activation],
    )
    return y


def transpose_conv(
    model: TfliteModel,
    x: int,
    weight: int,
    bias: int,
    size: tuple[int, int],
    grid: TensorGrid | None = None,
    strides: tuple[int, int] = (1, 1),
    padding: str = "valid",
    activation: str | None = None,
) -> int:
    """Transposed convolution of ``x`` [1, height, width, in] with ``weight`` [out, kernel h, kernel w, in].

    ``size`` is the result's height and width, from which the runtime reckons what it cuts off.
    """
    shape = (model.tensors[x].shape[0], *size, model.tensors[weight].shape[0])
    y = model.add_activation(shape, grid)
    model.add_operator(
        "TRANSPOSE_CONV",
        (model.add_index(shape), weight, x, bias),
        (y,),
        options="TransposeConv",
        padding=PADDING[padding],
        strideH=strides[0],
        strideW=strides[1],
        fusedActivationFunction=_ACTIVATION[activation],
    )
    return y


def batch_matmul(
    model: TfliteModel, x: int, other: int, grid: TensorGrid | None = None, transposed: bool = False
) -> int:
    """Product of ``x`` [..., rows, k] by ``other`` [..., k, columns], or [..., columns, k] if transposed."""
    *before, rows, _ = model.tensors[x].shape
    y = model.add_activation((*before, rows, model.tensors[other].shape[-2 if transposed else -1]), grid)
    settings = dict(adjX=False, adjY=transposed)
    model.add_operator("BATCH_MATMUL", (x, other), (y,), options="BatchMatMul", **settings)
    return y


def fully_connected(
    model: TfliteModel,
    x: int,
    weight: int,
    bias: int = NO_TENSOR,
    grid: TensorGrid | None = None,
    activation: str | None = None,
    keep_num_dims: bool = False,
) -> int:
    """Dense layer of ``x`` with ``weight`` [out, in].

    The values of ``x``, whatever its shape, are read as [rows, in] and give [rows, out]; with
    ``keep_num_dims`` its last axis is ``in`` and the result is [..., out].
    """
    out = model.tensors[weight].shape[0]
    *leading, last = model.tensors[x].shape
    columns = model.tensors[weight].shape[1]
    shape = (*leading, out) if keep_num_dims else (int(np.prod(leading)) * last // columns, out)
    y = model.add_activation(shape, grid)
    rounds_inputs = model.tensors[x].dtype == "float32" and model.tensors[weight].dtype != "float32"
    model.add_operator(
        "FULLY_CONNECTED",
        (x, weight) if bias == NO_TENSOR else (x, weight, bias),
        (y,),
        options="FullyConnected",
        fusedActivationFunction=_ACTIVATION[activation],
        keepNumDims=keep_num_dims,
        # the plain kernels then round float inputs as the delegate does
        asymmetricQuantizeInputs=rounds_inputs or None,
    )
    return y


def _broadcast(model: TfliteModel, a: int, b: int) -> tuple[int, ...]:
    return tuple(int(size) for size in np.broadcast_shapes(model.tensors[a].shape, model.tensors[b].shape))


def add(
    model: TfliteModel, a: int, b: int, grid: TensorGrid | None = None, activation: str | None = None
) -> int:
    """Element-wise sum with broadcasting."""
    return _combination(model, "ADD", a, b, grid, activation)


def subtract(
    model: TfliteModel, a: int, b: int, grid: TensorGrid | None = None, activation: str | None = None
) -> int:
    """Element-wise difference ``a`` - ``b`` with broadcasting."""
    return _combination(model, "SUB", a, b, grid, activation)


def divide(
    model: TfliteModel, a: int, b: int, grid: TensorGrid | None = None, activation: str | None = None
) -> int:
    """Element-wise quotient ``a`` / ``b`` with broadcasting, float32."""
    return _combination(model, "DIV", a, b, grid, activation)


def _combination(
    model: TfliteModel,
    name: str,
    a: int,
    b: int,
    grid: TensorGrid | None,
    activation: str | None,
) -> int:
    y = model.add_activation(_broadcast(model, a, b), grid)
    settings = dict(fusedActivationFunction=_ACTIVATION[activation])
    model.add_operator(name, (a, b), (y,), options=name.capitalize(), **settings)
    return y


def mul(
    model: TfliteModel, a: int, b: int, grid: TensorGrid | None = None, activation: str | None = None
) -> int:
    """Element-wise product with broadcasting."""
    return _combination(model, "MUL", a, b, grid, activation)


def prelu(
    model: TfliteModel, x: int, slopes: int, grid: TensorGrid | None = None, activation: str | None = None
) -> int:
    """``x``, its negative values times ``slopes``, with broadcasting; no activation can be fused."""
    y = model.add_activation(model.tensors[x].shape, grid)
    model.add_operator("PRELU", (x, slopes), (y,))
    return y


def extreme(
    model: TfliteModel,
    a: int,
    b: int,
    grid: TensorGrid | None = None,
    activation: str | None = None,
    name: str = "",
) -> int:
    """``MAXIMUM`` or ``MINIMUM`` of float values with broadcasting; no activation can be fused."""
    y = model.add_activation(_broadcast(model, a, b), grid)
    model.add_operator(name, (a, b), (y,), options="MaximumMinimum")
    return y


def relu(model: TfliteModel, x: int, kind: str = "relu", grid: TensorGrid | None = None) -> int:
    """``relu`` or one with two bounds as an operator; int8 results keep the input's grid unless given one."""
    y = model.add_activation(model.tensors[x].shape, grid or model.tensors[x].grid)
    model.add_operator(kind.upper(), (x,), (y,))
    return y


def sign(model: TfliteModel, x: int, grid: TensorGrid | None = None) -> int:
    """-1 where ``x`` is negative, +1 elsewhere, zero included; float32, or int8 on ``grid`` (1 on its steps).

    SIGN has a third value, so it is a comparison and a selection; int8 values are compared as they lie.
    """
    entry = model.tensors[x]
    if entry.grid is None:
        zero = model.add_constant(np.zeros(1), "float32", structural=True)
    else:
        zero = model.add_constant(np.zeros(1), "int8", entry.grid.scale)
    positive = model.add_condition(entry.shape)
    model.add_operator("GREATER_EQUAL", (x, zero), (positive,), options="GreaterEqual")
    if grid is None:
        ends = [model.add_constant(np.array([end]), "float32", structural=True) for end in (1.0, -1.0)]
    else:
        ends = [model.add_constant(grid.quantize(np.array([end])), "int8", grid.scale) for end in (1.0, -1.0)]
    y = model.add_activation(entry.shape, grid)
    model.add_operator("SELECT_V2", (positive, *ends), (y,), options="SelectV2")
    return y


def scalar(model: TfliteModel, value: float, int8: bool) -> int:
    """A number beside another tensor, float32 or an int8 constant; equal float32 ones are one."""
    if not int8:
        return model.add_constant(np.array([value]), "float32", structural=True)
    return model.add_constant(np.array([127 * np.sign(value)]), "int8", abs(value) / 127 or 1.0)


def hard_sigmoid(model: TfliteModel, x: int, grid: TensorGrid | None = None) -> int:
    """relu6(x + 3) / 6: there is no operator of that name, Keras writes these two.

    Args:
        model: the file under construction.
        x: float32 or int8 tensor.
        grid: of the result, that of [0, 1]; what is divided by 6 has the same integers.
    """
    cut = None if grid is None else TensorGrid(6 * grid.scale, grid.zero_point)
    three, sixth = (scalar(model, number, grid is not None) for number in (3.0, 1 / 6))
    return mul(model, add(model, x, three, cut, "relu6"), sixth, grid)


#: functions of one value, or of the last axis -> their options in the schema
_FUNCTIONS: dict[str, str | None] = {
    "LOGISTIC": None,
    "TANH": None,
    **dict.fromkeys(("SQRT", "RSQRT", "SQUARE", "EXP", "LOG", "ABS", "NEG")),
    "HARD_SWISH": "HardSwish",
    "ELU": None,
    "GELU": "Gelu",
    "LEAKY_RELU": "LeakyRelu",
    "SOFTMAX": "Softmax",
}


def function(model: TfliteModel, x: int, name: str, grid: TensorGrid | None = None, **settings: Any) -> int:
    """A function of every value of ``x``, or of its last axis: an operator with one input.

    Args:
        model: the file under construction.
        x: float32 or int8 tensor.
        name: of the operator in the schema.
        grid: of the result, None for float32.
        settings: fields of its options in the schema.
    """
    y = model.add_activation(model.tensors[x].shape, grid)
    model.add_operator(name, (x,), (y,), options=_FUNCTIONS[name], **settings)
    return y


def quantize(model: TfliteModel, x: int, grid: TensorGrid) -> int:
    """Float ``x`` on an int8 ``grid``, or int8 ``x`` moved to another one."""
    y = model.add_activation(model.tensors[x].shape, grid)
    model.add_operator("QUANTIZE", (x,), (y,), options="Quantize")
    return y


def dequantize(model: TfliteModel, x: int) -> int:
    """Quantized or float16 ``x``, constant or computed, as float32."""
    y = model.add_activation(model.tensors[x].shape)
    model.add_operator("DEQUANTIZE", (x,), (y,), options="Dequantize")
    return y
