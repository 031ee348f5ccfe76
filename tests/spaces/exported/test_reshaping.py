"""Views as joined and split axes: torch's own reshape is the oracle, for another batch than was seen."""

from typing import Any

import pytest
import torch
from atoll.spaces.exported.reshaping import Shape, reshaped

BATCH, IMAGES = 1009, 3


def with_images(shape: Shape) -> Shape:
    return tuple(size // BATCH * IMAGES if size % BATCH == 0 else size for size in shape)


@pytest.mark.parametrize(
    ("before", "after", "calls"),
    [
        ((BATCH, 8, 3, 4), (BATCH, 8, 3, 4), []),
        ((BATCH, 8, 3, 4), (BATCH, 96), [("flatten", 1, 3)]),
        ((BATCH, 8, 3, 4), (BATCH, 2, 4, 3, 4), [("unflatten", 1, (2, -1))]),
        ((BATCH, 8), (BATCH, 8, 1, 1), [("unflatten", 1, (-1, 1, 1))]),
        ((BATCH, 8, 1, 1), (BATCH, 8), [("flatten", 1, 3)]),
        ((BATCH, 1, 8), (BATCH, 8), [("flatten", 1, 2)]),
        ((BATCH, 4, 2, 3, 4), (BATCH, 8, 12), [("flatten", 1, 2), ("flatten", 2, 3)]),
        ((BATCH, 6, 4), (BATCH, 8, 3), [("flatten", 1, 2), ("unflatten", 1, (-1, 3))]),
        ((17, BATCH, 8), (17, BATCH * 2, 4), [("flatten", 1, 2), ("unflatten", 1, (-1, 4))]),
        ((BATCH * 2, 17, 4), (BATCH, 2, 17, 4), [("unflatten", 0, (-1, 2))]),
        ((1, BATCH, 3), (BATCH, 3), [("flatten", 0, 1)]),
        ((BATCH, 8, 1, 1), (BATCH, 1, 1, 8), [("flatten", 1, 3), ("unflatten", 1, (1, 1, -1))]),
    ],
)
def test_every_view_is_joined_and_split_axes(before: Shape, after: Shape, calls: list[Any]) -> None:
    made = []

    def call(function: Any, value: Any, *options: Any) -> Any:
        made.append((function.__name__, *options))
        return function(value, *options)

    value = torch.arange(torch.Size(with_images(before)).numel()).reshape(with_images(before))
    found: Any = reshaped(value, before, after, BATCH, call)  # type: ignore[arg-type]
    assert torch.equal(found, value.reshape(with_images(after)))
    assert made == calls
