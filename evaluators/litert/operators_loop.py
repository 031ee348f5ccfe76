"""Operators that run a graph again and again, and those that only such a graph needs, as in `operators`."""

from collections.abc import Sequence

import numpy as np

from .writer import TfliteModel


def copy_of(model: TfliteModel, other: TfliteModel, x: int) -> int:
    """Adds to ``model`` a computed tensor of the shape and type of one of another graph's."""
    entry = other.tensors[x]
    if entry.dtype == "int32":
        return model.add_count()
    return model.add_activation(entry.shape, entry.grid)


def loop(model: TfliteModel, condition: TfliteModel, body: TfliteModel, carried: Sequence[int]) -> list[int]:
    """Runs ``body`` for as long as ``condition`` says so; returns the state behind it.

    Args:
        model: the graph that runs them; they become subgraphs of its file.
        condition, body: each reads the state; one gives a truth value, the other the next state.
        carried: the state before it.
    """
    first = len(model.subgraphs) + 1
    model.subgraphs += [condition, body]
    found = [copy_of(model, model, x) for x in carried]
    numbers = dict(condSubgraphIndex=first, bodySubgraphIndex=first + 1)
    model.add_operator("WHILE", carried, found, options="While", **numbers)
    return found


def below(model: TfliteModel, count: int, limit: int) -> int:
    """Whether a count is below a number."""
    y = model.add_condition((1,))
    model.add_operator("LESS", (count, model.add_index([limit])), (y,), options="Less")
    return y


def counted_on(model: TfliteModel, count: int, step: int = 1) -> int:
    """A count and so many more."""
    y = model.add_count()
    model.add_operator("ADD", (count, model.add_index([step])), (y,), options="Add")
    return y


def counted_back(model: TfliteModel, last: int, count: int) -> int:
    """A number less a count."""
    y = model.add_count()
    model.add_operator("SUB", (model.add_index([last]), count), (y,), options="Sub")
    return y


def row(model: TfliteModel, x: int, place: int) -> int:
    """The row of ``x`` [1, rows, columns] at a computed place, [1, 1, columns]."""
    y = model.add_activation((1, 1, model.tensors[x].shape[2]), model.tensors[x].grid)
    model.add_operator("GATHER", (x, place), (y,), options="Gather", axis=1)
    return y


def split(model: TfliteModel, x: int, count: int) -> list[int]:
    """``x`` in so many equal parts along its last axis."""
    *before, last = model.tensors[x].shape
    parts = [model.add_activation((*before, last // count), model.tensors[x].grid) for _ in range(count)]
    axis = model.add_index(np.array([len(before)]))
    model.add_operator("SPLIT", (axis, x), parts, options="Split", numSplits=count)
    return parts
