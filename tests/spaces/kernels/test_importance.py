"""Importance against sorting by hand."""

import torch
from atoll.spaces.kernels.importance import channel_l1, largest, largest_together
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.data())
def test_the_largest_are_those_of_a_sort_with_ties_to_the_earlier(
    values: list[int], data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, len(values)))
    expected = sorted(range(len(values)), key=lambda n: (-values[n], n))[:count]
    mask = largest(torch.tensor(values, dtype=torch.float32), count)
    assert mask.nonzero().flatten().tolist() == sorted(expected)


def test_the_mask_has_the_shape_of_the_scores() -> None:
    mask = largest(torch.arange(24.0).reshape(2, 3, 4), 5)
    assert mask.shape == (2, 3, 4)
    assert mask.flatten().nonzero().flatten().tolist() == [19, 20, 21, 22, 23]


def test_channels_count_by_their_mean_absolute_weight() -> None:
    weight = torch.tensor([[1.0, -3.0], [0.0, 0.0], [2.0, 2.0]])
    assert torch.allclose(channel_l1(weight), torch.tensor([1.5, 0.0, 1.5]))  # means 2, 0, 2 over 4/3
    assert torch.allclose(channel_l1(100 * weight), channel_l1(weight))
    assert not channel_l1(torch.zeros(3, 2)).any()


tensors = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=8), min_size=1, max_size=4)


@given(tensors, st.data())
def test_one_threshold_over_several_tensors_is_that_of_sorting_them_all(
    values: list[list[int]], data: st.DataObject
) -> None:
    places = [(n, m) for n, part in enumerate(values) for m in range(len(part))]
    count = data.draw(st.integers(0, len(places)))
    expected = set(sorted(places, key=lambda place: (-values[place[0]][place[1]], place))[:count])
    for n, part in enumerate(values):
        if not any(place[0] == n for place in expected):
            expected.add((n, part.index(max(part))))  # no tensor loses everything
    masks = largest_together([torch.tensor(part, dtype=torch.float32) for part in values], count)
    found = {(n, m) for n, mask in enumerate(masks) for m in mask.nonzero().flatten().tolist()}
    assert found == expected
    assert [len(mask) for mask in masks] == [len(part) for part in values]
