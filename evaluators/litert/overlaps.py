"""Lists of words that lie over each other: one that another holds lies in it, and ends lie on beginnings."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Words = tuple[int, ...]
#: words of a list that others may lie in, so that the work grows with the number of lists: a shape and its
#: count have up to nine
LONGEST = 12


@dataclass(frozen=True)
class Run:
    """Words in which several lists lie.

    Args:
        words: of the run.
        places: (number of a list, its first word here).
    """

    words: Words
    places: tuple[tuple[int, int], ...]


def runs_of(lists: Sequence[Words]) -> list[Run]:
    """Returns runs that hold every list once, greedily as short as they come.

    The shortest common superstring is NP-hard; the greedy one saves half of what could be saved or more
    (Tarhio and Ukkonen 1988, A greedy approximation algorithm for constructing shortest common superstrings).

    Args:
        lists: all different, none empty.

    >>> [run.words for run in runs_of([(2, 16, 2), (2, 2, 16), (1, 7)])]
    [(2, 2, 16, 2), (1, 7)]
    """
    inside = _held(lists)
    free = [number for number in range(len(lists)) if number not in inside]
    behind = _chained({number: lists[number] for number in free})
    within: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, (holder, first) in inside.items():
        within[holder].append((number, first))
    followers = {follower for follower, _ in behind.values()}
    return [_run(lists, number, behind, within) for number in free if number not in followers]


def _run(
    lists: Sequence[Words],
    number: int,
    behind: dict[int, tuple[int, int]],
    within: dict[int, list[tuple[int, int]]],
) -> Run:
    words = list(lists[number])
    places: list[tuple[int, int]] = []
    while True:
        first = len(words) - len(lists[number])
        places += [(number, first), *((held, first + at) for held, at in within[number])]
        if number not in behind:
            return Run(tuple(words), tuple(places))
        number, shared = behind[number]
        words += lists[number][shared:]


def _parts(words: Words) -> Iterator[tuple[int, Words]]:
    """Every shorter list of neighbouring words, with the place of its first."""
    for size in range(1, len(words)):
        for first in range(len(words) - size + 1):
            yield first, words[first : first + size]


def _held(lists: Sequence[Words]) -> dict[int, tuple[int, int]]:
    """Returns of each list that lies in another which of these holds it, itself in none, and where."""
    numbers = {words: number for number, words in enumerate(lists)}
    found: dict[int, tuple[int, int]] = {}
    # the longest first: what lies in one that lies in another is found in the other before
    for holder in sorted(range(len(lists)), key=lambda number: -len(lists[number])):
        if holder in found or len(lists[holder]) > LONGEST:
            continue
        for first, part in _parts(lists[holder]):
            number = numbers.get(part)
            if number is not None:
                found.setdefault(number, (holder, first))
    return found


def _chained(lists: dict[int, Words]) -> dict[int, tuple[int, int]]:
    """Returns of each list that another lies on the end of which one, and how many words they share."""
    behind: dict[int, tuple[int, int]] = {}
    begins = dict.fromkeys(lists)  # those that nothing lies before
    #: of the first list of a chain its last one, and the other way round
    other_end = {number: number for number in lists}
    longest = min(LONGEST, max(map(len, lists.values()), default=1))
    for shared in range(longest - 1, 0, -1):
        starts: dict[Words, list[int]] = defaultdict(list)
        for number in begins:
            if len(lists[number]) > shared:
                starts[lists[number][:shared]].append(number)
        for number, words in lists.items():
            if number in behind or len(words) <= shared:
                continue
            waiting = starts.get(words[-shared:], [])
            # one that this chain itself begins with would make it a ring
            follower = next((one for one in waiting if one != other_end[number]), None)
            if follower is None:
                continue
            waiting.remove(follower)
            del begins[follower]
            behind[number] = follower, shared
            first, last = other_end[number], other_end[follower]
            other_end[first], other_end[last] = last, first
    return behind
