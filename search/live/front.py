"""How many of some points no other one beats."""

from collections.abc import Iterable, Sequence


def front_size(points: Iterable[Sequence[float]]) -> int:
    """Returns the size of the Pareto front; equal points count once.

    Args:
        points: of one length, less is better in every place.

    >>> front_size([(1, 5), (2, 3), (3, 3), (5, 1), (2, 3)])
    3
    """
    front: list[Sequence[float]] = []
    for point in sorted(set(map(tuple, points))):  # none is beaten by one behind it
        if not any(all(one <= other for one, other in zip(kept, point, strict=True)) for kept in front):
            front.append(point)
    return len(front)
