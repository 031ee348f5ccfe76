"""The same values in other places: order, parts, repetition, one beside the other, in their one spelling."""

import operator
from typing import Any

import torch
from torch import fx

from .arithmetic import COMBINED
from .options import axes_of
from .reading import Constant, Site
from .reshaping import reshaped

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
    sizes: Any = site.given.get("split_sizes", site.given.get("split_size"))
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
