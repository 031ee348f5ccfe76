"""Every figure has its columns in the store, of a type that holds it, and people can query it."""

import re
from pathlib import Path

import pytest
from atoll.evaluators.ranking.figure import Figure
from atoll.evaluators.ranking.figures import FIGURES
from atoll.search.store.rows import MEASURED, METRICS
from atoll.search.store.schema import expected_columns

STORED = [figure for figure in FIGURES if figure.source != "derived"]
COLUMNS = expected_columns()["trial_rows"]
NUMBERS = ("BIGINT", "INTEGER", "DOUBLE")
# Numbers that say which trial it is and how it ran; objectives are told to the optimiser alone.
NO_FIGURES = {
    *("seed", "epochs_per_step", "proposal", "interruptions", "objective", "worker_pid", "threads"),
}
VIEWS = (Path(__file__).parents[3] / "search/sql/views.sql").read_text()


@pytest.mark.parametrize("figure", STORED, ids=lambda figure: figure.name)
def test_a_figure_has_its_columns(figure: Figure) -> None:
    assert set(figure.columns) - COLUMNS.keys() == set(), "columns that schema.sql lacks"
    for name in (figure.name, *figure.ends):
        kind = COLUMNS[name][0]
        assert kind == "BIGINT" if figure.whole else kind in NUMBERS, name


@pytest.mark.parametrize("figure", STORED, ids=lambda figure: figure.name)
def test_a_figure_is_in_the_view_of_trials(figure: Figure) -> None:
    shown = set(re.findall(r"\bt\.(\w+)", VIEWS.split("CREATE OR REPLACE VIEW steps")[0]))
    assert set(figure.columns) <= shown


def test_every_number_of_a_trial_is_a_figure() -> None:
    numbers = {name for name, (kind, _) in COLUMNS.items() if kind in NUMBERS}
    assert numbers - {name for figure in STORED for name in figure.columns} == NO_FIGURES


def test_events_fill_every_figure() -> None:
    """What a trial's end says, what its file's measurement says, and the seconds of the trial itself."""
    filled = {*METRICS, *MEASURED, "seconds"}
    assert {name for figure in STORED for name in figure.columns} <= filled
    assert filled <= COLUMNS.keys()
