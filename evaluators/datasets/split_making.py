"""Which item falls into which split, where the data do not say."""

import numpy as np

from ...spaces.errors import AtollError
from .mapped_dataset import SPLITS

TRAIN, VALIDATION, TEST = range(3)
#: of every split's seats the last so many go to whoever is shortest; more than rounding can move
_ONE_BY_ONE = 8


def make_splits(
    given: np.ndarray,
    labels: np.ndarray | None,
    groups: np.ndarray | None,
    twins: np.ndarray,
    shares: tuple[float, float, float],
    seed: int,
) -> np.ndarray:
    """Makes the splits that are missing out of train.

    A missing split gets its share of train and of what is missing: given train and test, 15 of 85 validate.
    Every class is cut in these shares, and gives one to each split where it has as many. No group is in two
    splits, and of groups those that bring the classes nearest to their shares are taken, the largest first;
    without groups, items that are the same pixel by pixel stay together.

    Args:
        given: (N,), index into SPLITS as the data have it.
        labels: (N,), indices of classes; None where they are no classes.
        groups: (N,), numbers of groups; None where there are none.
        twins: (N,), for every item the first that is the same, itself where there is none.
        shares: of train, validation and test.
        seed: decides.

    Returns:
        (N,), index into SPLITS; the given ones are kept unless they are train.

    Raises:
        AtollError: a split stays empty.
    """
    splits = given.copy()
    present = np.bincount(given, minlength=len(SPLITS)) > 0
    missing = [split for split in (VALIDATION, TEST) if not present[split]]
    if missing and present[TRAIN]:
        rows = np.flatnonzero(given == TRAIN)
        wanted = np.array([shares[split] if split in (TRAIN, *missing) else 0.0 for split in range(3)])
        wanted /= wanted.sum()
        classes = np.zeros(len(given), np.int64) if labels is None else labels
        generator = np.random.default_rng(seed)
        if groups is not None:
            splits[rows] = _by_group(classes[rows], groups[rows], wanted, generator)
        else:
            firsts, of_row = np.unique(twins[rows], return_inverse=True)
            splits[rows] = _by_class(classes[firsts], wanted, generator)[of_row]
    empty = [name for name, count in zip(SPLITS, np.bincount(splits, minlength=3), strict=True) if not count]
    if empty:
        units = "items" if groups is None else f"items in {len(np.unique(groups)):,} groups"
        raise AtollError(
            f"data: of {len(given):,} {units} none are left for {' and '.join(empty)}; allowed are three or "
            "more of a class (or three groups), of which no two are the same, or splits of your own"
        )
    return splits


def _by_class(labels: np.ndarray, wanted: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Cuts every class in the wanted shares; what rounding leaves over is carried to the next class."""
    splits = np.zeros(len(labels), np.int8)
    order = generator.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    carried = np.zeros(3)
    for rows in np.split(by_class, np.flatnonzero(np.diff(labels[by_class])) + 1):
        counts, carried = _seats(len(rows), wanted, carried)
        splits[rows] = np.repeat(np.arange(3), counts)
    return splits


def _seats(count: int, wanted: np.ndarray, carried: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns whole numbers that make `count`, near the shares, and what they are short of them."""
    exact = count * wanted + carried
    asked = np.flatnonzero(wanted)
    seats = np.zeros(3, np.int64)
    seats[asked[:count]] = 1  # train first, then validation
    seats += np.maximum(exact - _ONE_BY_ONE, 0).astype(np.int64)
    while seats.sum() < count:
        seats[asked[np.argmax((exact - seats)[asked])]] += 1
    return seats, np.clip(exact - seats, -1, 1)  # many small classes do not bend the shares of a large one


def _by_group(
    labels: np.ndarray, groups: np.ndarray, wanted: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Gives whole groups away, the largest first, each to where the classes come nearest to their shares."""
    names, of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    labels = np.unique(labels, return_inverse=True)[1]
    by_group = np.argsort(of_row, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    target = np.outer(wanted, np.bincount(labels))
    short = target.copy()
    splits = np.zeros(len(labels), np.int8)
    order = generator.permutation(len(names))
    empty = [split for split in range(3) if wanted[split]]
    for number, group in enumerate(order[np.argsort(-sizes[order], kind="stable")]):
        rows = by_group[starts[group] : starts[group + 1]]
        held, counts = np.unique(labels[rows], return_counts=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            # by how much less the squared distance to the shares becomes, in units of the shares
            gain = ((2 * short[:, held] * counts - counts**2) / target[:, held]).sum(1)
        gain[wanted == 0] = -np.inf
        split = int(np.argmax(gain))
        if len(names) - number <= len(empty) and split not in empty:
            split = empty[0]
        if split in empty:
            empty.remove(split)
        short[split, held] -= counts
        splits[rows] = split
    return splits
