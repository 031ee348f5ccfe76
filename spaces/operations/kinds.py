"""What modules, functions and methods mean: one table, one kind each."""

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from ..layers.combine import Add, Concatenate, Multiply
from ..layers.flatten import ChannelsLastFlatten
from ..layers.layer import Layer
from ..layers.norm import Norm
from ..layers.recurrent import Recurrent
from ..layers.same_padding import SameAvgPool2d, SameMaxPool2d
from .call_options import unread_option

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
