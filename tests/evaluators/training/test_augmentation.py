"""Shifted views: whole pixels, repeated edges, the same whenever asked."""

import numpy as np
import torch
from atoll.evaluators.training.augmentation import VIEWS, shifted, view_shifts
from hypothesis import given
from hypothesis import strategies as st


@given(down=st.integers(-5, 5), right=st.integers(-5, 5))
def test_a_shift_moves_the_picture_and_repeats_its_edge(down: int, right: int) -> None:
    picture = torch.arange(2 * 8 * 9).reshape(1, 2, 8, 9)
    padded = np.pad(picture[0].numpy(), ((0, 0), (5, 5), (5, 5)), mode="edge")
    expected = padded[:, 5 - down : 13 - down, 5 - right : 14 - right]
    np.testing.assert_array_equal(shifted(picture, torch.tensor([[down, right]]))[0].numpy(), expected)


def test_each_image_has_its_own_shift() -> None:
    pictures = torch.arange(3 * 16).reshape(3, 1, 4, 4)
    shifts = torch.tensor([[0, 0], [1, 0], [0, -1]])
    moved = shifted(pictures, shifts)
    for number in range(3):
        assert torch.equal(
            moved[number], shifted(pictures[number : number + 1], shifts[number : number + 1])[0]
        )
    assert moved.is_contiguous(memory_format=torch.channels_last)


def test_views_reach_a_sixteenth_of_the_side_and_never_change() -> None:
    shifts = view_shifts(500, 64, 32)
    assert shifts.shape == (VIEWS, 500, 2)
    assert torch.equal(shifts, view_shifts(500, 64, 32))
    assert set(shifts[..., 0].flatten().tolist()) == set(range(-4, 5))
    assert set(shifts[..., 1].flatten().tolist()) == set(range(-2, 3))
