"""Searches among the trials of a store: what is looked up, what is rejected, and that nothing is mixed up."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.steps.work import Evaluator
from atoll.search.api.replays import StoredTrials, replay
from atoll.search.commands.cli import main
from atoll.search.driver import work
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.runner import drive_here, run_here
from atoll.search.driver.study_journal import StudyJournal
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import STUDY

VALUES: dict[str, Any] = STUDY | {"goal": "smallest", "limits": {"ensembles": 12}}
STUDY_OF = Study.create(VALUES)


@pytest.fixture
def stored(store: Store, by_steps: Evaluator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """Returns a store with the baseline and twelve ensembles of a study; from here on nothing may train."""
    run_here(STUDY_OF, store, lambda campaign: drive_here(campaign, by_steps))

    def trains(_: object) -> None:
        raise AssertionError("a replay trains nothing")

    monkeypatch.setattr(work, "evaluate", trains)
    monkeypatch.chdir(tmp_path)
    return store


def searched(study: Study, stored: Store, tmp_path: Path, name: str = "replayed") -> list[dict[str, Any]]:
    place = Store(tmp_path / f"{name}.duckdb")
    replay(study, StoredTrials.of(stored, study), place)
    return [dict(row) for row in place.trials()]


def test_a_search_among_stored_trials_finds_their_figures(stored: Store, tmp_path: Path) -> None:
    rows = searched(STUDY_OF, stored, tmp_path)
    assert {row["status"] for row in rows} == {"finished"} and len(rows) == 13
    real = {row["recipe"]: row for row in stored.trials()}
    same = ("quality", "model_bytes", "latency_ms", "weights_digest", "metrics", "objective")
    assert all(row[name] == real[row["recipe"]][name] for row in rows for name in same)


def test_another_search_seed_finds_the_same_trials_in_another_order(stored: Store, tmp_path: Path) -> None:
    found = [
        searched(Study.create(VALUES | {"seed": seed}), stored, tmp_path, f"seed{seed}") for seed in (1, 2)
    ]
    one, other = ([row["recipe"] for row in rows] for rows in found)
    assert set(one) == set(other) == {row["recipe"] for row in stored.trials()}
    again = searched(Study.create(VALUES | {"seed": 1}), stored, tmp_path, "again")
    assert [row["recipe"] for row in again] == one


def test_it_ends_when_everything_that_is_stored_was_tried(stored: Store, tmp_path: Path) -> None:
    study = Study.create(VALUES | {"limits": {"ensembles": 50}})
    known = StoredTrials.of(stored, study)
    campaign = replay(study, known, Store(tmp_path / "replayed.duckdb"))
    assert campaign.trials.count("finished") == 13 and "no recipe is left" in str(campaign.end_reason)
    # a second a step, a beginning that recipes share once; the baseline took three
    prefixes = {one for row in stored.trials() for one in Recipe.parse(row["recipe"]).prefixes()[1:]}
    assert known.seconds == 3 + len(prefixes)


def test_one_that_begins_warm_knows_what_the_study_would_know(stored: Store, tmp_path: Path) -> None:
    """It proposes what the study proposes that begins in the store itself, among the same recipes."""
    warm = Study.create(VALUES | {"warm_start": True, "seed": 4, "finalist_seeds": 1})
    cold = Study.create(VALUES | {"seed": 4, "finalist_seeds": 1})
    known = StoredTrials.of(stored, warm)
    replayed, begun_cold = (
        proposals(searched(study, stored, tmp_path, study.study_name)) for study in (warm, cold)
    )
    with stored.lock():
        campaign = Campaign(warm, stored, known.price, recipes=known.recipes)
        drive_here(campaign, known)
        stored.recover()
    assert campaign.warmed_by == (STUDY_OF.study_name,)
    assert replayed == proposals(stored.trials(warm.study_name)) != begun_cold


def test_what_a_study_took_when_it_began_is_what_its_replay_takes(stored: Store, tmp_path: Path) -> None:
    warm = Study.create(VALUES | {"warm_start": True, "seed": 4, "limits": {"ensembles": 2}})
    with stored.lock():
        StudyJournal(warm, stored).begun({"studies": ["long gone"], "lessons": []})
    assert StoredTrials.of(stored, warm).warm_start == {"studies": ["long gone"], "lessons": []}


def proposals(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Returns what was proposed, in its order."""
    found = [(row["proposal"], row["recipe"]) for row in rows if row["proposal"] is not None]
    return [recipe for _, recipe in sorted(found)]


@pytest.mark.parametrize("sampler", ["random", "tpe", "guided"])
def test_every_sampler_chooses_among_what_is_stored(stored: Store, tmp_path: Path, sampler: str) -> None:
    rows = searched(Study.create(VALUES | {"sampler": sampler}), stored, tmp_path)
    assert {row["recipe"] for row in rows} == {row["recipe"] for row in stored.trials()}
    assert {row["status"] for row in rows} == {"finished"}


def test_what_is_not_stored_has_no_answer(stored: Store, tmp_path: Path) -> None:
    known = StoredTrials.of(stored, STUDY_OF)
    with pytest.raises(AtollError, match=r"have no 'cluster\(clusters=16\)', and a replay trains nothing"):
        known.price(Recipe.parse("cluster"))
    # the score's reference set is proposed by nobody: a member that was never trained fails, and says why
    rows = searched(Study.create(STUDY | {"limits": {"ensembles": 2}}), stored, tmp_path)
    failed = [row for row in rows if row["status"] == "failed"]
    assert {row["origin"] for row in failed} == {"reference", "paper"}
    assert all("a replay trains nothing" in row["reason"] for row in failed)


@pytest.mark.parametrize(
    "other",
    [
        {"task": "characters"},
        {"device": "host"},
        {"epochs_per_step": 7},
        {"loss": "distilled"},
        {"epochs": {"quantize": 0}},
    ],
    ids=lambda one: next(iter(one)),
)
def test_trials_that_were_made_otherwise_are_no_answers(stored: Store, other: dict[str, Any]) -> None:
    with pytest.raises(AtollError, match="has no finished baseline of the task"):
        StoredTrials.of(stored, Study.create(VALUES | other))


def test_the_command_says_that_it_is_a_replay_and_writes_no_store(
    stored: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    listed = json.dumps({**VALUES, "limits": {"ensembles": 5}})
    Path("study.yaml").write_text(listed)  # JSON is YAML
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    words = ["search", "study.yaml", "--replay", str(stored.path), "--store", "new.duckdb"]
    assert main([*words, "--format", "json"]) == 0
    printed = capsys.readouterr()
    real = {row["recipe"]: row["model_bytes"] for row in stored.trials()}
    rows = json.loads(printed.out)
    assert rows and all(row["model_bytes"] == real[row["recipe"]] for row in rows)
    assert (
        "replay: 13 trials of" in printed.err and "nothing is trained, and no store is written" in printed.err
    )
    assert "replayed best: " in printed.err
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("replay-of-digits-3-")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_cluster_has_no_place_in_a_replay(stored: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "demo", "--replay", str(stored.path), "--address", "localhost:1"]) == 2
    assert "leave --address out" in capsys.readouterr().err


def test_a_store_that_is_not_there_is_told_in_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["search", "demo", "--replay", "nowhere.duckdb"]) == 2
    assert "no store at nowhere.duckdb" in capsys.readouterr().err
