"""Several inputs as one row, and back."""

import pytest
import torch
from atoll.spaces.layers.parts import as_row, parts_of, row_shape, shapes_of, split_row

SHAPES = ((2, 3, 4), (5,), (2, 2))


def test_a_row_holds_the_values_of_one_input_after_the_other() -> None:
    inputs = (torch.arange(8.0).reshape(2, 2, 2), torch.tensor([[100.0], [200.0]]))
    assert as_row(inputs).tolist() == [[0, 1, 2, 3, 100], [4, 5, 6, 7, 200]]


def test_what_is_put_into_a_row_comes_out_of_it() -> None:
    inputs = tuple(torch.rand(6, *shape) for shape in SHAPES)
    row = as_row(inputs)
    assert tuple(row.shape) == (6, *row_shape(SHAPES))
    assert all(torch.equal(a, b) for a, b in zip(split_row(row, SHAPES), inputs, strict=True))


@pytest.mark.parametrize("given", [(3, 4, 4), ((3, 4, 4),)])
def test_one_input_is_itself(given: tuple) -> None:
    images = torch.rand(2, 3, 4, 4)
    assert (parts_of(given), shapes_of(given), row_shape(given)) == ((), ((3, 4, 4),), (3, 4, 4))
    assert as_row((images,)) is images and split_row(images, parts_of(given)) == (images,)
