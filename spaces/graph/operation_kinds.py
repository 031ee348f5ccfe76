"""What modules, functions and methods mean: one kind each, some decided by the shapes before and after."""

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from ..layers.combine import Add, Concatenate, Multiply
from ..layers.flatten import ChannelsLastFlatten
from ..layers.layer import Layer
from ..layers.norm import Norm
from ..layers.same_padding import SameAvgPool2d, SameMaxPool2d
from .call_options import unread_option

Shape = tuple[int, ...]

#: operation kind -> the module types, functions and names of methods that mean it
_KINDS: dict[str, tuple[Any, ...]] = {
    "layer": (Layer,),
    "norm": (Norm,),
    "channels_last_flatten": (ChannelsLastFlatten,),
    "identity": (
        nn.Identity, nn.Dropout, nn.Dropout2d, F.dropout, F.dropout2d, "contiguous", "clone",
    ),
    # one value from one value
    "relu": (nn.ReLU, F.relu, torch.relu, "relu", "relu_"),
    "relu6": (nn.ReLU6, F.relu6),
    "leaky_relu": (nn.LeakyReLU, F.leaky_relu),
    "elu": (nn.ELU, F.elu),
    "gelu": (nn.GELU, F.gelu),
    "sigmoid": (nn.Sigmoid, F.sigmoid, torch.sigmoid, "sigmoid", "sigmoid_"),
    "hard_sigmoid": (nn.Hardsigmoid, F.hardsigmoid),
    "silu": (nn.SiLU, F.silu),
    "hard_swish": (nn.Hardswish, F.hardswish),
    "tanh": (nn.Tanh, F.tanh, torch.tanh, "tanh", "tanh_"),
    "prelu": (nn.PReLU, F.prelu, "prelu"),
    # one value from two
    "add": (Add, operator.add, operator.iadd, torch.add, "add", "add_"),
    "subtract": (operator.sub, operator.isub, torch.sub, torch.subtract, "sub", "sub_"),
    "multiply": (Multiply, operator.mul, operator.imul, torch.mul, torch.multiply, "mul", "mul_"),
    "divide": (operator.truediv, operator.itruediv, torch.div, torch.divide, "div", "div_"),
    # over windows of each channel
    "max_pool": (nn.MaxPool2d, SameMaxPool2d, F.max_pool2d),
    "avg_pool": (nn.AvgPool2d, SameAvgPool2d, F.avg_pool2d),
    "global_avg_pool": (nn.AdaptiveAvgPool2d, F.adaptive_avg_pool2d),
    "global_max_pool": (nn.AdaptiveMaxPool2d, F.adaptive_max_pool2d),
    "mean": (torch.mean, "mean"),
    "upsample": (nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d, F.interpolate),
    # by an image's own mean and variance
    "standardise": (nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d),
    # over channels
    "softmax": (nn.Softmax, F.softmax, torch.softmax, "softmax"),
    "concatenate": (Concatenate, torch.cat, torch.concat, torch.concatenate),
    # the same values in another shape
    "flatten": (
        nn.Flatten, torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze,
        "flatten", "reshape", "view", "squeeze", "unsqueeze",
    ),
    "expand": ("expand_as",),
}  # fmt: skip
#: functions of one value, the same for every element
POINTWISE = (
    "relu", "relu6", "leaky_relu", "elu", "gelu", "sigmoid", "hard_sigmoid", "silu", "hard_swish", "tanh",
)  # fmt: skip
#: element by element from two values, or one value and a number
COMBINING = ("add", "subtract", "multiply", "divide")

#: functions with settings -> the module that stands for a call, and what its arguments are called there
STAND_INS: dict[Any, tuple[type[nn.Module], tuple[str, ...]]] = {
    F.max_pool2d: (
        nn.MaxPool2d, ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    ),
    F.avg_pool2d: (
        nn.AvgPool2d,
        ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    ),
    F.adaptive_avg_pool2d: (nn.AdaptiveAvgPool2d, ("output_size",)),
    F.adaptive_max_pool2d: (nn.AdaptiveMaxPool2d, ("output_size", "return_indices")),
    F.leaky_relu: (nn.LeakyReLU, ("negative_slope", "inplace")),
    F.elu: (nn.ELU, ("alpha", "inplace")),
    F.gelu: (nn.GELU, ("approximate",)),
    F.softmax: (nn.Softmax, ("dim",)),
    torch.softmax: (nn.Softmax, ("dim",)),
    "softmax": (nn.Softmax, ("dim",)),
    F.interpolate: (nn.Upsample, ("size", "scale_factor", "mode", "align_corners")),
}  # fmt: skip

_MODULES = {t: kind for kind, meant in _KINDS.items() for t in meant if isinstance(t, type)}
_CALLS = {call: kind for kind, meant in _KINDS.items() for call in meant if not isinstance(call, type)}


def meant(node: fx.Node, module: nn.Module | None) -> str:
    """Returns the kind of a traced call by what it calls, `other` where nothing is known; sizes may decide.

    Args:
        node: a call of a module, function or method.
        module: the module that it calls, None for functions and methods.
    """
    if module is not None:
        return "layer" if isinstance(module, Layer) else _MODULES.get(type(module), "other")
    return _CALLS.get(node.target, "other")


def has_kind(module: nn.Module) -> bool:
    """Whether a module's type means one operation; a type derived from one may do anything in its forward."""
    return isinstance(module, Layer) or type(module) in _MODULES


def unread(node: fx.Node, module: nn.Module | None) -> str:
    """Returns an option of a traced call that no code reads, in words; empty where there is none.

    Args:
        node, module: as for `meant`.
    """
    kind = meant(node, module)
    if kind == "other" or isinstance(module, Layer | Norm | Add | Multiply | Concatenate):
        return ""
    values = 2 if kind in (*COMBINING, "expand", "prelu") else 1
    return unread_option(node, module, kind, values, STAND_INS.get(node.target, (None, ()))[1])


def kind_by_shape(node: fx.Node, module: nn.Module | None, shapes: list[Shape], shape: Shape) -> str:
    """Returns the kind of a traced call with the sizes seen.

    Args:
        node, module: as for `meant`.
        shapes: of the values read, without the batch.
        shape: of the value made.
    """
    kind = meant(node, module)
    if unread(node, module):
        return "other"
    if kind not in _BY_SHAPE or isinstance(module, Add | Multiply | Concatenate):
        return kind
    return _BY_SHAPE[kind](node, shapes, shape)


def _combining(node: fx.Node, shapes: list[Shape], _: Shape) -> str:
    """Element by element, without further settings and without numbers that depend on sizes."""
    plain = len(node.args) == 2 and not node.kwargs
    numbers = sum(isinstance(argument, int | float) for argument in node.args)
    return _CALLS[node.target] if plain and len(shapes) + numbers == 2 else "other"


def _reshaping(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    before = shapes[0]
    if shape == before:
        return "identity"
    if len(shape) == 1 and shape[0] == torch.Size(before).numel():
        return "flatten"
    return "reshape" if shape and before and shape[0] == before[0] else "other"


def _averaging(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """A mean over height and width, and over nothing else."""
    (before,) = shapes
    over = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    axes = {axis % 4 for axis in over} if isinstance(over, tuple | list) and len(before) == 3 else set()
    return "global_avg_pool" if axes == {2, 3} else "other"


def _concatenating(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """Along channels or features."""
    alike = all(before[1:] == shape[1:] for before in shapes)
    return "concatenate" if alike and sum(before[0] for before in shapes) == shape[0] else "other"


def _expanding(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    """Over height and width."""
    same = len(shapes[0]) == len(shape) and shapes[0][0] == shape[0]
    return "expand" if same else "other"


def _upsampling(node: fx.Node, shapes: list[Shape], shape: Shape) -> str:
    return "upsample" if len(shape) == 3 else "other"


#: kinds that shapes decide: (node, shapes read, shape made) -> kind
_BY_SHAPE: dict[str, Callable[[fx.Node, list[Shape], Shape], str]] = {
    **dict.fromkeys(COMBINING, _combining),
    "flatten": _reshaping,
    "mean": _averaging,
    "concatenate": _concatenating,
    "expand": _expanding,
    "upsample": _upsampling,
}


def names_sizes(node: fx.Node) -> bool:
    """Whether a reshaping call has a size of its result, other than 1, written as a number."""
    if node.target not in ("view", "reshape", torch.reshape):
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
    "identity", "relu", "max_pool", "global_max_pool", "flatten", "channels_last_flatten", "reshape",
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
    "norm", "add", "subtract", "multiply", "divide", "global_avg_pool", "concatenate", "relu6", "leaky_relu",
    "elu", "gelu", "hard_swish", "prelu",
)  # fmt: skip


def hands_on(kind: str, module: nn.Module | None) -> bool:
    """Whether an operation gives the integers that it reads, in another place or fewer of them."""
    return kind in _HANDS_ON or (kind == "upsample" and getattr(module, "mode", "") == "nearest")


def averages(kind: str, module: nn.Module | None) -> bool:
    """Whether an operation averages integers and rounds on the grid that they are on."""
    return kind == "avg_pool" or (kind == "upsample" and getattr(module, "mode", "") == "bilinear")


def has_integer_kernel(
    kind: str, module: nn.Module | None, numbers: tuple[float | None, ...], shape: Shape
) -> bool:
    """Whether the runtime has an integer kernel for an operation that makes new values.

    Args:
        kind, module, numbers, shape: the operation's.
    """
    if kind == "divide":  # by a number
        return len(numbers) == 2 and numbers[0] is None and numbers[1] not in (None, 0.0)
    if kind == "global_avg_pool":
        return shape[1:] in ((), (1, 1))
    return kind in _ANY_GRID or kind in FIXED_RANGES or averages(kind, module)
