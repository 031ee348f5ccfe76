"""Any view as joined and split axes: neither names the size of the batch nor minds fewer channels."""

from collections.abc import Callable
from math import prod

import torch
from torch import fx

Shape = tuple[int, ...]
#: makes a call of a function
Call = Callable[..., fx.Node]


def reshaped(value: fx.Node, before: Shape, after: Shape, batch: int, call: Call) -> fx.Node:
    """Returns a value in another shape, by `torch.flatten` and `torch.unflatten` alone.

    Args:
        value: of the shape `before`.
        before, after: with as many elements; multiples of `batch` are the sizes that grow with the batch.
        batch: a prime that no other size is a multiple of.
        call: adds a call to the graph.
    """
    pairs = _groups(before, after)
    for at, (old, _) in enumerate(pairs):  # from left to right: what comes before is one axis each by now
        if len(old) > 1:
            value = call(torch.flatten, value, at, at + len(old) - 1)
    at = 0
    for _, new in pairs:
        if len(new) > 1:
            value = call(torch.unflatten, value, at, _open(new, batch))
        at += len(new)
    return value


def _groups(before: Shape, after: Shape) -> list[tuple[Shape, Shape]]:
    """Returns the shortest runs of axes that hold as many elements before and after.

    The first axis stays by itself where it can: it is the batch. Another axis of size 1 goes with its left
    neighbour, or with its right one where it has none.
    """
    if before[:1] == after[:1] and len(before) > 1 and len(after) > 1:
        return [(before[:1], after[:1]), *_groups_of(before[1:], after[1:])]
    return _groups_of(before, after)


def _groups_of(before: Shape, after: Shape) -> list[tuple[Shape, Shape]]:
    groups: list[tuple[Shape, Shape]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        start, other = i, j
        i, j = i + 1, j + 1
        while (have := prod(before[start:i])) != (want := prod(after[other:j])):
            i, j = (i + 1, j) if have < want else (i, j + 1)
        while before[i : i + 1] == (1,) and after[j : j + 1] != (1,):
            i += 1
        while after[j : j + 1] == (1,) and before[i : i + 1] != (1,):
            j += 1
        groups.append((before[start:i], after[other:j]))
    return groups


def _open(sizes: Shape, batch: int) -> Shape:
    """Returns the sizes that an axis is split into: -1 is the batch, else the last of the largest."""
    of_batch = [at for at, size in enumerate(sizes) if size % batch == 0]
    largest = max(range(len(sizes)), key=lambda at: (sizes[at], at))
    left_open = of_batch[0] if of_batch else largest
    return tuple(-1 if at == left_open else size for at, size in enumerate(sizes))
