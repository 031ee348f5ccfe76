"""What modules, functions and methods mean: one kind each, some decided by the shapes before and after."""

import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from ..layers.combine import Add, Concatenate, Multiply
from ..layers.flatten import ChannelsLastFlatten
from ..layers.layer import Layer
from ..layers.norm import Norm
from ..layers.pooling import even_pooling
from ..layers.recurrent import Recurrent
from ..layers.same_padding import SameAvgPool2d, SameMaxPool2d
from .call_options import unread_option
from .moves import Move, Padded, Parts, Reshaped, Shape

#: operation kind -> the module types, functions and names of methods that mean it
_KINDS: dict[str, tuple[Any, ...]] = {
    "layer": (Layer,),
    "norm": (Norm,),
    "channels_last_flatten": (ChannelsLastFlatten,),
    "identity": (
        nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout,
        nn.FeatureAlphaDropout, F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout,
        F.feature_alpha_dropout, "contiguous", "clone",
    ),
    # one value from one value
    "relu": (nn.ReLU, F.relu, torch.relu, "relu", "relu_"),
    "relu6": (nn.ReLU6, F.relu6),
    "hardtanh": (nn.Hardtanh, F.hardtanh, torch.clamp, torch.clip, "clamp", "clamp_", "clip", "clip_"),
    "leaky_relu": (nn.LeakyReLU, F.leaky_relu),
    "elu": (nn.ELU, F.elu),
    "gelu": (nn.GELU, F.gelu),
    "sigmoid": (nn.Sigmoid, F.sigmoid, torch.sigmoid, "sigmoid", "sigmoid_"),
    "hard_sigmoid": (nn.Hardsigmoid, F.hardsigmoid),
    "silu": (nn.SiLU, F.silu),
    "hard_swish": (nn.Hardswish, F.hardswish),
    "tanh": (nn.Tanh, F.tanh, torch.tanh, "tanh", "tanh_"),
    "sqrt": (torch.sqrt, "sqrt"),
    "rsqrt": (torch.rsqrt, "rsqrt"),
    "square": (torch.square, "square"),
    "power": (operator.pow, torch.pow, "pow"),
    "exp": (torch.exp, "exp"),
    "log": (torch.log, "log"),
    "abs": (torch.abs, operator.abs, "abs"),
    "negate": (torch.neg, operator.neg, "neg"),
    "prelu": (nn.PReLU, F.prelu, "prelu"),
    # one value from two
    "add": (Add, operator.add, operator.iadd, torch.add, "add", "add_"),
    "subtract": (operator.sub, operator.isub, torch.sub, torch.subtract, "sub", "sub_"),
    "multiply": (Multiply, operator.mul, operator.imul, torch.mul, torch.multiply, "mul", "mul_"),
    "maximum": (torch.maximum, "maximum"),
    "minimum": (torch.minimum, "minimum"),
    "divide": (operator.truediv, operator.itruediv, torch.div, torch.divide, "div", "div_"),
    "matmul": (operator.matmul, torch.matmul, torch.bmm, "matmul", "bmm"),
    # over windows of each channel
    "max_pool": (nn.MaxPool2d, nn.MaxPool1d, SameMaxPool2d, F.max_pool2d, F.max_pool1d),
    "avg_pool": (nn.AvgPool2d, nn.AvgPool1d, SameAvgPool2d, F.avg_pool2d, F.avg_pool1d),
    "global_avg_pool": (
        nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool1d,
    ),
    "global_max_pool": (
        nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool1d, F.adaptive_max_pool2d, F.adaptive_max_pool1d,
    ),
    "mean": (torch.mean, "mean"),
    "upsample": (nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d, F.interpolate),
    # by an image's own mean and variance
    "standardise": (nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d),
    # step after step
    "recurrence": (Recurrent,),
    # over channels
    "softmax": (nn.Softmax, F.softmax, torch.softmax, "softmax"),
    "concatenate": (Concatenate, torch.cat, torch.concat, torch.concatenate),
    # the same values in other places: the strides that they leave say where
    "view": (
        nn.Flatten, nn.Unflatten, operator.getitem, torch.flatten, torch.unflatten, torch.reshape,
        torch.squeeze, torch.unsqueeze, torch.permute, torch.transpose, torch.swapaxes, torch.movedim,
        torch.narrow, torch.select, "flatten", "unflatten", "reshape", "view", "squeeze", "unsqueeze",
        "permute", "transpose", "swapaxes", "movedim", "narrow", "select",
    ),
    "split": (
        torch.chunk, torch.split, torch.tensor_split, torch.unbind, "chunk", "split", "tensor_split",
        "unbind",
    ),
    "shuffle": (
        nn.ChannelShuffle, nn.PixelShuffle, nn.PixelUnshuffle, F.channel_shuffle, F.pixel_shuffle,
        F.pixel_unshuffle,
    ),
    "pad": (
        nn.ZeroPad1d, nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ReflectionPad1d,
        nn.ReflectionPad2d, F.pad,
    ),
    "expand": ("expand_as", "expand"),
}  # fmt: skip
#: functions of one value, the same for every element
POINTWISE = (
    "relu", "relu6", "leaky_relu", "elu", "gelu", "sigmoid", "hard_sigmoid", "silu", "hard_swish", "tanh",
    "sqrt", "rsqrt", "square", "exp", "log", "abs", "negate", "hardtanh", "relu_n1_to_1", "relu_0_to_1",
    "clamp",
)  # fmt: skip
#: the same values in other places: what `Operation.moves` says
MOVES = ("flatten", "reshape", "permute", "slice", "shuffle", "pad", "mirror_pad", "constant_pad")
#: element by element from two values, or one value and a number
COMBINING = ("add", "subtract", "multiply", "divide", "maximum", "minimum")

#: functions with settings -> the module that stands for a call, and what its arguments are called there
STAND_INS: dict[Any, tuple[type[nn.Module], tuple[str, ...]]] = {
    F.max_pool2d: (
        nn.MaxPool2d, ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    ),
    F.avg_pool2d: (
        nn.AvgPool2d,
        ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    ),
    F.max_pool1d: (
        nn.MaxPool1d, ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    ),
    F.avg_pool1d: (
        nn.AvgPool1d, ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    ),
    F.adaptive_avg_pool2d: (nn.AdaptiveAvgPool2d, ("output_size",)),
    F.adaptive_avg_pool1d: (nn.AdaptiveAvgPool1d, ("output_size",)),
    F.adaptive_max_pool2d: (nn.AdaptiveMaxPool2d, ("output_size", "return_indices")),
    F.adaptive_max_pool1d: (nn.AdaptiveMaxPool1d, ("output_size", "return_indices")),
    F.leaky_relu: (nn.LeakyReLU, ("negative_slope", "inplace")),
    F.elu: (nn.ELU, ("alpha", "inplace")),
    F.gelu: (nn.GELU, ("approximate",)),
    F.softmax: (nn.Softmax, ("dim",)),
    torch.softmax: (nn.Softmax, ("dim",)),
    "softmax": (nn.Softmax, ("dim",)),
    F.interpolate: (nn.Upsample, ("size", "scale_factor", "mode", "align_corners")),
    F.channel_shuffle: (nn.ChannelShuffle, ("groups",)),
    F.pixel_shuffle: (nn.PixelShuffle, ("upscale_factor",)),
    F.pixel_unshuffle: (nn.PixelUnshuffle, ("downscale_factor",)),
}  # fmt: skip

MODULES: dict[type[nn.Module], str] = {
    t: kind for kind, meant in _KINDS.items() for t in meant if isinstance(t, type)
}
CALLS = {call: kind for kind, meant in _KINDS.items() for call in meant if not isinstance(call, type)}


def meant(node: fx.Node, module: nn.Module | None) -> str:
    """Returns the kind of a traced call by what it calls, `other` where nothing is known; sizes may decide.

    Args:
        node: a call of a module, function or method.
        module: the module that it calls, None for functions and methods.
    """
    if module is not None:
        return MODULES.get(type(module), "layer" if isinstance(module, Layer) else "other")
    return CALLS.get(node.target, "other")


def has_kind(module: nn.Module) -> bool:
    """Whether a module's type means one operation; a type derived from one may do anything in its forward."""
    return isinstance(module, Layer) or type(module) in MODULES


def unread(node: fx.Node, module: nn.Module | None) -> str:
    """Returns an option of a traced call that no code reads, in words; empty where there is none.

    Args:
        node, module: as for `meant`.
    """
    kind = meant(node, module)
    if kind == "other" or isinstance(module, Layer | Norm | Add | Multiply | Concatenate):
        return ""
    values = 2 if kind in (*COMBINING, "expand", "prelu", "matmul", "power") else 1
    return unread_option(node, module, kind, values, STAND_INS.get(node.target, (None, ()))[1])


def kind_by_shape(
    node: fx.Node,
    module: nn.Module | None,
    shapes: list[Shape],
    shape: Shape,
    moves: tuple[Move, ...] | None = None,
) -> str:
    """Returns the kind of a traced call with the sizes seen.

    Args:
        node, module: as for `meant`.
        shapes: of the values read, without the batch.
        shape: of the value made.
        moves: what it does to the values where it leaves them as they are.
    """
    kind = meant(node, module)
    if unread(node, module):
        return "other"
    if kind in ("view", "shuffle", "pad"):
        return _moving(moves)
    if kind == "hardtanh":
        return _cutting(bounds_of(node, module))
    if kind not in _BY_SHAPE or isinstance(module, Add | Multiply | Concatenate):
        return kind
    return _BY_SHAPE[kind](node, shapes, shape)


def _combining(node: fx.Node, shapes: list[Shape], _: Shape) -> str:
    """Element by element, without further settings and without numbers that depend on sizes."""
    plain = len(node.args) == 2 and not node.kwargs
    numbers = sum(isinstance(argument, int | float) for argument in node.args)
    return CALLS[node.target] if plain and len(shapes) + numbers == 2 else "other"


def _moving(moves: tuple[Move, ...] | None) -> str:
    """The same values in other places."""
    if not moves:
        return "other" if moves is None else "identity"
    if isinstance(moves[0], Padded):
        return "mirror_pad" if moves[0].mirrors else "pad" if moves[0].value == 0 else "constant_pad"
    if isinstance(moves[0], Parts):
        return "slice"
    if not isinstance(moves[0], Reshaped):
        return "permute"
    if len(moves) > 1:
        return "shuffle"
    return "flatten" if len(moves[0].sizes) == 1 else "reshape"


#: bounds that have an operator of their own
_CUTS = {(0.0, None): "relu", (0.0, 6.0): "relu6", (-1.0, 1.0): "relu_n1_to_1", (0.0, 1.0): "relu_0_to_1"}


def bounds_of(node: fx.Node, module: nn.Module | None) -> tuple[float | None, ...]:
    """Returns the lowest and the highest value that a call lets through, None where it has no such bound.

    Args:
        node: the call of a hard tanh, or of what cuts off.
        module: the module that it calls, None for functions and methods.

    Returns:
        two bounds; fewer where one is no number.
    """
    if module is not None:
        given: list[Any] = [module.min_val, module.max_val]
    else:
        default = (-1.0, 1.0) if node.target is F.hardtanh else (None, None)
        names = (("min_val", "min"), ("max_val", "max"))
        given = [
            node.args[at]
            if len(node.args) > at
            else next((node.kwargs[n] for n in name if n in node.kwargs), d)
            for at, name, d in zip((1, 2), names, default, strict=True)
        ]
    numbers = [float(bound) for bound in given if isinstance(bound, int | float)]
    bounds = iter(None if math.isinf(number) else number for number in numbers)
    return tuple(None if bound is None else next(bounds) for bound in given if not isinstance(bound, fx.Node))


def _cutting(bounds: tuple[float | None, ...]) -> str:
    if len(bounds) != 2 or bounds == (None, None):
        return "other"
    lower, upper = bounds
    return "clamp" if lower is None else _CUTS.get((lower, upper), "clamp")


def axes_of(node: fx.Node, kind: str, rank: int) -> tuple[int, ...]:
    """Returns the axes, without the batch, along which values are joined or over which they are averaged.

    Args:
        node: the call.
        kind: of the operation; others than these have none.
        rank: number of axes of what it reads, the batch left out.
    """
    if kind not in ("concatenate", "mean", "global_avg_pool"):
        return ()
    at = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0 if kind == "concatenate" else None)
    if node.op == "call_module" and kind == "concatenate":
        at = 1
    elif node.op == "call_module" or CALLS.get(node.target) == "global_avg_pool":
        at = (2, 3)[: rank - 1]
    given = at if isinstance(at, tuple | list) else (at,)
    return tuple(sorted(axis % (rank + 1) - 1 for axis in given if isinstance(axis, int)))


def _averaging(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """A mean over axes other than the batch."""
    axes = axes_of(node, "mean", len(shapes[0]))
    if not axes or -1 in axes:
        return "other"
    return "global_avg_pool" if len(shapes[0]) == 3 and axes == (1, 2) else "mean"


def _adapting(of_windows: str, node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """Over all positions, or over windows of one size at one distance."""
    (before,) = shapes
    if set(shape[1:]) == {1}:
        return f"global_{of_windows}"
    if before == shape:
        return "identity"
    even = even_pooling(of_windows == "max_pool", before[1:], shape[1:])
    return "other" if even is None else of_windows


def _concatenating(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """Along an axis other than the batch."""
    (axis,) = axes_of(node, "concatenate", len(shape)) or (-1,)
    alike = all(len(before) == len(shape) for before in shapes)
    whole = axis >= 0 and alike and sum(before[axis] for before in shapes) == shape[axis]
    return "concatenate" if whole else "other"


def _raising(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """To a power that has an operator of its own."""
    return {2: "square", 0.5: "sqrt", -0.5: "rsqrt"}.get(node.args[-1], "other")  # type: ignore[arg-type]


def _multiplying(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """Of two values with the same axes before the last two, which the runtime takes one after the other."""
    one, other = shapes if len(shapes) == 2 else ((), ())
    return "matmul" if 2 <= len(one) == len(other) <= 3 and one[:-2] == other[:-2] else "other"


def _expanding(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """Along axes of size 1."""
    if shape == shapes[0]:
        return "identity"
    return "expand" if len(shapes[0]) == len(shape) else "other"


def _upsampling(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    return "upsample" if len(shape) == 3 else "other"


#: kinds that shapes decide: (node, shapes read, shape made) -> kind
_BY_SHAPE: dict[str, Callable[[fx.Node, list[Shape], Shape], str]] = {
    **dict.fromkeys(COMBINING, _combining),
    "mean": _averaging,
    "global_avg_pool": partial(_adapting, "avg_pool"),
    "global_max_pool": partial(_adapting, "max_pool"),
    "concatenate": _concatenating,
    "expand": _expanding,
    "matmul": _multiplying,
    "power": _raising,
    "upsample": _upsampling,
}


def names_sizes(node: fx.Node) -> bool:
    """Whether a reshaping call has a size of its result, other than 1, written as a number."""
    if node.target not in ("view", "reshape", torch.reshape):  # others name axes
        return False
    sizes: list[Any] = []
    for argument in (*node.args[1:], *node.kwargs.values()):
        sizes.extend(argument if isinstance(argument, tuple | list) else (argument,))
    return any(isinstance(size, int) and size not in (-1, 1) for size in sizes[1:])


# How integers go through -----------------------------------------------------------------------------

#: cut off what comes before them, in the kernel that makes it
ACTIVATIONS = ("relu", "relu6")
#: kernels that take an activation in
TAKES_ACTIVATION = ("layer", "norm", "add", "subtract", "multiply")
#: hand integers on as they are; so do rectifiers that no kernel takes in, and upsampling that repeats
_HANDS_ON = (
    "identity", "relu", "max_pool", "global_max_pool", "channels_last_flatten", "expand", *MOVES[:-1],
)  # fmt: skip
#: kernels that know one range of results only (LiteRT's 8-bit specification: LOGISTIC, SOFTMAX, TANH); a hard
#: sigmoid is x + 3 cut off at 0 and 6, whose integers on [0, 6] are those of a sixth of it on [0, 1]
FIXED_RANGES: dict[str, tuple[float, float]] = {
    "sigmoid": (0.0, 255 / 256),
    "softmax": (0.0, 255 / 256),
    "tanh": (-1.0, 127 / 128),
    "hard_sigmoid": (0.0, 1.0),
}
#: kernels whose results may lie on any grid
_ANY_GRID = (
    "norm", "add", "subtract", "multiply", "divide", "global_avg_pool", "mean", "concatenate", "relu6",
    "leaky_relu", "elu", "gelu", "hard_swish", "prelu", "matmul", "relu_n1_to_1", "relu_0_to_1",
)  # fmt: skip


def hands_on(kind: str, module: nn.Module | None) -> bool:
    """Whether an operation gives the integers that it reads, in another place or fewer of them."""
    return kind in _HANDS_ON or (kind == "upsample" and getattr(module, "mode", "") == "nearest")


def averages(kind: str, module: nn.Module | None) -> bool:
    """Whether an operation averages integers and rounds on the grid that they are on."""
    return kind == "avg_pool" or (kind == "upsample" and getattr(module, "mode", "") == "bilinear")


def divides_by_number(kind: str, numbers: tuple[float | None, ...]) -> bool:
    """Whether an operation is a product with the inverse of a number."""
    return kind == "divide" and len(numbers) == 2 and numbers[0] is None and numbers[1] not in (None, 0.0)


def has_integer_kernel(
    kind: str, module: nn.Module | None, numbers: tuple[float | None, ...], shape: Shape
) -> bool:
    """Whether the runtime has an integer kernel for an operation that makes new values.

    Args:
        kind, module, numbers, shape: the operation's.
    """
    if kind == "divide":
        return divides_by_number(kind, numbers)
    return kind in _ANY_GRID or kind in FIXED_RANGES or averages(kind, module)
