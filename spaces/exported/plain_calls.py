"""Calls without weights in their one spelling: which function of torch, with its options in order."""

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from .reading import Constant, Site
from .reshaping import reshaped
from .weighted import linear, product

Read = Callable[[Site], Any]


def trimmed(*given: Any, defaults: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns options without those at the end that are at their defaults."""
    count = len(given)
    while (
        count and len(given) - count < len(defaults) and given[count - 1] == defaults[count - 1 - len(given)]
    ):
        count -= 1
    return given[:count]


def pair(value: Any, axes: int = 2) -> tuple[int, ...]:
    """Returns an option of windows with a number an axis."""
    found = tuple(value) if isinstance(value, tuple | list) else (value,)
    return found * axes if len(found) == 1 else found


def axes_of(site: Site, name: str = "dim") -> tuple[int, ...]:
    """Returns the axes that an operation goes over, counted from 0; all where it names none."""
    given, count = site[name], len(site.shape)
    if given is None or given == ():
        return tuple(range(count))
    return tuple(sorted(axis % count for axis in (given if isinstance(given, tuple | list) else (given,))))


# One value from one value ----------------------------------------------------------------------------


def same(function: Callable[..., Any], *options: tuple[str, Any]) -> Read:
    """Returns what reads a function of one value, with options and their defaults."""

    def read(site: Site) -> fx.Node:
        given = trimmed(*(site[name] for name, _ in options), defaults=tuple(one for _, one in options))
        return site.call(function, site[next(iter(site.given))], *given)

    return read


def passed_on(site: Site) -> Any:
    """Reads what changes nothing in evaluation."""
    return site[next(iter(site.given))]


def cast(site: Site) -> Any:
    """Reads a cast, to the type that a value has."""
    before, after = site.node.all_input_nodes[0].meta["val"], site.node.meta["val"]
    if before.dtype != after.dtype:
        raise site.refused(f"makes {after.dtype} of {before.dtype}: allowed is one type throughout, float32")
    return site[next(iter(site.given))]


def cut_off(low: str, high: str) -> Read:
    """Returns what reads a value cut off below and above."""

    def read(site: Site) -> fx.Node:
        value, bounds = site["self"], tuple(site.given.get(name) for name in (low, high))
        if bounds == (0, 6):
            return site.call(F.relu6, value)
        if bounds == (0, None):
            return site.call(F.relu, value)
        if None in bounds or site.operation != "hardtanh":
            return site.call(torch.clamp, value, *trimmed(*bounds, defaults=(None,)))
        return site.call(F.hardtanh, value, *bounds)

    return read


def gelu(site: Site) -> fx.Node:
    options = {} if site["approximate"] == "none" else {"approximate": site["approximate"]}
    return site.call(F.gelu, site["self"], **options)


def elu(site: Site) -> fx.Node:
    if site["scale"] != 1 or site["input_scale"] != 1:
        if site["input_scale"] == 1:  # torch writes SELU as an ELU
            return site.call(operator.mul, site.call(F.elu, site["self"], site["alpha"]), site["scale"])
        raise site.refused("calls elu with a scale: allowed is to leave it out")
    return site.call(F.elu, site["self"], *trimmed(site["alpha"], defaults=(1.0,)))


def glu(site: Site) -> fx.Node:
    axis = site["dim"] % len(site.shape)
    half = site.shape[axis] // 2
    value, gate = (site.call(torch.narrow, site["self"], axis, at, half) for at in (0, half))
    return site.call(operator.mul, value, site.call(torch.sigmoid, gate))


# One value from two ----------------------------------------------------------------------------------


def combined(function: Callable[..., Any], turned: bool = False) -> Read:
    """Returns what reads a function of two values that are spread over each other, or of one and a number."""

    def read(site: Site) -> fx.Node:
        left, right = list(site.given.values())[:2]
        if site.given.get("rounding_mode") is not None:
            raise site.refused("divides and rounds: allowed is plain division")
        if site.given.get("alpha", 1) != 1:
            right = site.call(operator.mul, right, site["alpha"])
        return site.call(function, *(unspread(site, (right, left) if turned else (left, right))))

    return read


def unspread(site: Site, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns values of which constants are not repeated, where the result has its sizes without that."""
    if not any(
        isinstance(one, fx.Node) and site.shape_of(name) == site.result for name, one in site.given.items()
    ):
        return values
    return tuple(Constant(one.tensor, one.name) if isinstance(one, Constant) else one for one in values)


def matmul(site: Site) -> fx.Node:
    left, right = list(site.given.values())[:2]
    if isinstance(right, Constant) and right.tensor.dim() == 2 and isinstance(left, fx.Node):
        return product(site, left, right, None)
    return site.call(torch.matmul, left, right)


def addmm(site: Site) -> fx.Node:
    bias, left, right = site["self"], site["mat1"], site["mat2"]
    if site["alpha"] != 1 or site["beta"] != 1:
        raise site.refused("calls addmm with factors: allowed is to leave them out")
    if isinstance(right, Constant) and isinstance(bias, Constant) and bias.tensor.dim() == 1:
        return product(site, left, right, bias)
    return site.call(operator.add, site.call(torch.matmul, left, right), bias)


def dense(site: Site) -> fx.Node:
    """Reads a product with weights, or with another value."""
    weight, bias = site["weight"], site["bias"]
    if isinstance(weight, Constant) and (bias is None or isinstance(bias, Constant)):
        return linear(site)
    count = len(weight.tensor.shape) if isinstance(weight, Constant) else len(site.shape_of("weight"))
    turned = site.call(torch.permute, weight, (*range(count - 2), count - 1, count - 2))
    result = site.call(torch.matmul, site["input"], turned)
    return result if bias is None else site.call(operator.add, result, bias)


def attention(site: Site) -> fx.Node:
    """Reads products of queries and keys, as shares of values (Vaswani et al. 2017, eq. 1)."""
    if site["enable_gqa"] or site["dropout_p"]:
        raise site.refused("calls attention with dropout or grouped queries: allowed is to leave them out")
    count, (length, size) = len(site.shape), site.shape[-2:]
    scale = size**-0.5 if site["scale"] is None else site["scale"]
    keys = site.call(torch.permute, site["key"], (*range(count - 2), count - 1, count - 2))
    scores = site.call(operator.mul, site.call(torch.matmul, site["query"], keys), scale)
    mask = site["attn_mask"]
    if site["is_causal"]:
        device = site.reading.device
        allowed = torch.ones(length, site.shape_of("key")[-2], dtype=torch.bool, device=device).tril()
        mask = Constant(torch.zeros(allowed.shape, device=device).masked_fill(~allowed, -torch.inf))
    if isinstance(mask, Constant) and mask.tensor.dtype is torch.bool:
        mask = Constant(
            torch.zeros_like(mask.tensor, dtype=torch.float32).masked_fill(~mask.tensor, -torch.inf)
        )
    if mask is not None:
        scores = site.call(operator.add, scores, mask)
    return site.call(torch.matmul, site.call(F.softmax, scores, count - 1), site["value"])


# Over windows and axes -------------------------------------------------------------------------------


def max_pool(function: Callable[..., Any], axes: int) -> Read:
    def read(site: Site) -> Any:
        size = pair(site["kernel_size"], axes)
        options = (
            pair(site["stride"], axes) or size,
            pair(site["padding"], axes),
            pair(site["dilation"], axes),
            site["ceil_mode"],
        )
        given = trimmed(*options, defaults=((0,) * axes, (1,) * axes, False))
        result = site.call(function, site["self"], size, *given)
        return (result,) if site.operation.endswith("with_indices") else result

    return read


def avg_pool(function: Callable[..., Any], axes: int) -> Read:
    def read(site: Site) -> Any:
        size = pair(site["kernel_size"], axes)
        options = [
            pair(site["stride"], axes) or size,
            pair(site["padding"], axes),
            site["ceil_mode"],
            site["count_include_pad"],
            site.given.get("divisor_override"),
        ]
        given = trimmed(*options, defaults=((0,) * axes, False, True, None))
        return site.call(function, site["self"], size, *given)

    return read


def adaptive(function: Callable[..., Any], axes: int) -> Read:
    def read(site: Site) -> Any:
        result = site.call(function, site["self"], pair(site["output_size"], axes))
        return (result,) if "max" in site.operation else result

    return read


def over_axes(function: Callable[..., Any]) -> Read:
    """Returns what reads a sum, a mean or an extreme over axes."""

    def read(site: Site) -> fx.Node:
        given = trimmed(axes_of(site), site.given.get("keepdim", False), defaults=(False,))
        return site.call(function, site["self"], *given)

    return read


def extreme(function: Callable[..., Any]) -> Read:
    """Returns what reads an extreme that also tells where it was."""

    def read(site: Site) -> tuple[fx.Node]:
        given = trimmed(axes_of(site), site["keepdim"], defaults=(False,))
        return (site.call(function, site["self"], *given),)

    return read


def spread_of(root: bool) -> Read:
    """Returns what reads a variance, or a standard deviation."""

    def read(site: Site) -> fx.Node:
        axes, correction = axes_of(site), site.given.get("correction", int(site.given.get("unbiased", True)))
        count = torch.Size([site.shape[axis] for axis in axes]).numel()
        middle = site.call(torch.mean, site["self"], axes, True)
        off = site.call(operator.sub, site["self"], middle)
        keep = trimmed(site["keepdim"], defaults=(False,))
        result = site.call(torch.mean, site.call(operator.mul, off, off), axes, *keep)
        correction = 1 if correction is None else correction
        if correction:
            result = site.call(operator.mul, result, count / (count - correction))
        return site.call(torch.sqrt, result) if root else result

    return read


def length(site: Site) -> fx.Node:
    """Reads a Euclidean length over axes."""
    if site["ord"] != 2:
        raise site.refused(f"calls a norm of order {site['ord']}: allowed is 2")
    square = site.call(operator.mul, site["self"], site["self"])
    keep = trimmed(site["keepdim"], defaults=(False,))
    return site.call(torch.sqrt, site.call(torch.sum, square, axes_of(site), *keep))


def softmax(function: Callable[..., Any]) -> Read:
    return lambda site: site.call(function, site["self"], site["dim"] % len(site.shape))


def interpolated(mode: str) -> Read:
    """Returns what reads a map in another size."""

    def read(site: Site) -> fx.Node:
        before, after = site.shape[2:], site.result[2:]
        factors, options = site["scale_factors"], {"mode": mode}
        if site.given.get("align_corners"):
            options["align_corners"] = True
        if factors and any(
            old * factor != new for old, new, factor in zip(before, after, factors, strict=True)
        ):
            return site.call(F.interpolate, site["input"], scale_factor=tuple(factors), **options)
        return site.call(F.interpolate, site["input"], after, **options)

    return read


def padded(site: Site) -> fx.Node:
    pads, mode = tuple(site["pad"]), site["mode"]
    while len(pads) > 2 and pads[-2:] == (0, 0):
        pads = pads[:-2]
    if not any(pads):
        return site["self"]
    value = 0.0 if site["value"] is None else site["value"]
    return site.call(F.pad, site["self"], pads, *trimmed(mode, value, defaults=("constant", 0.0)))


# The same values in other places ---------------------------------------------------------------------


def permuted(site: Site) -> Any:
    count, given = len(site.shape), site.given
    axes = list(range(count))
    if "dims" in given:
        axes = [axis % count for axis in given["dims"]]
    else:
        first, second = (given["dim0"], given["dim1"]) if "dim0" in given else (0, count - 1)
        axes[first % count], axes[second % count] = axes[second % count], axes[first % count]
    if axes == sorted(axes):
        return site["self"]
    return site.call(torch.permute, site["self"], tuple(axes))


def in_shape(site: Site) -> Any:
    """Reads a view, a flattening, an axis more or less."""
    return reshaped(site["self"], site.shape, site.result, site.batch, site.call)


def part(site: Site, value: Any, axis: int, start: int, count: int, whole: int) -> Any:
    """Returns a part of a value along an axis, all of it where it is the whole."""
    return value if (start, count) == (0, whole) else site.call(torch.narrow, value, axis, start, count)


def sliced(site: Site) -> Any:
    axis, step = site["dim"] % len(site.shape), site["step"]
    start, stop, _ = slice(site["start"], site["end"]).indices(site.shape[axis])
    _check_axis(site, axis)
    if step != 1:
        taken = [slice(None)] * len(site.shape)
        taken[axis] = slice(start, None if stop == site.shape[axis] else stop, step)
        return site.call(operator.getitem, site["self"], tuple(taken))
    return part(site, site["self"], axis, start, max(stop - start, 0), site.shape[axis])


def selected(site: Site) -> Any:
    axis = site["dim"] % len(site.shape)
    _check_axis(site, axis)
    start = site["index"] % site.shape[axis]
    found = part(site, site["self"], axis, start, 1, site.shape[axis])
    narrow = (*site.shape[:axis], 1, *site.shape[axis + 1 :])
    return reshaped(found, narrow, site.result, site.batch, site.call)


def split(site: Site) -> tuple[Any, ...]:
    axis = site["dim"] % len(site.shape)
    _check_axis(site, axis)
    whole = site.shape[axis]
    sizes = site.given.get("split_sizes", site.given.get("split_size"))
    if isinstance(sizes, int):
        sizes = [min(sizes, whole - start) for start in range(0, whole, sizes)]
    starts = [sum(sizes[:at]) for at in range(len(sizes))]
    return tuple(
        part(site, site["self"], axis, start, count, whole) if _is_read(site, at) else None
        for at, (start, count) in enumerate(zip(starts, sizes, strict=True))
    )


def unbound(site: Site) -> tuple[Any, ...]:
    axis = site["dim"] % len(site.shape)
    _check_axis(site, axis)
    narrow = (*site.shape[:axis], 1, *site.shape[axis + 1 :])
    result = (*site.shape[:axis], *site.shape[axis + 1 :])
    found = []
    for at in range(site.shape[axis]):
        one = part(site, site["self"], axis, at, 1, site.shape[axis]) if _is_read(site, at) else None
        found.append(one and reshaped(one, narrow, result, site.batch, site.call))
    return tuple(found)


def _is_read(site: Site, at: int) -> bool:
    return any(user.args[1] == at and user.users for user in site.node.users)


def _check_axis(site: Site, axis: int) -> None:
    if site.shape[axis] % site.batch == 0:
        raise site.refused("takes some images out of the batch: allowed are the same steps for each image")


def rolled(site: Site) -> Any:
    dims = tuple(axis % len(site.shape) for axis in site["dims"])
    return site.call(torch.roll, site["self"], tuple(site["shifts"]), dims)


def flipped(site: Site) -> Any:
    return site.call(torch.flip, site["self"], axes_of(site, "dims"))


def picked(site: Site) -> Any:
    """Reads channels or positions taken by a fixed list."""
    if site.operation == "index_select":
        axis, index = site["dim"] % len(site.shape), site["index"]
    else:
        given = [(at, one) for at, one in enumerate(site["indices"]) if one is not None]
        axis, index = given[0]
        if len(given) != 1:
            index = None
    if not isinstance(index, Constant) or index.tensor.dim() != 1 or index.tensor.dtype is not torch.int64:
        raise site.refused("picks values by computed places: allowed is one fixed list of places")
    return site.call(torch.index_select, site["self"], axis, index)


def shuffled(site: Site) -> Any:
    """Reads a shuffle of channels between groups (Zhang et al. 2018, ShuffleNet)."""
    split_up = site.call(torch.unflatten, site["self"], 1, (site["groups"], -1))
    turned = site.call(torch.permute, split_up, (0, 2, 1, *range(3, len(site.shape) + 1)))
    return site.call(torch.flatten, turned, 1, 2)


def getitem(site: Site) -> Any:
    return site["0"][site["1"]]


def expanded(site: Site) -> Any:
    """Reads a value repeated along axes; whoever combines values spreads it himself."""
    value = site["self"]
    if all(_spreads(user, site.node, site.shape) for user in site.node.users):
        return value
    return site.reading.spread(value, site.shape, site.result)


def _spreads(user: fx.Node, node: fx.Node, before: tuple[int, ...]) -> bool:
    """Whether a call of the exported program gives the same for a value that was not repeated before."""
    name = getattr(user.target, "_schema", None)
    if name is None or name.name.split("::")[1] not in COMBINED:
        return False
    others = [tuple(one.meta["val"].shape) for one in user.all_input_nodes if one is not node]
    return torch.broadcast_shapes(before, *others) == tuple(user.meta["val"].shape)


# Together --------------------------------------------------------------------------------------------


def concatenated(site: Site) -> Any:
    values = site["tensors"]
    return values[0] if len(values) == 1 else site.call(torch.cat, values, site["dim"] % len(site.result))


def stacked(site: Site) -> Any:
    axis = site["dim"] % len(site.result)
    longer = (*site.result[:axis], 1, *site.result[axis + 1 :])
    values = tuple(
        reshaped(one, site.shape, longer, site.batch, site.call)
        for one in site.reading.as_nodes(site["tensors"])
    )
    return site.call(torch.cat, values, axis)


def repeated(site: Site) -> Any:
    value, times = site["self"], tuple(site["repeats"])
    extra = len(times) - len(site.shape)
    longer = (1,) * extra + site.shape
    if extra:
        value = reshaped(value, site.shape, longer, site.batch, site.call)
    for axis, count in enumerate(times):
        if count != 1:
            value = site.call(torch.cat, (value,) * count, axis)
    return value


def put_into(site: Site) -> Any:
    """Reads values written over a part of others, as that part between what is left of them."""
    axis = site["dim"] % len(site.shape)
    whole, source = site.shape[axis], site["src"]
    _check_axis(site, axis)
    if "index" in site.given:
        start, stop = site["index"] % whole, site["index"] % whole + 1
        piece = (*site.shape[:axis], 1, *site.shape[axis + 1 :])
        before = (*site.shape[:axis], *site.shape[axis + 1 :])
        source = reshaped(site.reading.as_nodes(source), before, piece, site.batch, site.call)
    elif site["step"] != 1:
        raise site.refused("writes over every other value: allowed is to write over neighbouring ones")
    else:
        start, stop, _ = slice(site["start"], site["end"]).indices(whole)
    if (start, stop) == (0, whole):
        return source
    pieces = [site.call(torch.narrow, site["self"], axis, 0, start)] if start else []
    pieces.append(source)
    if stop < whole:
        pieces.append(site.call(torch.narrow, site["self"], axis, stop, whole - stop))
    return site.call(torch.cat, tuple(pieces), axis)


def where(site: Site) -> Any:
    condition = site["condition"] if "condition" in site.given else site["mask"]
    values = (site["self"], site["other"]) if "condition" in site.given else (site["value"], site["self"])
    return site.call(torch.where, condition, *values)


def filled(site: Site) -> Constant:
    """Reads a value as large as another one, with one number in it."""
    number = site.given.get("fill_value", 1.0 if "ones" in site.operation else 0.0)
    sizes = tuple(1 if size == site.batch else size for size in site.result)
    made = torch.full(sizes, number, dtype=site.node.meta["val"].dtype, device=site.reading.device)
    return Constant(made, spread=site.result if sizes != site.result else ())


#: both sides are spread over each other
COMBINED: dict[str, Read] = {
    "add": combined(operator.add),
    "sub": combined(operator.sub),
    "rsub": combined(operator.sub, turned=True),
    "mul": combined(operator.mul),
    "div": combined(operator.truediv),
    "maximum": combined(torch.maximum),
    "minimum": combined(torch.minimum),
    "gt": combined(torch.gt),
    "ge": combined(torch.ge),
    "lt": combined(torch.lt),
    "le": combined(torch.le),
    "eq": combined(torch.eq),
    "ne": combined(torch.ne),
}
#: ATen operation -> what reads it
PLAIN: dict[str, Read] = {
    **COMBINED,
    "relu": same(F.relu),
    "relu6": same(F.relu6),
    "leaky_relu": same(F.leaky_relu, ("negative_slope", 0.01)),
    "elu": elu,
    "gelu": gelu,
    "sigmoid": same(torch.sigmoid),
    "hardsigmoid": same(F.hardsigmoid),
    "silu": same(F.silu),
    "hardswish": same(F.hardswish),
    "tanh": same(torch.tanh),
    "softplus": same(F.softplus, ("beta", 1), ("threshold", 20)),
    "mish": same(F.mish),
    "exp": same(torch.exp),
    "log": same(torch.log),
    "sqrt": same(torch.sqrt),
    "rsqrt": same(torch.rsqrt),
    "abs": same(torch.abs),
    "neg": same(torch.neg),
    "erf": same(torch.erf),
    "pow": same(torch.pow, ("exponent", None)),
    "reciprocal": lambda site: site.call(operator.truediv, 1.0, site["self"]),
    "glu": glu,
    "hardtanh": cut_off("min_val", "max_val"),
    "clamp": cut_off("min", "max"),
    "clamp_min": cut_off("min", "max"),
    "clamp_max": cut_off("min", "max"),
    **dict.fromkeys(("matmul", "mm", "bmm"), matmul),
    "addmm": addmm,
    "linear": dense,
    "scaled_dot_product_attention": attention,
    **dict.fromkeys(("max_pool2d", "max_pool2d_with_indices"), max_pool(F.max_pool2d, 2)),
    **dict.fromkeys(("max_pool1d", "max_pool1d_with_indices"), max_pool(F.max_pool1d, 1)),
    "avg_pool2d": avg_pool(F.avg_pool2d, 2),
    "avg_pool1d": avg_pool(F.avg_pool1d, 1),
    "adaptive_avg_pool2d": adaptive(F.adaptive_avg_pool2d, 2),
    "adaptive_avg_pool1d": adaptive(F.adaptive_avg_pool1d, 1),
    "adaptive_max_pool2d": adaptive(F.adaptive_max_pool2d, 2),
    "adaptive_max_pool1d": adaptive(F.adaptive_max_pool1d, 1),
    "mean": over_axes(torch.mean),
    "sum": over_axes(torch.sum),
    "amax": over_axes(torch.amax),
    "amin": over_axes(torch.amin),
    "max": extreme(torch.amax),
    "min": extreme(torch.amin),
    "var": spread_of(root=False),
    "std": spread_of(root=True),
    "linalg_vector_norm": length,
    "softmax": softmax(F.softmax),
    "log_softmax": softmax(F.log_softmax),
    "upsample_nearest1d": interpolated("nearest"),
    "upsample_nearest2d": interpolated("nearest"),
    "upsample_bilinear2d": interpolated("bilinear"),
    "upsample_bicubic2d": interpolated("bicubic"),
    "upsample_linear1d": interpolated("linear"),
    "pad": padded,
    "pixel_shuffle": same(F.pixel_shuffle, ("upscale_factor", None)),
    "pixel_unshuffle": same(F.pixel_unshuffle, ("downscale_factor", None)),
    "channel_shuffle": shuffled,
    **dict.fromkeys(("permute", "transpose", "t", "numpy_T", "adjoint", "mT"), permuted),
    **dict.fromkeys(
        ("view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze"), in_shape
    ),
    "slice": sliced,
    "select": selected,
    **dict.fromkeys(("split", "split_with_sizes"), split),
    "unbind": unbound,
    "roll": rolled,
    "flip": flipped,
    **dict.fromkeys(("index", "index_select"), picked),
    "getitem": getitem,
    **dict.fromkeys(("expand", "expand_as"), expanded),
    "cat": concatenated,
    "stack": stacked,
    "repeat": repeated,
    **dict.fromkeys(("slice_scatter", "select_scatter"), put_into),
    "copy": lambda site: site["src"],
    **dict.fromkeys(("where", "masked_fill"), where),
    **dict.fromkeys(
        (
            "dropout",
            "feature_dropout",
            "alpha_dropout",
            "clone",
            "alias",
            "detach",
            "contiguous",
            "lift_fresh_copy",
        ),
        passed_on,
    ),
    **dict.fromkeys(("_to_copy", "to", "type_as"), cast),
    **dict.fromkeys(("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"), filled),
}
