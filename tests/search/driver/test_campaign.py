"""Tests of the search loop on replayed results: no training, no Ray."""

import json
import math
import os
import platform
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from atoll import testing
from atoll.evaluators.datasets.digits import load_digits
from atoll.evaluators.ranking.constraints import parse_constraints
from atoll.evaluators.ranking.metrics import Metrics
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.steps.work import Outcome, Work
from atoll.search.driver import stopping
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.runner import drive_here, run_here
from atoll.search.driver.trial import Trial
from atoll.search.driver.work import carry_out
from atoll.search.proposer.objective import WeightedScore
from atoll.search.proposer.proposer import Told
from atoll.search.proposer.trial_scores import Judge
from atoll.search.store.events import Ended
from atoll.search.store.store import Store
from atoll.search.study.reference import PAPERS, REFERENCE
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError, MachineError
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import Replay

Pricer = Callable[[Any], dict[str, Any]]
FIXED = len(REFERENCE) + len(PAPERS)


def run(study: Study, store: Store, evaluator: Any, stop_after: int | None = None) -> Campaign:
    """Drives a study in this process; after so many trials of this run it ends as Ctrl-C would."""
    return run_here(study, store, lambda campaign: drive(campaign, evaluator, stop_after))


def drive(campaign: Campaign, evaluator: Any, stop_after: int | None = None) -> None:
    done = 0
    while not campaign.is_over and done != stop_after:
        trial = campaign.next()
        if trial is not None:
            campaign.end(trial.name, carry_out(campaign.work(trial).to_json(), evaluator))
            done += 1


def limited(study: Study, **limits: Any) -> Study:
    return study.model_copy(update={"limits": study.limits.model_copy(update=limits)})


def recipes_of(store: Store) -> list[tuple[str, str, int | None, str]]:
    return [(row["trial"], row["recipe"], row["proposal"], row["status"]) for row in store.trials()]


# The course -------------------------------------------------------------------------------------------


def test_the_course_of_a_study(study: Study, store: Store, replay: Replay) -> None:
    campaign = run(study, store, replay)
    rows = store.trials()
    assert [row["recipe"] for row in rows[: len(REFERENCE)]] == [str(Recipe.parse(t)) for t in REFERENCE]
    assert [row["origin"] for row in rows] == (
        ["baseline"] + ["reference"] * 5 + ["paper"] * len(PAPERS) + ["search"] * 8
    )
    assert {row["status"] for row in rows} == {"finished"}
    assert all(row["step_count"] >= 2 for row in rows if row["origin"] == "search")
    assert len({row["recipe"] for row in rows}) == len(rows)
    assert campaign.end_reason == "8 ensembles are done"


def frozen(study: Study, reference: list[dict[str, Any]]) -> WeightedScore:
    """Returns what a study makes of its reference set: twice the luck of the digits is no scale."""
    share = reference[0]["quality"]
    return WeightedScore.from_reference(
        reference, study.profile, "log", math.sqrt(share * (1 - share) / len(load_digits().validation))
    )


def test_every_finished_trial_has_the_objective_on_the_frozen_scales(
    study: Study, store: Store, replay: Replay
) -> None:
    run(study, store, replay)
    rows: list[Any] = store.trials()
    objective = frozen(study, [row["metrics"] for row in rows[: len(REFERENCE)]])
    assert [row["objective"] for row in rows] == pytest.approx([objective(row["metrics"]) for row in rows])
    assert store.studies()[0]["reference"]["objective"] == objective.to_json()
    quality = rows[0]["quality"]
    for row in rows:
        drop = (quality - row["quality"] - 0.02) / 0.02
        assert row["violation"]["quality_drop <= 0.02"] == pytest.approx(drop)


def test_proposals_carry_their_number_and_parameters(study: Study, store: Store, replay: Replay) -> None:
    run(study, store, replay)
    searched = [row for row in store.trials() if row["origin"] == "search"]
    assert [row["proposal"] for row in searched] == list(range(8))
    for row in searched:
        assert row["proposal_parameters"]["1"].startswith(Recipe.parse(row["recipe"]).steps[0].name)


def test_another_seed_searches_elsewhere(study: Study, tmp_path: Path, replay: Replay) -> None:
    found = []
    for seed in (1, 2):
        place = Store(tmp_path / f"{seed}.duckdb")
        run(study.model_copy(update={"seed": seed}), place, replay)
        found.append({row["recipe"] for row in place.trials() if row["origin"] == "search"})
    assert len(found[0] & found[1]) <= 4


@pytest.mark.parametrize(
    ("limits", "trials", "reason"),
    [
        ({"ensembles": 3}, FIXED + 3, "3 ensembles are done"),
        ({"ensembles": None, "trials": 10}, 10, "10 trials are done"),
        ({"trials": 9, "ensembles": 4}, 9, "9 trials are done"),
    ],
)
def test_limits_end_it(
    study: Study, store: Store, replay: Replay, limits: dict[str, Any], trials: int, reason: str
) -> None:
    campaign = run(limited(study, **limits), store, replay)
    assert len(store.trials()) == trials
    assert campaign.end_reason == reason


def test_time_ends_it_cleanly(study: Study, store: Store, replay: Replay) -> None:
    clock = iter(range(0, 10_000, 10))  # ten seconds between two looks

    def choose(campaign: Campaign) -> None:
        campaign._clock = lambda: float(next(clock))
        campaign._started_at_s = 0.0
        drive_here(campaign, replay)

    campaign = run_here(limited(study, time_minutes=1.5), store, choose)
    assert campaign.end_reason == "the time limit of 1.5 minutes is reached"
    rows = store.trials()
    assert 1 < len(rows) < FIXED + 8
    assert {row["status"] for row in rows} == {"finished"}


# Several workers --------------------------------------------------------------------------------------


def test_the_baseline_runs_alone_and_the_scales_wait_for_the_reference_set(
    study: Study, store: Store, replay: Replay
) -> None:
    def choose(campaign: Campaign) -> None:
        def end(name: str) -> None:
            work = campaign.work(campaign.trials[name]).to_json()
            campaign.end(name, carry_out(work, replay))

        baseline = campaign.next()
        assert baseline is not None and campaign.next() is None
        end(baseline.name)
        fixed = [campaign.next() for _ in range(FIXED - 1)]
        assert all(fixed) and campaign.next() is None
        for trial in reversed(fixed):
            end(trial.name)  # type: ignore[union-attr]
        first, second = campaign.next(), campaign.next()
        assert first is not None and second is not None and first.recipe != second.recipe
        assert {first.origin, second.origin} == {"search"}

    run_here(study, store, choose)
    assert all(row["objective"] is not None for row in store.trials() if row["status"] == "finished")


def test_running_ensembles_count_towards_the_limit(study: Study, store: Store, replay: Replay) -> None:
    def choose(campaign: Campaign) -> None:
        drive(campaign, replay, stop_after=FIXED)
        assert campaign.next() is not None and campaign.next() is not None
        assert campaign.next() is None and campaign.end_reason is None  # one may still fail

    run_here(limited(study, ensembles=2), store, choose)


# Resuming ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_after", [1, FIXED, FIXED + 3])
def test_a_resumed_study_is_the_uninterrupted_one(
    study: Study, store: Store, tmp_path: Path, replay: Replay, stop_after: int
) -> None:
    whole = Store(tmp_path / "whole.duckdb")
    run(study, whole, replay)
    run(study, store, replay, stop_after)
    run(study, store, replay)
    assert recipes_of(store) == recipes_of(whole)
    assert [row["objective"] for row in store.trials()] == [row["objective"] for row in whole.trials()]


def test_larger_limits_extend_a_study(study: Study, store: Store, tmp_path: Path, replay: Replay) -> None:
    whole = Store(tmp_path / "whole.duckdb")
    run(limited(study, ensembles=12), whole, replay)
    run(study, store, replay)
    run(limited(study, ensembles=12), store, replay)
    assert recipes_of(store) == recipes_of(whole)


def test_the_same_study_again_runs_nothing(study: Study, store: Store, replay: Replay) -> None:
    run(study, store, replay)
    before = store.trials()

    def refuse(_work: Work) -> Outcome:
        raise AssertionError("a known recipe was evaluated again")

    run_here(study, store, lambda campaign: drive_here(campaign, refuse))
    assert store.trials() == before


def test_what_a_dead_driver_left_running_is_run_again_under_its_name(
    study: Study, store: Store, replay: Replay
) -> None:
    def leave_running(campaign: Campaign) -> None:
        drive(campaign, replay, stop_after=FIXED + 2)
        assert campaign.next() is not None

    run_here(study, store, leave_running)
    left = store.trials()[-1]
    assert (left["status"], left["reason"]) == ("failed", "interrupted")
    run(study, store, replay)
    again = next(row for row in store.trials() if row["trial"] == left["trial"])
    assert (again["status"], again["recipe"]) == ("finished", left["recipe"])
    assert len(store.trials()) == FIXED + 8


def test_a_changed_definition_under_an_old_name_is_refused(store: Store, replay: Replay) -> None:
    values = {"name": "mine", "task": "digits", "limits": {"trials": 2}}
    run(Study.create(values), store, replay)
    with pytest.raises(AtollError, match=r"'mine'.*seed was 0, is now 1"):
        run(Study.create({**values, "seed": 1}), store, replay)


def test_two_studies_share_a_store(study: Study, store: Store, replay: Replay) -> None:
    other = study.model_copy(update={"seed": 9})
    run(study, store, replay)
    run(other, store, replay)
    assert {row["trials"] for row in store.studies()} == {FIXED + 8}


_DRIVER = """
import sys, time
from pathlib import Path
from atoll import testing
from atoll.search.driver.runner import drive_here, run_here
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.search.driver.trial import Trial
replay = testing.made_up_replay(0.05)
study = Study.create(testing.STUDY)
run_here(study, Store(Path({store!r})), lambda campaign: drive_here(campaign, replay))
"""


def test_kill_9_loses_nothing_and_counts_nothing_twice(
    study: Study, store: Store, tmp_path: Path, replay: Replay
) -> None:
    whole = Store(tmp_path / "whole.duckdb")
    run(study, whole, replay)
    code = _DRIVER.format(store=str(store.path))
    driver = subprocess.Popen([sys.executable, "-c", code])
    try:
        ended = 0
        while ended < FIXED + 2 and driver.poll() is None:
            time.sleep(0.02)
            ended = sum(event.kind == "ended" for event in store.journal.read()[0])
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert driver.returncode == -signal.SIGKILL, "the driver was to be killed before its end"
    journaled = {e.trial for e in store.journal.read()[0] if isinstance(e, Ended)}
    kept = {row["trial"]: row for row in store.trials() if row["status"] == "finished"}
    assert set(kept) == journaled
    run(study, store, replay)
    assert recipes_of(store) == recipes_of(whole)
    after = {row["trial"]: row for row in store.trials()}
    assert all(after[name]["ended_at"] == row["ended_at"] for name, row in kept.items())


@pytest.mark.long
def test_two_hundred_kills_lose_nothing_and_count_nothing_twice(store: Store, tmp_path: Path) -> None:
    """Drivers of one study are killed wherever they are, one after the other; the last ends it."""
    values = {**testing.STUDY, "limits": {"ensembles": 240}}
    study, generator = Study.create(values), random.Random(0)
    replay = testing.made_up_replay(0.0)
    whole = Store(tmp_path / "whole.duckdb")
    run(study, whole, replay)
    code = _DRIVER.format(store=str(store.path)).replace("testing.STUDY", repr(values))
    kept: dict[str, Any] = {}
    kills = 0
    while kills < 200:
        lines = store.journal.size_bytes()
        driver = subprocess.Popen([sys.executable, "-c", code])
        try:
            while store.journal.size_bytes() == lines and driver.poll() is None:
                time.sleep(0.01)
            time.sleep(generator.uniform(0.0, 0.15))
        finally:
            driver.send_signal(signal.SIGKILL)
            driver.wait()
        if driver.returncode != -signal.SIGKILL:
            break  # the study came to its end before the last kill
        kills += 1
        rows = {row["trial"]: row for row in store.trials() if row["status"] == "finished"}
        assert all(rows[name]["ended_at"] == row["ended_at"] for name, row in kept.items())
        kept = rows
    assert kills == 200
    run(study, store, replay)
    assert recipes_of(store) == recipes_of(whole)


# Lost workers -----------------------------------------------------------------------------------------


class Lossy:
    """Replays, but the process of a recipe is lost so many times before it answers."""

    def __init__(self, replay: Replay, losses: dict[str, int]) -> None:
        self.replay, self.losses = replay, {str(Recipe.parse(text)): n for text, n in losses.items()}
        self.runs: list[str] = []

    def outcome(self, campaign: Campaign, trial: Trial) -> Outcome:
        self.runs.append(str(trial.recipe))
        if self.losses.get(str(trial.recipe), 0) > 0:
            self.losses[str(trial.recipe)] -= 1
            return Outcome("interrupted")
        return carry_out(campaign.work(trial).to_json(), self.replay)

    def drive(self, campaign: Campaign, stop_after: int | None = None) -> None:
        while not campaign.is_over and len(self.runs) != stop_after:
            trial = campaign.next()
            if trial is not None:
                campaign.end(trial.name, self.outcome(campaign, trial))


def test_a_score_that_comes_later_does_not_move_the_end(study: Study, store: Store, replay: Replay) -> None:
    """The driver that freezes the scales scores what ended under another one."""
    partly = Lossy(replay, {})
    run_here(study, store, lambda campaign: partly.drive(campaign, stop_after=3))
    before = {row["trial"]: row for row in store.trials() if row["status"] == "finished"}
    assert len(before) == 3 and all(row["objective"] is None for row in before.values())
    run(study, store, replay)
    after = {row["trial"]: row for row in store.trials()}
    for name, row in before.items():
        assert after[name]["objective"] is not None
        assert after[name]["ended_at"] == row["ended_at"]


@pytest.mark.parametrize("lost", ["baseline", "quantize(bits=8)", PAPERS[0]])
@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_worker_changes_neither_scales_nor_proposals(
    study: Study, store: Store, tmp_path: Path, replay: Replay, lost: str, times: int
) -> None:
    whole = Store(tmp_path / "whole.duckdb")
    run(study, whole, replay)
    lossy = Lossy(replay, {lost: times})
    run_here(study, store, lossy.drive)
    assert lossy.runs.count(str(Recipe.parse(lost))) == times + 1
    assert recipes_of(store) == recipes_of(whole)
    assert [row["objective"] for row in store.trials()] == [row["objective"] for row in whole.trials()]
    assert store.studies()[0]["reference"] == whole.studies()[0]["reference"]
    counts = {row["recipe"]: row["interruptions"] for row in store.trials() if row["interruptions"]}
    assert counts == {str(Recipe.parse(lost)): times}


def test_a_recipe_that_kills_its_worker_three_times_has_failed(
    study: Study, store: Store, replay: Replay
) -> None:
    lossy = Lossy(replay, {"binarize": 99})
    campaign = run_here(study, store, lossy.drive)
    assert lossy.runs.count("binarize") == 3
    row = next(row for row in store.trials() if row["recipe"] == "binarize")
    assert (row["status"], row["reason"], row["interruptions"]) == ("failed", "killed its worker 3 times", 3)
    assert campaign.end_reason == "8 ensembles are done"
    again = Lossy(replay, {})
    run_here(limited(study, ensembles=9), store, again.drive)
    assert "binarize" not in again.runs, "what failed for good is not run again"


def test_losses_are_counted_across_drivers(study: Study, store: Store, replay: Replay) -> None:
    lossy = Lossy(replay, {"quantize(bits=8)": 99})
    for driver in (1, 2):
        # Each driver loses it once, stops there, and leaves no file but the journal.
        run_here(study, store, partial(lossy.drive, stop_after=driver + 1))
        row = next(row for row in store.trials() if row["recipe"] == "quantize(bits=8)")
        assert (row["status"], row["reason"], row["interruptions"]) == ("failed", "interrupted", driver)
        store.path.unlink()
    run_here(study, store, lossy.drive)
    row = next(row for row in store.trials() if row["recipe"] == "quantize(bits=8)")
    assert (row["reason"], row["interruptions"]) == ("killed its worker 3 times", 3)
    assert lossy.runs.count("quantize(bits=8)") == 3


def test_a_baseline_that_killed_three_workers_has_three_tries_again(
    study: Study, store: Store, replay: Replay
) -> None:
    with pytest.raises(AtollError, match="the baseline failed: killed its worker 3 times"):
        run_here(study, store, Lossy(replay, {"baseline": 3}).drive)
    lossy = Lossy(replay, {"baseline": 2})
    run_here(study, store, lossy.drive)
    assert lossy.runs.count("baseline") == 3
    assert {row["status"] for row in store.trials()} == {"finished"}


def test_the_last_trial_runs_again_though_the_end_was_in_sight(
    study: Study, store: Store, replay: Replay
) -> None:
    def choose(campaign: Campaign) -> None:
        drive(campaign, replay, stop_after=FIXED)
        last = campaign.next()
        assert last is not None
        campaign.end_reason = "no recipe is left"
        campaign.end(last.name, Outcome("interrupted"))
        assert not campaign.is_over and campaign.next() is last

    run_here(limited(study, ensembles=1), store, choose)


def test_after_the_time_limit_a_lost_trial_waits_for_the_next_search(
    study: Study, store: Store, replay: Replay
) -> None:
    def choose(campaign: Campaign) -> None:
        drive(campaign, replay, stop_after=2)
        trial = campaign.next()
        assert trial is not None
        campaign._clock = lambda: 1e9
        campaign.end(trial.name, Outcome("interrupted"))
        assert campaign.next() is None and campaign.is_over

    run_here(limited(study, time_minutes=1), store, choose)
    assert store.trials()[-1]["reason"] == "interrupted"


# What goes wrong --------------------------------------------------------------------------------------


class Faulty:
    """Replays, but the n-th proposal and so on fails in its own way."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.count = 0

    def __call__(self, work: Work) -> Outcome:
        self.count += 1
        outcome = self.replay(work)
        if self.count == FIXED + 1:
            raise RuntimeError("shapes\ndo not fit")
        if self.count == FIXED + 2:
            raise AtollError("training diverged in step 3")
        if self.count == FIXED + 3:
            told = outcome.to_json()
            told["metrics"]["quality"] = float("nan")
            return Outcome.from_json(told)
        return outcome


def test_a_failing_trial_is_recorded_and_the_search_goes_on(
    study: Study, store: Store, replay: Replay
) -> None:
    campaign = run(study, store, Faulty(replay))
    failed = [row for row in store.trials() if row["status"] == "failed"]
    assert [row["reason"] for row in failed] == [
        "RuntimeError: shapes do not fit",
        "training diverged in step 3",
        "quality is nan: it must be a finite number",
    ]
    assert all(row["quality"] is None and row["objective"] is None for row in failed)
    assert campaign.trials.ensembles("finished") == 8
    again = run(limited(study, ensembles=9), store, replay)
    assert again.trials.count("failed") == 3, "a failed trial is not run again"


def test_a_failed_baseline_ends_the_study(study: Study, store: Store) -> None:
    with pytest.raises(AtollError, match=r"the baseline failed: the table of 0 results has no 'baseline'"):
        run(study, store, Replay({}))


def test_a_failed_baseline_is_run_again_by_the_next_search(
    study: Study, store: Store, replay: Replay
) -> None:
    with pytest.raises(AtollError):
        run(study, store, Replay({}))
    campaign = run(study, store, replay)
    assert campaign.trials["t0001"].status == "finished"
    assert campaign.trials.ensembles("finished") == study.limits.ensembles


def test_a_full_disk_stops_the_search_and_costs_no_trial(study: Study, store: Store, replay: Replay) -> None:
    def evaluator(work: Work) -> Outcome:
        if str(work.recipe) == "binarize":
            raise MachineError("no space left on the disk")
        return replay(work)

    with pytest.raises(AtollError, match=r"stopped at trial t0003: no space left on the disk"):
        run(study, store, evaluator)
    assert [row["reason"] for row in store.trials() if row["status"] != "finished"] == ["interrupted"]
    campaign = run(study, store, replay)
    assert campaign.trials.count("failed") == 0
    assert campaign.trials.ensembles("finished") == study.limits.ensembles


def test_a_failed_reference_member_takes_the_baselines_figures(
    study: Study, store: Store, replay: Replay
) -> None:
    def evaluator(work: Work) -> Outcome:
        if str(work.recipe) == "binarize":
            raise AtollError("this device has no binary kernels")
        return replay(work)

    run(study, store, evaluator)
    members = store.studies()[0]["reference"]["members"]
    assert [one["recipe"] for one in members if one["status"] == "failed"] == ["binarize"]
    figures = [row["metrics"] or store.trials()[0]["metrics"] for row in store.trials()[: len(REFERENCE)]]
    objective = frozen(study, figures)
    assert store.studies()[0]["reference"]["objective"] == objective.to_json()


# Rejections -------------------------------------------------------------------------------------------


def guided(study: Study) -> Study:
    """Returns the study with a sampler that does not ask for prices itself: it proposes what is rejected."""
    return study.model_copy(update={"sampler": "guided"})


def demanding(study: Study, *constraints: str) -> Study:
    return Study.create(study.model_dump() | {"constraints": list(constraints)})


def test_a_recipe_that_cannot_meet_the_constraints_costs_no_trial(
    study: Study, store: Store, replay: Replay, pricer: Pricer
) -> None:
    tight = demanding(guided(study), "latency_ms <= 1")
    ran: list[str] = []

    def evaluator(work: Work) -> Outcome:
        ran.append(str(work.recipe))
        return replay(work)

    with store.lock():
        drive_here(Campaign(tight, store, pricer), evaluator)
    rows = store.trials()
    rejected = [row for row in rows if row["status"] == "rejected"]
    assert rejected and not {row["recipe"] for row in rejected} & set(ran)
    for row in rejected:
        low = replay(_work(row["recipe"])).metrics.latency_ms_low
        assert low > 1 and row["violation"] == {"latency_ms <= 1": pytest.approx(low - 1)}
        assert row["reason"].startswith("latency_ms ") and row["reason"].endswith("demanded <= 1")
    assert sum(row["origin"] == "search" and row["status"] == "finished" for row in rows) == 8


def test_a_rejection_is_told_with_the_lowest_reference_score_and_its_violation(
    study: Study, store: Store, replay: Replay, pricer: Pricer
) -> None:
    with store.lock():
        campaign = Campaign(demanding(study, "latency_ms <= 1"), store, pricer)
        drive_here(campaign, replay)
        assert campaign.judge is not None
        told = {one.recipe: one for one in campaign._proposals.history(campaign.judge)}
    scores = [row["objective"] or 0.0 for row in store.trials()[: len(REFERENCE)]]
    for trial in campaign.trials.values():
        if trial.status == "rejected":
            assert trial.violation is not None
            expected = Told(trial.recipe, pytest.approx(min(scores)), sum(trial.violation.values()))
            assert told[trial.recipe] == expected


def test_rejections_resume_too(
    study: Study, store: Store, tmp_path: Path, replay: Replay, pricer: Pricer
) -> None:
    tight, whole = demanding(study, "latency_ms <= 1"), Store(tmp_path / "whole.duckdb")
    with whole.lock():
        drive_here(Campaign(tight, whole, pricer), replay)
    with store.lock():
        drive(Campaign(tight, store, pricer), replay, stop_after=FIXED + 3)
    with store.lock():
        store.recover()
        drive_here(Campaign(tight, store, pricer), replay)
    assert recipes_of(store) == recipes_of(whole)


def test_too_many_rejections_in_a_row_end_the_study_and_name_the_constraint(
    study: Study, store: Store, replay: Replay, pricer: Pricer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "REJECTIONS_IN_A_ROW", 30)
    with store.lock():
        campaign = Campaign(demanding(study, "latency_ms <= 0.00001"), store, pricer)
        drive_here(campaign, replay)
    assert campaign.end_reason is not None
    assert campaign.end_reason.startswith("30 proposals in a row cannot meet the constraints; ")
    assert "'latency_ms <= 1e-05' rejects the most (30)" in campaign.end_reason
    assert campaign.trials.count("rejected") == 30
    with store.lock():
        store.recover()
        again = Campaign(demanding(study, "latency_ms <= 0.00001"), store, pricer)
        assert not again.has_work()  # what the store says is said again, and not another thirty priced
    assert again.end_reason == campaign.end_reason


def test_a_small_space_that_is_all_rejected_names_the_constraint_too(
    study: Study, store: Store, replay: Replay, pricer: Pricer
) -> None:
    small = study.model_copy(update={"techniques": ("prune_weights", "quantize"), "max_steps": 2})
    with store.lock():
        campaign = Campaign(demanding(small, "latency_ms <= 0.00001"), store, pricer)
        drive_here(campaign, replay)
    assert campaign.end_reason is not None
    assert campaign.end_reason.startswith("no recipe is left that was not tried (in 500 draws); ")
    assert "'latency_ms <= 1e-05' rejects the most" in campaign.end_reason


def test_what_cannot_be_planned_is_rejected_with_the_reason(
    study: Study, store: Store, replay: Replay
) -> None:
    def price(recipe: Recipe) -> dict[str, Any]:
        if recipe.steps[0].name == "cluster":
            raise AtollError("cluster: nothing left to cluster")
        return {}

    with store.lock():
        drive_here(Campaign(limited(guided(study), ensembles=30), store, price), replay)
    reasons = {row["reason"] for row in store.trials() if row["status"] == "rejected"}
    assert reasons == {"cluster: nothing left to cluster"}


def test_only_the_favourable_end_of_an_interval_rejects(baseline_metrics: Metrics) -> None:
    judge = Judge(parse_constraints(["latency_ms <= 10", "quality_drop <= 0"]), baseline_metrics.to_json())
    price = {"latency_ms": 12.0, "latency_ms_low": 9.0, "latency_ms_high": 15.0}
    assert judge.rejection(price) is None
    verdict = judge.rejection({**price, "latency_ms_low": 11.0})
    assert verdict is not None
    assert verdict.violation == {"latency_ms <= 10": pytest.approx(0.1)}
    assert verdict.reason == "latency_ms 11, demanded <= 10"


# The boundary of processes ----------------------------------------------------------------------------


def test_a_worker_gets_everything_as_plain_json(replay: Replay) -> None:
    seen: list[Work] = []

    def evaluator(work: Work) -> Outcome:
        seen.append(work)
        return replay(work)

    recipe = Recipe.parse("tensor_train(rank=8) -> quantize(bits=4)")
    work = Work(Settings("digits", "coral-dev-board", 5, 1.5, 6.0, threads=2), recipe)
    outcome = carry_out(json.loads(json.dumps(work.to_json())), evaluator)
    assert (outcome.status, outcome.worker_pid, outcome.threads) == ("finished", os.getpid(), 2)
    assert outcome.node == platform.node()
    assert seen == [work]


def test_work_that_cannot_be_read_is_a_failure(replay: Replay) -> None:
    """A worker on another machine may have another Atoll, with another version of a technique."""
    work = Work(Settings("digits", "coral-dev-board", 0, 1.0, 1.0), Recipe.parse("binarize")).to_json()
    work["recipe"][0]["version"] += 1
    outcome = carry_out(work, replay)
    assert (outcome.status, outcome.worker_pid) == ("failed", os.getpid())
    assert "version" in str(outcome.reason)


def test_an_evaluator_that_gives_no_outcome_is_a_failure() -> None:
    work = Work(Settings("digits", "coral-dev-board", 0, 1.0, 1.0), Recipe())
    outcome = carry_out(work.to_json(), lambda work: None)  # type: ignore[arg-type,return-value]
    assert outcome.status == "failed" and str(outcome.reason).startswith("TypeError: ")


def _work(recipe: str) -> Work:
    return Work(Settings("digits", "coral-dev-board", 0, 1.0, 1.0), Recipe.parse(recipe))


def test_the_cores_are_the_baseline_s_until_it_is_made(study: Study, store: Store, replay: Replay) -> None:
    with store.lock():
        store.recover()
        campaign = Campaign(study, store, at_once=2)
        found = []
        for _ in range(3):
            trial = campaign.next()
            assert trial is not None
            work = campaign.work(trial)
            found.append((trial.origin == "baseline", work.at_once))
            campaign.end(trial.name, carry_out(work.to_json(), replay))
    assert found == [(True, 2), (False, 1), (False, 1)]
