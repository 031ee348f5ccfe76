"""Lists of words over each other: every list is there, and the runs are short, against brute force."""

from itertools import permutations

from atoll.evaluators.litert.overlaps import LONGEST, Words, runs_of
from hypothesis import given
from hypothesis import strategies as st

NUMBERS = st.integers(1, 3)
LISTS = st.lists(st.tuples(*[NUMBERS] * 3) | st.tuples(*[NUMBERS] * 2), min_size=1, max_size=5, unique=True)


def length(lists: list[Words]) -> int:
    return sum(len(run.words) for run in runs_of(lists))


def shortest(lists: list[Words]) -> int:
    """Of one string that holds all of them: every order tried."""

    def joined(order: tuple[Words, ...]) -> int:
        text: Words = ()
        for words in order:
            if any(text[at : at + len(words)] == words for at in range(len(text))):
                continue
            shared = next(n for n in range(len(words), -1, -1) if text[len(text) - n :] == words[:n])
            text += words[shared:]
        return len(text)

    return min(map(joined, permutations(lists)))


@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=LONGEST + 3).map(tuple), unique=True))
def test_every_list_is_where_its_place_says(lists: list[Words]) -> None:
    found = {}
    for run in runs_of(lists):
        for number, first in run.places:
            assert number not in found
            found[number] = run.words[first : first + len(lists[number])]
    assert [found[number] for number in range(len(lists))] == lists


@given(LISTS)
def test_half_of_what_can_be_saved_is_saved(lists: list[Words]) -> None:
    everything = sum(map(len, lists))
    assert everything - length(lists) >= (everything - shortest(lists)) / 2


def test_what_lies_in_another_takes_no_room() -> None:
    assert length([(4, 1, 32, 32, 8), (1, 32), (2, 9, 4), (9, 4)]) == 7


def test_two_lists_that_begin_each_other_are_no_ring() -> None:
    assert sorted(run.words for run in runs_of([(2, 16, 2), (2, 2, 16)])) == [(2, 2, 16, 2)]
    assert length([(1, 2), (2, 1)]) == 3
