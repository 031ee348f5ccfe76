"""What a search says while it runs, and that it is true."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.progress import Progress, snapshot
from atoll.search.driver.trial import Trial
from atoll.search.driver.work import carry_out
from atoll.search.store.store import Store
from atoll.search.study.study import Study


@pytest.fixture
def campaign(store: Store, study: Study) -> Iterator[Campaign]:
    with store.lock():
        store.recover()
        yield Campaign(study, store)


@pytest.fixture
def end(campaign: Campaign, replay: Any) -> Callable[[Trial], None]:
    def carry(trial: Trial) -> None:
        campaign.end(trial.name, carry_out(campaign.work(trial).to_json(), replay))

    return carry


def begin(campaign: Campaign) -> Trial:
    trial = campaign.next()
    assert trial is not None
    return trial


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


def test_a_study_that_has_reached_its_limit_starts_nothing(campaign: Campaign) -> None:
    campaign.end_reason = "8 ensembles are done"
    assert snapshot(campaign, 1).doing is None
