"""A study that minimizes a cost: what it runs, what is best, and that a restart proposes the same."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.steps.pipeline_result import StepRecord
from atoll.evaluators.steps.work import Evaluator, Outcome, Work
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.progress import snapshot
from atoll.search.driver.runner import drive_here
from atoll.search.proposer.proposer import PROPOSERS
from atoll.search.store.selection import choose_study, choose_trial
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.spaces.recipes.order import is_legal
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import STUDY, Replay, made_up_replay

REPLAY: Replay = made_up_replay()


def carried_out(work: Work) -> Outcome:
    """Returns what the made-up world says of a recipe and of every step on its way."""
    steps = []
    for place, prefix in enumerate(work.recipe.prefixes()[1:], start=1):
        found, step = REPLAY(Work(work.settings, prefix)).metrics, prefix.steps[-1]
        assert found is not None
        steps.append(
            StepRecord(
                position=place, step=str(step), technique=step.name, stage=step.stage, epochs=2.0,
                seconds=1.0 + place, cached=False, worker_pid=1, quality=found.quality,
                payload_bytes=found.payload_bytes, model_bytes=found.model_bytes, packed_bytes=None,
                macs=found.macs, latency_ms=found.latency_ms, peak_memory_bytes=found.peak_memory_bytes,
                parameters=found.parameters, notes={},
            )
        )  # fmt: skip
    return replace(REPLAY(work), steps=tuple(steps))


def price(recipe: Recipe) -> Mapping[str, Any]:
    found = REPLAY(Work(Study.create(STUDY).trial_settings(1), recipe)).metrics
    assert found is not None
    kept = ("macs", "model_bytes", "parameters", "latency_ms", "peak_memory_bytes")
    return {name: getattr(found, name) for name in kept}


def study_of(goal: Any, ensembles: int = 6) -> Study:
    return Study.create({**STUDY, "goal": goal, "limits": {"ensembles": ensembles}})


def searched(study: Study, store: Store, evaluator: Evaluator = carried_out) -> Campaign:
    with store.lock():
        store.recover()
        campaign = Campaign(study, store, price)
        drive_here(campaign, evaluator)
    return campaign


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "trials.duckdb")


def test_only_the_baseline_runs_before_the_proposals(store: Store) -> None:
    searched(study_of("smallest"), store)
    assert [row["origin"] for row in store.trials()] == ["baseline"] + 6 * ["search"]


def test_objectives_are_halvings_of_the_baseline_and_the_best_has_the_most(store: Store) -> None:
    campaign = searched(study_of("smallest"), store)
    rows: list[Any] = store.trials()
    assert rows[0]["objective"] == 0.0
    for row in rows[1:]:
        assert row["objective"] == pytest.approx(math.log2(rows[0]["model_bytes"] / row["model_bytes"]))
    feasible = [
        row for row in rows if row["violation"]["quality_drop <= 0.02"] <= 0 and row["recipe"] != "baseline"
    ]
    smallest = min(feasible, key=lambda row: row["model_bytes"])
    best = campaign.best
    assert best is not None
    assert best.name == smallest["trial"]
    study = choose_study(store, None)
    assert choose_trial(store, study, "best")["trial"] == smallest["trial"]
    assert study.ranked(rows)[0]["recipe"] == smallest["recipe"]


def test_another_goal_chooses_another_winner(store: Store) -> None:
    """The same trials by the papers' score, which weighs quality too, whatever the goal was."""
    searched(study_of("smallest", 12), store)
    study, rows = choose_study(store, None), store.trials()
    by_goal, by_score = study.ranked(rows), study.ranked(rows, "performance")
    assert by_goal[-1]["recipe"] == "baseline"
    assert {row["recipe"] for row in by_goal} == {row["recipe"] for row in by_score}
    assert [row["score"] for row in by_goal] != [row["score"] for row in by_score]
    assert study.ranked(rows, scoring="linear") == study.ranked(rows, "balanced")


def test_progress_tells_the_cost_that_is_minimized(store: Store) -> None:
    campaign = searched(study_of("fastest"), store)
    said = str(snapshot(campaign, 1))
    best = campaign.best
    assert best is not None
    assert best.metrics is not None
    assert f"latency {best.metrics.latency_ms:.2f} ms predicted, " in said
    assert "objective" not in said


def test_what_a_compiler_estimates_is_not_called_predicted(store: Store) -> None:
    """As on an Ethos-U."""

    def estimated(work: Work) -> Outcome:
        found = carried_out(work)
        assert found.metrics is not None
        return replace(found, metrics=replace(found.metrics, latency_status="compiler estimate"))

    campaign = searched(study_of("fastest", 1), store, estimated)
    assert " ms estimated, " in str(snapshot(campaign, 1))


@pytest.mark.parametrize("goal", ["smallest", "score"])
def test_a_restart_proposes_what_the_uninterrupted_search_would_have(tmp_path: Path, goal: str) -> None:
    """What was found after every step comes back from the store."""
    whole, cut = Store(tmp_path / "whole.duckdb"), Store(tmp_path / "cut.duckdb")
    searched(study_of(goal, 8), whole)
    for ensembles in (3, 5, 8):
        searched(study_of(goal, ensembles), cut)
    recipes = [[row["recipe"] for row in store.trials()] for store in (whole, cut)]
    assert recipes[0] == recipes[1]
    assert [row["objective"] for row in whole.trials()] == [row["objective"] for row in cut.trials()]


@pytest.mark.parametrize("sampler", [name for name, _ in PROPOSERS])
def test_six_steps_are_proposed_priced_and_stored_by_every_sampler(store: Store, sampler: str) -> None:
    values = {"min_steps": 6, "max_steps": 6, "goal": "smallest", "sampler": sampler}
    study = Study.create({**STUDY, **values, "limits": {"ensembles": 4}})
    recipes = [trial.recipe for trial in searched(study, store).trials.searched]
    assert len(recipes) == 4 and all(is_legal(recipe.steps) for recipe in recipes)
    assert study.baseline_epochs == 6 * study.budget_epochs
    stored = store.query(
        "SELECT t.recipe, t.step_count, max(s.position) AS last, count(*) AS steps "
        "FROM trials t JOIN steps s USING (study, trial) "
        "WHERE t.origin = 'search' AND s.position > 0 GROUP BY ALL"
    ).to_pylist()
    assert {row.pop("recipe") for row in stored} == set(map(str, recipes))
    assert stored == 4 * [{"step_count": 6, "last": 6, "steps": 6}]


def test_a_damaged_step_row_is_left_aside_when_a_study_goes_on(store: Store) -> None:
    def damaged(work: Work) -> Outcome:
        whole = carried_out(work)
        steps = tuple(replace(step, quality=math.nan) for step in whole.steps)
        return replace(whole, steps=steps)

    study = study_of("smallest", 3)
    with store.lock():
        store.recover()
        drive_here(Campaign(study, store, price), damaged)
    campaign = searched(study_of("smallest", 5), store)
    assert [trial.after for trial in campaign.trials.values()][1:4] == [(), (), ()]
    assert campaign.trials.ensembles("finished") == 5
