"""Rows of Arrow go into a store many at a time, all or none."""

from pathlib import Path

import pyarrow as pa
import pytest
from atoll.search.store.store import Store
from atoll.spaces.errors import AtollError


def trials(**columns: list) -> pa.Table:
    """Returns three rows of trial_rows with further columns, or other values of these."""
    usual = {
        "study": ["s"] * 3,
        "recipe_digest": ["a", "b", "c"],
        "seed": [0] * 3,
        "epochs_per_step": [1.0] * 3,
        "trial": ["t1", "t2", "t3"],
        "recipe": ["svd(rank=1)", "svd(rank=2)", "svd(rank=3)"],
        "status": ["finished"] * 3,
    }
    return pa.table(usual | columns)


def test_rows_of_arrow_are_what_the_store_then_says(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.duckdb")
    store.insert("trial_rows", trials(quality=[0.1, 0.2, None]).to_reader(2))
    assert [(row["trial"], row["quality"]) for row in store.trials()] == [
        ("t1", 0.1), ("t2", 0.2), ("t3", None)
    ]  # fmt: skip


def test_rows_replace_those_of_the_same_key(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.duckdb")
    store.insert("trial_rows", trials())
    store.insert("trial_rows", trials(quality=[0.5] * 3).slice(1, 1))
    assert [row["quality"] for row in store.trials()] == [None, 0.5, None]


@pytest.mark.parametrize(
    ("table", "columns", "said"),
    [
        ("journal_state", {}, "got the table 'journal_state', rows go into one of: study_rows, trial_rows,"),
        ("trials", {}, "got the table 'trials'"),
        ("trial_rows", {"colour": ["red"] * 3}, "the table trial_rows has no column 'colour'"),
        ("trial_rows", {"trial": ["t1", None, "t3"]}, "rows for the table trial_rows: Constraint Error"),
        ("trial_rows", {"seed": ["0", "one", "2"]}, "rows for the table trial_rows: Conversion Error"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_writes_nothing(
    tmp_path: Path, table: str, columns: dict, said: str
) -> None:
    store = Store(tmp_path / "a.duckdb")
    store.fold()
    with pytest.raises(AtollError, match=said):
        store.insert(table, trials(**columns))
    assert store.trials() == []
