"""Shifted views: whole pixels, repeated edges, the same whenever asked."""

import numpy as np
import pytest
import torch
from atoll.evaluators.training.augmentation import VIEWS, Views, shifted, view_shifts
from atoll.spaces.errors import AtollError
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


def test_views_of_series_are_shifted_and_those_of_vectors_are_not() -> None:
    series = torch.arange(2 * 3 * 32).reshape(2, 3, 32)
    views = Views(2, (3, 32))
    view, picked = torch.tensor([1, 2]), torch.tensor([0, 1])
    seen = views.show(series, view, picked)
    for row, (v, p) in enumerate(zip(view.tolist(), picked.tolist(), strict=True)):
        by = int(view_shifts(2, 32)[v, p, 0])
        places = [min(31, max(0, place - by)) for place in range(32)]
        assert torch.equal(seen[row], series[p][:, places])
    vectors = torch.randn(2, 5)
    assert Views(2, (5,)).count == 1 and Views(2, (5,)).show(vectors, view, picked) is vectors


def test_no_images_are_no_images() -> None:
    assert shifted(torch.zeros(0, 3, 4, 5), torch.zeros(0, 2, dtype=torch.int64)).shape == (0, 3, 4, 5)


def test_images_that_are_shown_as_they_are_lie_channels_last() -> None:
    images = torch.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    seen = Views(2, (3, 4, 5), ()).show(images, torch.zeros(2, dtype=torch.int64), torch.arange(2))
    assert torch.equal(seen, images) and seen.is_contiguous(memory_format=torch.channels_last)


def test_a_mirrored_view_is_the_mirror_image_or_the_image() -> None:
    images = torch.randint(
        0, 256, (8, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    views = Views(8, (3, 6, 6), ("mirror",))
    picked = torch.arange(8)
    seen = views.show(images, torch.zeros(8, dtype=torch.int64), picked)
    mirrored = 0
    for one, image in zip(seen, images.float(), strict=True):
        same, turned = torch.allclose(one, image, atol=1e-3), torch.allclose(one, image.flip(-1), atol=1e-3)
        assert same or turned
        mirrored += turned
    assert 0 < mirrored < 8


def test_all_kinds_together_stay_within_the_picture_and_never_change() -> None:
    images = torch.full((4, 1, 9, 9), 200, dtype=torch.uint8)
    picked, kinds = torch.arange(4), ("shift", "mirror", "rotation", "scale", "crop")
    for view in range(Views(4, (1, 9, 9), kinds).count):
        chosen = torch.full((4,), view)
        one, other = (Views(4, (1, 9, 9), kinds).show(images, chosen, picked) for _ in range(2))
        assert torch.equal(one, other)
        torch.testing.assert_close(one, torch.full_like(one, 200.0))


def test_a_rotation_keeps_the_distance_from_the_middle() -> None:
    images = torch.zeros(1, 1, 33, 33)
    images[0, 0, 16, 26] = 255.0  # ten pixels right of the middle
    views = Views(1, (1, 33, 33), ("rotation",))
    for view in range(views.count):
        seen = views.show(images, torch.tensor([view]), torch.tensor([0]))[0, 0]
        total = seen.sum()
        rows = (seen.sum(1) * torch.arange(33)).sum() / total - 16
        columns = (seen.sum(0) * torch.arange(33)).sum() / total - 16
        assert float((rows**2 + columns**2).sqrt()) == pytest.approx(10, abs=0.3)


def test_vectors_cannot_be_mirrored() -> None:
    with pytest.raises(AtollError, match="got 'mirror' for inputs of 5, allowed is nothing there"):
        Views(4, (5,), ("mirror",))
