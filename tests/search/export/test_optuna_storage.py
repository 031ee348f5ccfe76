"""A study written for Optuna is what Optuna then reads."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
import pyarrow as pa
import pytest
from atoll.search.export.optuna_storage import write_optuna_storage
from atoll.search.store.store import Store
from atoll.spaces.errors import AtollError
from optuna.trial import TrialState

BEGUN = datetime(2026, 11, 5, 12, tzinfo=UTC)
RECIPES = {
    "baseline": "finished",
    "prune_channels(ratio=0.5) -> quantize(bits=8)": "finished",
    "prune_channels(ratio=0.25) -> quantize(bits=4)": "finished",
    "a_technique_of_tomorrow(x=1)": "failed",
    "quantize(bits=4)": "rejected",
    "quantize(bits=8)": "running",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Returns a store with a trial of every status."""
    count, done = len(RECIPES), [status == "finished" for status in RECIPES.values()]
    found = Store(tmp_path / "a.duckdb")
    columns = {
        "study": ["s"] * count,
        "recipe_digest": [str(number) for number in range(count)],
        "seed": [0] * count,
        "epochs_per_step": [1.0] * count,
        "trial": [f"t{number}" for number in range(count)],
        "recipe": list(RECIPES),
        "status": list(RECIPES.values()),
        "reason": [None, None, None, "broken", "too big", None],
        "quality": [0.9 - 0.1 * number if one else None for number, one in enumerate(done)],
        "model_bytes": [1000 - number if one else None for number, one in enumerate(done)],
        "latency_ms": [None, 2.0, 3.0, None, None, None],  # not of every finished one: no value
        "quality_higher_is_better": [True] * count,
        "started_at": [BEGUN] * count,
        "ended_at": [BEGUN if status != "running" else None for status in RECIPES.values()],
    }
    found.insert("trial_rows", pa.table(columns))
    return found


def test_optuna_reads_trials_with_parameters_values_states_and_attributes(
    store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "s.db"
    with store.lock():  # or what runs would be interrupted
        write_optuna_storage("s", store.trials("s"), path)
    study = optuna.load_study(study_name="s", storage=f"sqlite:///{path}")
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["quality", "model_bytes"]
    baseline, better, smaller, failed, rejected, running = study.trials
    assert [trial.state for trial in study.trials] == [
        *[TrialState.COMPLETE] * 3, TrialState.FAIL, TrialState.PRUNED, TrialState.RUNNING
    ]  # fmt: skip
    assert better.values == pytest.approx([0.8, 999])
    assert better.params["step 1"] == "prune_channels"
    assert better.params["step 1 prune_channels.ratio"] == 0.5
    assert smaller.params["step 2 quantize.bits"] == 4
    assert "step 2 quantize.symmetric" not in better.params, "the same in all"
    assert baseline.params == {"steps": 0}
    assert failed.params == {}, "of a technique that this Atoll has not"
    assert failed.user_attrs["recipe"] == "a_technique_of_tomorrow(x=1)"
    assert rejected.user_attrs["reason"] == "too big"
    assert better.user_attrs["latency_ms"] == 2.0
    assert better.datetime_start is not None
    assert better.datetime_start.astimezone(UTC) == BEGUN
    assert running.params == {"steps": 1, "step 1": "quantize", "step 1 quantize.bits": 8}
    assert {trial.values[1] for trial in study.best_trials} == {1000.0, 999.0, 998.0}
    assert sorted(other.name for other in path.parent.iterdir()) == ["s.db"]


def test_a_file_that_is_there_stays(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_text("mine")
    with pytest.raises(AtollError, match=r"s\.db exists: name another file with --output"):
        write_optuna_storage("s", store.trials("s"), path)
    assert path.read_text() == "mine"


def test_any_path_is_the_files_whole_name(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "what?mode=ro&x" / "100%25#1.db"
    write_optuna_storage("s", store.trials("s"), path)
    assert [one for one in tmp_path.rglob("*") if one.is_file() and one != store.path] == [path]
    path.rename(tmp_path / "s.db")
    assert len(optuna.load_study(study_name="s", storage=f"sqlite:///{tmp_path}/s.db").trials) == len(RECIPES)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"status": "won"}, "t1 has the status 'won'"), ({"quality": None, "model_bytes": None}, "in common")],
)
def test_rows_that_atoll_does_not_write_are_one_sentence(
    change: dict[str, Any], message: str, store: Store, tmp_path: Path
) -> None:
    rows = store.trials("s")
    with pytest.raises(AtollError, match=message):
        write_optuna_storage("s", [*rows[:1], {**rows[1], **change}, *rows[2:]], tmp_path / "s.db")  # type: ignore[list-item,typeddict-item]
    assert list(tmp_path.iterdir()) == [store.path]
