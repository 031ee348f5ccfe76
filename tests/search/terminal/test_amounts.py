"""Times and sizes in words."""

import pytest
from atoll.search.report.markdown import StepWork
from atoll.search.terminal.amounts import duration, size


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (0.04, "0.04 seconds"),
        (0.96, "1 second"),
        (1, "1 second"),
        (29.6, "30 seconds"),
        (59.4, "59 seconds"),
        (59.6, "1 minute"),
        (90, "2 minutes"),
        (119 * 60, "119 minutes"),
        (2 * 3600, "2.0 hours"),
    ],
)
def test_a_time_is_said_in_its_own_unit(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (45_000, "45 kB"),
        (999_600, "1.0 MB"),
        (37_000_000, "37 MB"),
        (1.5e9, "1.5 GB"),
    ],
)
def test_a_size_is_said_in_its_own_unit(count: float, words: str) -> None:
    assert size(count) == words


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (
            (6, 360.0, 6, 360.0),
            "6 different steps took 6 minutes of a worker's time, all of it in this study",
        ),
        (
            (6, 360.0, 4, 240.0),
            "6 different steps took 6 minutes of a worker's time; 4 of them were made in this study "
            "(4 minutes), the others were cached before",
        ),
        ((1, 20.0, 0, 0.0), "1 different step took 20 seconds of a worker's time; all were cached before"),
    ],
)
def test_a_report_says_which_steps_were_cached(work: tuple[int, float, int, float], words: str) -> None:
    assert str(StepWork(*work)) == words
