"""What is drawn while a search runs: whatever the terminal is like, no line is longer than it is wide."""

from dataclasses import replace

import pytest
from atoll.evaluators.steps.work import Position
from atoll.search.live.front import front_size
from atoll.search.live.screen import picture
from atoll.search.live.snapshot import Running, Snapshot
from atoll.search.terminal.table_layout import cell_len
from hypothesis import given
from hypothesis import strategies as st

RECIPE = "tensor_train(rank=16) -> tucker(rank=0.25) -> quantize(bits=4)"
NOW = Snapshot(
    done=12, running=2, failed=1, rejected=3, ensembles=8, ensembles_wanted=20, doing=None, feasible=5,
    reference_left=0, best=RECIPE, best_objective=None, best_ratio=303.7, best_quality="95.10 % measured",
    elapsed_s=151.0, seconds_left=720.0, study="digits-0-3f2a1b", best_trial="t0009", front=4,
    front_of=("accuracy", "file", "latency"), steps_cached=14, steps_run=30,
    workers=(
        Running("t0013", RECIPE, 3, None, Position(2, 0.5, 2.0)),
        Running("t0014", "baseline", 0, 4, Position(0, 3.0, 8.0)),
        Running("t0015", "quantize(bits=8)", 1),
    ),
)  # fmt: skip


def drawn(now: Snapshot, width: int = 100, height: int = 24, **more: object) -> list[str]:
    return [line.plain for line in picture(now, 0.0, width, height, **more)]  # type: ignore[arg-type]


def test_all_that_is_asked_of_it_is_there() -> None:
    assert drawn(NOW) == [
        "- 2:31  digits-0-3f2a1b  about 12:00 left, then the finalists' files",
        "  trials  12 done (8 of 20 ensembles), 2 running, 1 failed, 3 rejected",
        "  best    tt16 > tucker.25 > q4  303.7x smaller (predicted), validation quality 95.10 % measured",
        "  front   4 that no other beats in accuracy, file and latency",
        "  cache   14 of 30 steps were in it",
        "  t0013  step 2 of 3, epoch 0.5 of 2  tt16 > tucker.25 > q4",
        "  t0014 seed 4  epoch 3.0 of 8  baseline",
        "  t0015  begins  q8",
    ]


def test_the_first_seconds_say_what_is_waited_for() -> None:
    nothing = replace(
        NOW, done=0, ensembles=0, feasible=0, best=None, front=0, steps_run=0, seconds_left=None,
        workers=(), doing="starting Ray and its workers", elapsed_s=3.0,
    )  # fmt: skip
    lines = drawn(nothing)
    assert "  now     starting Ray and its workers" in lines
    assert "  best    none meets the constraints yet" in lines
    assert not any("front" in line or "cache" in line or "left" in line for line in lines)


def test_the_clock_goes_on_between_two_looks_and_no_nought_is_shown() -> None:
    later = [line.plain for line in picture(NOW, 9.0, 100, 24)]
    assert later[0].endswith("2:40  digits-0-3f2a1b  about 11:51 left, then the finalists' files")
    assert "0:00" not in " ".join(drawn(replace(NOW, seconds_left=0.2)))
    assert "next to no training left" in drawn(replace(NOW, seconds_left=0.2))[0]


@pytest.mark.parametrize("width", [20, 40, 60, 80])
@pytest.mark.parametrize("height", [3, 8, 24])
def test_narrow_and_low_screens(width: int, height: int) -> None:
    lines = drawn(NOW, width, height)
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)
    assert "2:31" in lines[0]


def test_workers_for_whom_there_is_no_room_are_counted() -> None:
    many = tuple(Running(f"t{n:04d}", RECIPE, 3) for n in range(40))
    lines = drawn(replace(NOW, workers=many), 80, 24)
    assert len(lines) == 24 and lines[-1] == "  and 23 more workers"


def test_ascii_alone_where_there_is_no_more() -> None:
    long = replace(NOW, study="s" * 200)
    assert all(line.isascii() for line in drawn(replace(long, best=None), 40, 24, all_signs=False))


def test_what_comes_from_outside_cannot_move_the_cursor() -> None:
    evil = replace(NOW, study="a\x1b[2Jb", workers=(Running("t1", "x\x1b]0;y\x07", 1),), best="q\x1b[1A")
    assert not any("\x1b" in line or "\x07" in line for line in drawn(evil))


def test_a_front_by_hand() -> None:
    assert front_size([]) == 0
    assert front_size([(1, 1), (1, 1)]) == 1
    assert front_size([(1, 5), (2, 3), (3, 3), (5, 1), (5, 5)]) == 3


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=20))
def test_a_front_against_all_pairs(points: list[tuple[int, int, int]]) -> None:
    kept = {
        one
        for one in points
        if not any(other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in points)
    }
    assert front_size(points) == len(kept)
