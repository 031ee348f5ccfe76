"""Several inputs of a network, kept as one row of numbers: the values of the first, then those of the next.

So a sample of two images is an array like any other on its way through data, batches and training; only what
meets the network's own code, or a file, sees the parts.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from .shape import InputShape

#: values of all inputs of a sample together: five colour pictures of a megapixel, more than any small device
#: holds at once
LARGEST_ROW = 2**24
#: shapes of several inputs, in the order of the arguments of the network's forward
Parts = tuple[InputShape, ...]


def parts_of(given: InputShape | Parts) -> Parts:
    """Returns the shapes of several inputs, none of them where there is one.

    >>> parts_of((3, 8, 8)), parts_of(((3, 8, 8), (4,)))
    ((), ((3, 8, 8), (4,)))
    """
    found = shapes_of(given)
    return found if len(found) > 1 else ()


def shapes_of(given: InputShape | Parts) -> Parts:
    """Returns the shape of every input."""
    if any(isinstance(one, int) for one in given):
        return (tuple(given),)  # type: ignore[arg-type]
    return tuple(tuple(one) for one in given)  # type: ignore[arg-type]


def row_shape(given: InputShape | Parts) -> InputShape:
    """Returns the shape of one sample: of one input its own, of several that of the row.

    >>> row_shape((3, 8, 8)), row_shape(((3, 8, 8), (4,)))
    ((3, 8, 8), (196,))
    """
    first, *others = shapes_of(given)
    return (sum(map(prod, (first, *others))),) if others else first


def runs_of(parts: Parts) -> tuple[int, ...]:
    """Returns how many values of a row belong to each channel of each input, one after the other.

    >>> runs_of(((3, 8, 8), (2,)))
    (64, 64, 64, 1, 1)
    """
    return tuple(prod(shape[1:]) for shape in parts for _ in range(shape[0]))


def as_row(inputs: Sequence[Tensor]) -> Tensor:
    """Returns several inputs as rows, one input as it is.

    Args:
        inputs: (N, ...) each.
    """
    return inputs[0] if len(inputs) == 1 else torch.cat([one.flatten(1) for one in inputs], 1)


def split_row(rows: Tensor, parts: Parts) -> tuple[Tensor, ...]:
    """Returns the inputs that rows hold.

    Args:
        rows: (N, values of all parts).
        parts: none where the rows are one input.

    Returns:
        (N, ...) each.
    """
    if not parts:
        return (rows,)
    sizes = [prod(shape) for shape in parts]
    return tuple(part.reshape(-1, *shape) for part, shape in zip(rows.split(sizes, 1), parts, strict=True))
