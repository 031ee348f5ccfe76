"""Tests of the commands around the search, through the command line."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.measuring.measure import Price
from atoll.search.commands.cli import main
from atoll.search.commands.doctor import doctor_rows
from atoll.search.driver import launch, runner, work
from atoll.search.driver import single_trial as single
from atoll.search.driver.campaign import Campaign
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import TECHNIQUES
from atoll.testing import Replay


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    status = main(words)
    printed = capsys.readouterr()
    return status, json.loads(printed.out) if printed.out else None, printed.err


def refused(capsys: pytest.CaptureFixture[str], words: Sequence[str]) -> str:
    status, printed, said = run(capsys, *words)
    assert (status, printed) == (2, None)
    assert said.count("\n") == 1, "one message"
    return said


def test_search_ends_with_the_leaderboard(capsys: pytest.CaptureFixture[str], replayed: None) -> None:
    status, rows, said = run(capsys, "search", "--ensembles", "3", "--format", "json")
    assert status == 0
    assert rows[0]["rank"] == 1 and "baseline" in {row["recipe"] for row in rows}
    name = Store(Path("atoll.duckdb")).studies()[0]["study"]
    assert f"atoll: study {name} in atoll.duckdb: begins" in said
    assert f"study {name} ended: 3 ensembles are done; more with `atoll resume {name}" in said


def test_json_lines_end_with_the_end(capsys: pytest.CaptureFixture[str], replayed: None) -> None:
    assert main(["search", "--ensembles", "2", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    study = Store(Path("atoll.duckdb")).studies()[0]["study"]
    assert {one["event"] for one in told[:-1]} == {"progress", "said", "trial"}
    best = told[-1].pop("best_trial"), told[-1].pop("best")
    assert best in {(one["trial"], one["recipe"]) for one in told if one["event"] == "trial"}
    assert told[-1] == {
        "event": "end", "study": study, "store": "atoll.duckdb", "end_reason": "2 ensembles are done",
    }  # fmt: skip


def test_an_unknown_log_is_refused_before_anything_runs(
    capsys: pytest.CaptureFixture[str], replayed: None
) -> None:
    assert "--log 'tensorbord': did you mean 'tensorboard'" in refused(
        capsys, ["search", "--log", "tensorbord"]
    )
    assert not Path("atoll.duckdb").exists()


def test_a_network_without_a_price_is_refused_before_anything_runs(
    capsys: pytest.CaptureFixture[str], replayed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def price_recipe(recipe: Recipe, task: str, device: str) -> Price:
        raise AtollError("operation 'PReLU' at act1: allowed are add")

    monkeypatch.setattr(launch, "price_recipe", price_recipe)
    said = refused(capsys, ["search", "--format", "json"])
    assert "cannot begin, nothing was trained: operation 'PReLU' at act1: allowed are add" in said
    assert not Path("atoll.duckdb").exists()


def test_data_that_cannot_be_made_here_are_told_before_anything_runs(
    capsys: pytest.CaptureFixture[str], replayed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atoll.evaluators.datasets.fonts.find_spec", lambda name: None)
    said = refused(capsys, ["search", "characters"])
    assert "cannot begin, nothing was trained: the task `characters` draws" in said
    assert "pip install 'atoll[characters]'" in said
    assert not Path("atoll.duckdb").exists()


def test_resume_extends_the_newest_study(capsys: pytest.CaptureFixture[str], replayed: None) -> None:
    run(capsys, "search", "--ensembles", "2", "--format", "json")
    status, _, said = run(capsys, "resume", "--ensembles", "4", "--format", "json")
    assert status == 0
    assert "goes on after 3 trials" in said and "4 ensembles are done" in said
    store = Store(Path("atoll.duckdb"))
    assert len(store.studies()) == 1
    assert store.studies()[0]["limits"]["ensembles"] == 4
    assert len([row for row in store.trials() if row["origin"] != "finalist"]) == 5


def test_another_seed_and_another_name_are_other_studies(
    capsys: pytest.CaptureFixture[str], replayed: None
) -> None:
    for words in (["--seed", "0"], ["--seed", "1"], ["--name", "mine"]):
        assert run(capsys, "search", "--trials", "2", *words, "--format", "json")[0] in (0, 2)
    names = {row["study"] for row in Store(Path("atoll.duckdb")).studies()}
    assert len(names) == 3 and "mine" in names


def test_an_interrupted_search_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], replayed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_run_by_ray", lambda *_: None)  # returned early, as after Ctrl-C
    status, printed, said = run(capsys, "search", "--store", "mine.duckdb")
    assert (status, printed) == (130, None)
    name = Store(Path("mine.duckdb")).studies()[0]["study"]
    assert f"go on with `atoll resume {name} --store mine.duckdb`" in said


def test_a_study_that_rejects_everything_ends_in_one_sentence(
    capsys: pytest.CaptureFixture[str], replayed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atoll.search.driver.stopping.REJECTIONS_IN_A_ROW", 3)
    # two that can follow each other in any order: no proposal is refused for what it is
    text = "task: digits\ntechniques: [quantize, cluster]\nmax_steps: 2\nconstraints: ['model_bytes <= 10']\n"
    Path("tight.yaml").write_text(text)
    status, _, said = run(capsys, "search", "tight.yaml")
    assert status == 2
    assert (
        "3 proposals in a row cannot meet the constraints; 'model_bytes <= 10' rejects the most (3)" in said
    )


def test_evaluate_runs_one_recipe_as_a_trial(capsys: pytest.CaptureFixture[str], replayed: None) -> None:
    words = ["evaluate", "quantize(bits=8) -> cluster", "--format", "json"]
    status, rows, _ = run(capsys, *words)
    assert status == 0
    assert rows[0]["recipe"] == "quantize(bits=8) -> cluster(clusters=16)"
    assert rows[0]["compression_ratio"] == pytest.approx(1 / (0.25 * 0.3), rel=1e-3)
    trials = Store(Path("atoll.duckdb")).trials()
    assert [(row["recipe"], row["origin"]) for row in trials] == [
        ("baseline", "baseline"),
        ("quantize(bits=8) -> cluster(clusters=16)", "evaluate"),
    ]
    assert run(capsys, *words)[1] == rows, "a finished trial is not run again"
    assert len(Store(Path("atoll.duckdb")).trials()) == 2


def test_evaluate_adds_to_the_study_that_search_would_run(
    capsys: pytest.CaptureFixture[str], replayed: None
) -> None:
    run(capsys, "evaluate", "cluster", "--format", "json")
    run(capsys, "search", "--ensembles", "1", "--format", "json")
    assert len(Store(Path("atoll.duckdb")).studies()) == 1


def test_a_failed_evaluation_says_why_and_is_recorded(
    capsys: pytest.CaptureFixture[str], replayed: None, monkeypatch: pytest.MonkeyPatch, replay: Replay
) -> None:
    monkeypatch.setattr(work, "evaluate", Replay(replay.table))
    status, _, said = run(capsys, "evaluate", "cluster")
    assert status == 2
    assert "trial t0002" in said and "failed: the table of 1 results has no" in said
    assert Store(Path("atoll.duckdb")).trials()[1]["status"] == "failed"


def test_single_says_what_it_evaluates(study: Study, store: Store, replay: Replay) -> None:
    from atoll.spaces.recipes.recipe import Recipe

    said: list[str] = []
    with store.lock():
        campaign = Campaign(study, store)
        single.evaluate_single(campaign, Recipe.parse("cluster"), said.append, replay)
    assert said == ["evaluating baseline", "evaluating cluster(clusters=16)"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search", "nowhere.yaml"], "study 'nowhere.yaml': there is no such file"),
        (["search", "--workers", "0"], "--workers"),
        (["search", "--seed", "-1"], "--seed"),
        (["search", "--time", "0"], "limits.time_minutes: got 0.0"),
        (["search", "--name", "a b"], "name: got 'a b'"),
        (["resume", "nothing"], "no store at atoll.duckdb"),
        (["evaluate", "quantise"], "unknown technique 'quantise'; did you mean 'quantize'?"),
        (["evaluate", "cluster -> cluster"], "cluster(clusters=16) directly after cluster(clusters=16)"),
        (["evaluate", "cluster -> prune_channels(ratio=0.02)"], "prune_channels(ratio=0.02) touches no"),
        (["evaluate", "cluster", "--task", "numbers"], "unknown task 'numbers'"),
        (["evaluate", "cluster", "--study", "x", "--seed", "1"], "leave the others out"),
    ],
)
def test_wrong_input_ends_in_one_sentence(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert message in refused(capsys, words)
    assert not Path("atoll.duckdb").exists()


def test_techniques_lists_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    status, rows, _ = run(capsys, "techniques", "--format", "json")
    assert status == 0
    listed = {(row["technique"], row["setting"]) for row in rows}
    assert listed == {(technique.name, name) for technique in TECHNIQUES for name in technique.domains()}
    assert all(row["allowed"] and row["source"] for row in rows)


def test_doctor_finds_what_is_there_and_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "atoll.search.commands.doctor.PACKAGES", (("duckdb", "the store"), ("no-such-package", "nothing"))
    )
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    rows = {row["what"]: row for row in doctor_rows(tmp_path / "atoll.duckdb")}
    assert rows["duckdb"]["ok"] and not rows["no-such-package"]["ok"]
    assert rows["no-such-package"]["found"] == "missing"
    assert rows["cache"]["found"].startswith(str(tmp_path / "cache"))
    assert rows["store"]["ok"]


def test_a_dry_run_shows_space_and_costs_and_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    text = "task: digits\ntechniques: [quantize, cluster]\nmax_steps: 2\nconstraints: [latency_ms <= 0.001]\n"
    Path("small.yaml").write_text(text)
    status, rows, _ = run(capsys, "search", "small.yaml", "--dry-run", "--ensembles", "5", "--format", "json")
    assert status == 0
    said = {row["what"]: row["value"] for row in rows}
    # Six quantizations before or after three clusterings.
    assert said["legal recipes"] == "36 of 2 steps"
    assert said["technique cluster"] == "clusters 8, 16, 32"
    assert said["ruled out before training"].startswith("200 of 200 recipes drawn at random (latency_ms")
    assert "measured" in said["one epoch"]
    assert "5 recipes at most with 2 further seeds, each beside a baseline" in said["finalists"]
    assert said["limit ensembles"] == "5"
    assert not Path("atoll.duckdb").exists()
