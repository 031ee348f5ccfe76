"""Searches from Python, on replayed results: what `run` takes and gives, and that it goes on."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from atoll import AtollError, Recipe, Store, Study, resume, run
from atoll.search.api.default_store import store_at
from atoll.search.api.searches import study_of
from atoll.search.study.study_file import STUDIES_FOLDER
from atoll.testing import STUDY

SMALL = STUDY | {"limits": {"ensembles": 2, "workers": 1}}


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(SMALL, id="dict"),
        pytest.param(Study(**SMALL), id="Study"),
        pytest.param("study.yaml", id="text"),
        pytest.param(Path("study.yaml"), id="path"),
    ],
)
def test_a_study_comes_in_any_form(given: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listed = "".join(f"\n  - {name}" for name in SMALL["techniques"])
    Path("study.yaml").write_text(
        f"task: digits\nseed: 3\ntechniques:{listed}\nfinalist_seeds: 1\n"
        "limits: {ensembles: 2, workers: 1}\n"
    )
    assert study_of(given) == Study(**SMALL)
    changed = study_of(given, seed=4, ensembles=5, name="mine")
    assert (changed.seed, changed.study_name) == (4, "mine")
    assert (changed.limits.ensembles, changed.limits.workers) == (5, 1)  # limits are replaced one by one
    assert changed.techniques == Study(**SMALL).techniques


def test_a_built_in_study_has_a_name() -> None:
    assert study_of("characters") == study_of(STUDIES_FOLDER / "characters.yaml")
    assert study_of(None) == study_of("demo")


def test_an_unchanged_study_is_the_study() -> None:
    study = Study(**SMALL)
    assert study_of(study) is study


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({"task": "digit"}, r"study: unknown task 'digit'"),
        ({"tsk": "digits"}, r"study: .*tsk|study: task is missing"),
        ({"task": "digits", "limits": 3}, r"study: limits: got 3"),
        ("no.yaml", r"study 'no.yaml': there is no such file"),
    ],
)
def test_a_mistake_is_one_sentence(study: Any, message: str) -> None:
    with pytest.raises(AtollError, match=message):
        run(study)


def test_run_gives_what_is_in_the_store_and_goes_on(tmp_path: Path, replayed: None) -> None:
    path = tmp_path / "mine.duckdb"
    result = run(SMALL, path)
    assert result.end_reason == "2 ensembles are done"
    assert (result.store.path, result.study) == (path, Study(**SMALL))
    rows = result.leaderboard()
    assert [row["rank"] for row in rows] == sorted(row["rank"] for row in rows)
    assert rows and all(row["recipe"] != "baseline" for row in rows)
    before = result.store.trials(result.study.study_name)
    again = run(Study(**SMALL), str(path))
    assert (again.end_reason, again.store.trials(again.study.study_name)) == (result.end_reason, before)
    longer = resume(store=Store(path), ensembles=4)
    assert longer.end_reason == "4 ensembles are done"
    assert longer.study.limits.workers == 1
    assert [Recipe.parse(row["recipe"]) for row in longer.store.trials(longer.study.study_name)][
        : len(before)
    ] == [Recipe.parse(row["recipe"]) for row in before]


def test_an_interrupted_search_has_no_reason(
    tmp_path: Path, replayed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atoll.search.driver.runner._run_by_ray", lambda *_: None)
    assert run(SMALL, tmp_path / "atoll.duckdb").end_reason is None


def test_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    with pytest.raises(AtollError, match="no store at"):
        resume(store=tmp_path / "none.duckdb")


def test_which_store_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATOLL_STORE", raising=False)
    assert store_at(None).path == Path("atoll.duckdb")
    monkeypatch.setenv("ATOLL_STORE", str(tmp_path / "other.duckdb"))
    assert store_at(None).path == tmp_path / "other.duckdb"
    assert store_at("a.duckdb").path == Path("a.duckdb")
    store = Store(tmp_path / "b.duckdb")
    assert store_at(store) is store


_SCRIPT = """
import functools
from atoll import Study, resume, run, testing
from atoll.search.driver import launch, runner

launch.run_study = functools.partial(runner.run_study, evaluator=testing.made_up_replay(0.05))
launch.pricer_of = lambda study: lambda recipe: {}
launch._measure = lambda campaign: None

result = run(Study(**testing.STUDY), workers=2, ensembles=2)
print(result.end_reason)
print(resume(ensembles=3).end_reason)
"""


@pytest.mark.slow
def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    """Ray's workers do not run it again, and two searches follow each other in one process."""
    (tmp_path / "script.py").write_text(_SCRIPT)
    found = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "TMPDIR": "/tmp", "ATOLL_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == ["2 ensembles are done", "3 ensembles are done"]
