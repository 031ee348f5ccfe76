"""What a search says while it runs, and that it is true."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.progress import Progress, forecast, overrun, snapshot
from atoll.search.driver.trial import Trial
from atoll.search.driver.work import carry_out
from atoll.search.store.selection import FINALIST
from atoll.search.store.store import Store
from atoll.search.study.limits import Limits
from atoll.search.study.study import Study
from atoll.spaces.recipes.recipe import Recipe


@pytest.fixture
def campaign(store: Store, study: Study) -> Iterator[Campaign]:
    with store.lock():
        store.recover()
        yield Campaign(study, store, clock=lambda: 0.0)  # a busy machine is no reason to say another second


@pytest.fixture
def end(campaign: Campaign, replay: Any) -> Callable[[Trial], None]:
    def carry(trial: Trial) -> None:
        campaign.end(trial.name, carry_out(campaign.work(trial).to_json(), replay))

    return carry


def begin(campaign: Campaign) -> Trial:
    trial = campaign.next()
    assert trial is not None
    return trial


def test_a_remark_is_said_once_as_long_as_it_stays(campaign: Campaign) -> None:
    said = io.StringIO()
    with Progress(campaign, workers=1, stream=said) as progress:
        for remark in (None, "held by one", "held by one", None, "held by one", "held by two"):
            progress.note(remark)
    lines = [line for line in said.getvalue().splitlines() if "held" in line]
    assert lines == ["0:00 held by one", "0:00 held by one", "0:00 held by two"]


def test_it_says_what_it_waits_for_before_the_first_trial_ends(campaign: Campaign, end: Any) -> None:
    said = io.StringIO()
    with Progress(campaign, workers=1, stream=said) as progress:
        assert said.getvalue() == "0:00 starting Ray and its workers\n"
        progress.tick()
        baseline = begin(campaign)
        progress.tick()
        progress.tick()
        assert said.getvalue().splitlines()[1:] == [
            "0:00 training the baseline, or loading it from the step cache: all others are compared with it"
        ]
        end(baseline)
        progress.tick()
        assert snapshot(campaign, 1).doing is None


def test_feasible_trials_are_not_denied_before_they_are_ranked(campaign: Campaign, end: Any) -> None:
    end(begin(campaign))
    assert "best: none meets the constraints yet" in str(snapshot(campaign, 1))
    end(begin(campaign))  # 8 bits, without loss in this world
    now = snapshot(campaign, 1)
    assert (now.best, now.feasible, now.reference_left) == (None, 1, 4)
    assert "best: not ranked yet, 1 meets the constraints (4 of the reference set to come)" in str(now)
    while campaign.judge is None or campaign.judge.objective is None:
        end(begin(campaign))
    now = snapshot(campaign, 1)
    assert now.reference_left == 0
    assert now.best is not None and f"best: {now.best} (objective" in str(now)


def test_a_further_seed_that_runs_is_counted_as_running(campaign: Campaign, end: Any) -> None:
    end(begin(campaign))
    trial = campaign.trials.create(Recipe(), FINALIST, seed=99)
    campaign.trials.start(trial)
    now = snapshot(campaign, 1)
    assert (now.running, [one.trial for one in now.workers]) == (1, [trial.name])
    assert "1 done (0 of 8 ensembles), 1 running" in str(now)


def test_a_study_that_has_reached_its_limit_starts_nothing(campaign: Campaign) -> None:
    campaign.end_reason = "8 ensembles are done"
    assert snapshot(campaign, 1).doing is None


def test_an_epoch_that_a_worker_timed_is_said_with_what_follows(campaign: Campaign) -> None:
    assert forecast(campaign) is None
    said = io.StringIO()
    with Progress(campaign, workers=1, stream=said) as progress:
        begin(campaign)
        campaign.epoch_s, campaign.baseline_s = 41.0, 2 * 8 * 41.0
        progress.tick()
        progress.tick()
    # four steps of two epochs, trained twice
    assert campaign.study.baseline_epochs == 8
    assert said.getvalue().count("one epoch takes about 41 seconds: the baseline about 11 minutes") == 1
    assert "longer than the time limit" not in said.getvalue()


def test_a_baseline_longer_than_the_limit_is_said(store: Store, study: Study) -> None:
    short = study.model_copy(update={"limits": Limits(time_minutes=2)})
    with store.lock():
        store.recover()
        campaign = Campaign(short, store)
        campaign.epoch_s, campaign.baseline_s = 5.0, 80.0
        assert "longer than" not in str(forecast(campaign))
        campaign.epoch_s, campaign.baseline_s = 10.0, 160.0
        assert "the baseline about 3 minutes, which is longer than the time limit of 2 minutes" in str(
            forecast(campaign)
        )


def test_trials_that_outlast_the_limit_are_said(store: Store, study: Study, replay: Any) -> None:
    now = 0.0
    short = study.model_copy(update={"limits": Limits(time_minutes=2)})
    with store.lock():
        store.recover()
        campaign = Campaign(short, store, clock=lambda: now)
        for _ in range(2):
            trial = begin(campaign)
            outcome = carry_out(campaign.work(trial).to_json(), replay)
            campaign.end(trial.name, replace(outcome, seconds=50.0))
        begin(campaign)
        now = 60.0
        assert overrun(campaign) is None
        now = 75.0
        assert overrun(campaign) == (
            "a trial takes about 50 seconds, of the time limit 45 seconds are left: what runs then is "
            "finished"
        )
