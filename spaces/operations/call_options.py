"""Options of calls and modules: one that no code reads is at its default, or the operation is another one."""

import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import fx, nn

#: operation kind -> the options that something reads: a stand-in and the file writer, or the sizes before and
#: after
_READ: dict[str, tuple[str, ...]] = {
    "max_pool": ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "avg_pool": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    "global_avg_pool": ("output_size",),
    "global_max_pool": ("output_size",),
    "mean": ("dim", "keepdim"),
    "upsample": ("size", "scale_factor", "mode", "align_corners"),
    "standardise": (
        "normalized_shape", "elementwise_affine", "num_groups", "num_channels", "num_features", "affine",
        "bias", "eps", "momentum",
    ),
    "softmax": ("dim",),
    "concatenate": ("dim",),
    "leaky_relu": ("negative_slope",),
    "hardtanh": ("min_val", "max_val", "min", "max"),
    "prelu": ("num_parameters", "init"),
    "gelu": ("approximate",),
    "shuffle": ("groups", "upscale_factor", "downscale_factor"),
    "pad": ("pad", "padding", "mode", "value"),
    # strides say the rest
    "view": ("start_dim", "end_dim", "dim", "unflattened_size"),
}  # fmt: skip
#: options that change no value in evaluation
_CHANGES_NOTHING = ("inplace", "p", "training", "memory_format", "_stacklevel")
#: calls of which Python does not know the options -> what they are called in order; others have none
_IN_ORDER: dict[Any, tuple[str, ...]] = {
    **dict.fromkeys((torch.mean, "mean"), ("dim", "keepdim")),
    **dict.fromkeys((torch.softmax, "softmax"), ("dim",)),
    **dict.fromkeys((torch.clamp, torch.clip, "clamp", "clamp_", "clip", "clip_"), ("min", "max")),
    **dict.fromkeys((torch.cat, torch.concat, torch.concatenate), ("dim",)),
}
#: attributes that say nothing of what a module computes: its mode, what only other padding than zeros reads,
#: a recurrent layer's list of its own parameters
_SAYS_NOTHING = {
    "training", "_reversed_padding_repeated_twice", "_parameters", "_buffers", "_modules", "_flat_weights",
    "_flat_weight_refs",
}  # fmt: skip
#: what a call names its values, where it does
_VALUES = ("input", "tensors", "other")


def first_difference(module: nn.Module, fresh: nn.Module) -> str:
    """Returns what a module has otherwise than a fresh one, tensors aside, in words; empty for nothing.

    What a fresh one lacks is read by nothing of its class.
    """
    for name, wanted in vars(fresh).items():
        value = vars(module).get(name)
        if name not in _SAYS_NOTHING and value != wanted:
            return f"{name} {value!r}: allowed is {wanted!r}"
    return ""


def unread_option(
    node: fx.Node, module: nn.Module | None, kind: str, values: int, names: tuple[str, ...]
) -> str:
    """Returns in words an option of a call that no code reads and that is not at its default, or nothing.

    Args:
        node: a call of a module, function or method.
        module: the module that it calls, None for functions and methods.
        kind: what the call means.
        values: how many of its first arguments are no options.
        names: what its options are called in order where Python does not know; empty for none.
    """
    read = (*_READ.get(kind, ()), *_CHANGES_NOTHING)
    if module is not None:
        return _of_module(module, read)
    if kind in ("view", "split", "expand"):  # a type would read the bits as other numbers
        given = [*node.args[1:], *node.kwargs.values()]
        return next((f"{value}" for value in given if isinstance(value, torch.dtype)), "")
    for name, value, default in _given(node, values, names):  # no default known: none, or switched off
        unset = value is None or value is False if default is None else value == default
        if name not in read and not unset:
            allowed = "to leave it out" if default is None else repr(default)
            return f"{name} {value!r}: allowed is {allowed}"
    return ""


def _of_module(module: nn.Module, read: tuple[str, ...]) -> str:
    kind: Any = type(module)
    known = _options(kind)
    given = {name: getattr(module, name, None) for name in read if name in known}
    if "bias" in given:
        given["bias"] = given["bias"] is not None
    return first_difference(module, kind(**given))


def _given(node: fx.Node, values: int, names: tuple[str, ...]) -> Iterator[tuple[str, Any, Any]]:
    """Yields name, value and default of the options that a call gives."""
    known = _options(node.target) if callable(node.target) else {}
    in_order = list(known)[values:] or names or _IN_ORDER.get(node.target, ())
    for at, value in enumerate(node.args[values:]):
        name = in_order[at] if at < len(in_order) else f"argument {values + at + 1}"
        yield name, value, known.get(name)
    for name, value in node.kwargs.items():
        if name not in _VALUES:
            yield name, value, known.get(name)


@cache
def _options(call: Any) -> dict[str, Any]:
    """Returns the arguments of a function or constructor with their defaults, where Python knows them."""
    try:
        parameters = inspect.signature(call).parameters.values()
    except ValueError:  # torch's own, in C++
        return {}
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return {}
    return {p.name: None if p.default is p.empty else p.default for p in parameters}
