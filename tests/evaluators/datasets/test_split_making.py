"""Splits: shares, classes, groups, and nothing in two of them."""

from typing import Any

import numpy as np
import pytest
from atoll.evaluators.datasets.split_making import make_splits
from atoll.spaces.errors import AtollError

SHARES = (0.70, 0.15, 0.15)


def made(labels: Any, groups: Any = None, given: Any = None, twins: Any = None, seed: int = 0) -> np.ndarray:
    count = len(labels)
    return make_splits(
        np.zeros(count, np.int8) if given is None else np.asarray(given, np.int8),
        np.asarray(labels),
        None if groups is None else np.asarray(groups),
        np.arange(count) if twins is None else np.asarray(twins),
        SHARES,
        seed,
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sizes", [[1000, 10, 300], [10] * 100, [7, 8, 9, 10, 11, 12], [40]])
def test_classes_are_cut_in_the_shares(sizes: list[int], seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    splits = made(labels, seed=seed)
    for label, size in enumerate(sizes):
        counts = np.bincount(splits[labels == label], minlength=3)
        assert np.abs(counts - np.array(SHARES) * size).max() <= 2 and counts.min() >= 1
    # what a class is short of, the next one gets
    assert np.abs(np.bincount(splits) - np.array(SHARES) * len(labels)).max() <= 2


def test_tiny_classes_are_learnt_first_and_do_not_bend_large_ones() -> None:
    labels = np.concatenate([np.arange(500), np.repeat(np.arange(500, 600), 2), np.full(10_000, 600)])
    splits = made(labels)
    assert set(labels[splits == 0]) == set(range(601))
    assert abs((splits[labels == 600] == 1).sum() - 1500) <= 1


def test_the_seed_decides() -> None:
    labels = np.arange(300) % 3
    assert np.array_equal(made(labels, seed=1), made(labels, seed=1))
    assert not np.array_equal(made(labels, seed=1), made(labels, seed=2))


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        ([0] * 70 + [1] * 15 + [2] * 15, [70, 15, 15]),
        ([0] * 85 + [2] * 15, [70, 15, 15]),
        ([0] * 85 + [1] * 15, [70, 15, 15]),
    ],
)
def test_given_splits_are_kept_and_missing_ones_come_out_of_train(
    given: list[int], counts: list[int]
) -> None:
    splits = made([0] * 100, given=given)
    assert np.bincount(splits).tolist() == counts
    kept = np.asarray(given) > 0
    assert np.array_equal(splits[kept], np.asarray(given)[kept])


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_in_two_splits_and_classes_stay_near_their_shares(seed: int) -> None:
    generator = np.random.default_rng(seed)
    groups = generator.integers(0, 200, 4000)
    labels = (groups % 2 + (generator.random(4000) < 0.1)) % 2  # a group is mostly of one class
    splits = made(labels, groups, seed=seed)
    for group in range(200):
        assert len(set(splits[groups == group])) <= 1
    for label in (0, 1):
        shares = np.bincount(splits[labels == label], minlength=3) / (labels == label).sum()
        assert np.abs(shares - SHARES).max() < 0.03


@pytest.mark.parametrize("seed", range(5))
def test_three_groups_fill_three_splits(seed: int) -> None:
    assert set(made([0] * 12, [0] * 10 + [1, 2], seed=seed)) == {0, 1, 2}


def test_what_is_the_same_stays_together() -> None:
    twins = np.arange(300) // 3 * 3
    splits = made(np.arange(300) // 3 % 2, twins=twins)
    assert np.array_equal(splits, splits[twins])
    assert np.bincount(splits).tolist() == [210, 45, 45]


@pytest.mark.parametrize(
    ("labels", "groups", "twins", "said"),
    [
        (
            [0, 1, 2],
            None,
            None,
            "of 3 items none are left for validation and test; allowed are three or more",
        ),
        ([0, 0], None, None, "of 2 items none are left for test"),
        ([0] * 9, [0] * 9, None, "of 9 items in 1 groups none are left for validation and test"),
        ([0] * 9, None, [0] * 9, "of 9 items none are left for validation and test"),
    ],
)
def test_too_few_are_refused(labels: Any, groups: Any, twins: Any, said: str) -> None:
    with pytest.raises(AtollError, match=said):
        made(labels, groups, twins=twins)


def test_without_train_nothing_is_made() -> None:
    with pytest.raises(AtollError, match="none are left for train and validation"):
        made([0] * 9, given=[2] * 9)
