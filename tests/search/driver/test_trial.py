"""A trial and what came of it: through the store and back, and run again."""

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from atoll.evaluators.steps.pipeline_result import StepRecord
from atoll.evaluators.steps.work import Outcome
from atoll.search.driver.study_journal import StudyJournal
from atoll.search.driver.trial import Trial
from atoll.search.driver.trials import Trials
from atoll.search.store.events import Ended
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import made_up_metrics

Stored = Callable[[Trial], Trial]
STEP = StepRecord(
    1,
    "quantize",
    "quantize",
    "quantization",
    2.0,
    1.5,
    False,
    7,
    0.9,
    100,
    200,
    90,
    1000,
    1.5,
    4096.0,
    50,
    {},
)
FINISHED = Outcome("finished", None, made_up_metrics(), (STEP,), 1.5, 7, "here", 2, "0" * 64)
FAILED = Outcome("failed", "training diverged", None, (), 1.0, 8, "there", 1, None)


@pytest.fixture
def stored(store: Store, study: Study) -> Stored:
    """Writes a trial's end down and reads it back."""

    def write(trial: Trial) -> Trial:
        with store.lock():
            StudyJournal(study, store).ended(trial)
            store.recover()
        return Trial.from_row(store.trials(study.study_name)[0])

    return write


def tried(origin: str, outcome: Outcome) -> Trial:
    trial = Trial("t0001", Recipe.parse("quantize"), origin, proposal=3, interruptions=1)
    trial.start()
    trial.take(outcome)
    trial.objective, trial.violation = 2.5, {"latency_ms <= 1": 0.5}
    return trial


@pytest.mark.parametrize("outcome", [FINISHED, FAILED, Outcome("rejected", "latency_ms 11")])
def test_an_end_comes_back_whole_from_the_store_but_for_its_steps(stored: Stored, outcome: Outcome) -> None:
    trial = tried("search", outcome)
    found = stored(trial)
    assert found == replace(trial, outcome=replace(outcome, steps=()), steps_are_stored=True)
    assert (found.status, found.is_over, found.is_running) == (outcome.status, True, False)


def test_an_end_of_the_store_that_is_written_again_leaves_its_steps(
    store: Store, study: Study, stored: Stored
) -> None:
    again = stored(stored(tried("search", FINISHED)))
    assert again.outcome == replace(FINISHED, steps=())
    assert [step["step"] for step in store.steps(study.study_name, "t0001")] == ["quantize"]


def test_a_baseline_that_failed_has_all_its_tries_again(stored: Stored) -> None:
    found = stored(tried("baseline", FAILED))
    assert (found.status, found.outcome, found.interruptions, found.ended_at) == ("waiting", None, 0, None)


def test_what_is_run_again_forgets_what_came_of_it(stored: Stored) -> None:
    trial = tried("evaluate", FAILED)
    trial.start()
    assert (trial.status, trial.reason, trial.objective, trial.violation) == ("running", None, None, None)
    with pytest.raises(AtollError, match="trial t0001 is running: it has no end"):
        stored(trial)


def test_an_end_says_everything_of_an_outcome() -> None:
    assert {field.name for field in fields(Outcome)} <= {field.name for field in fields(Ended)}
    assert not {field.name for field in fields(Outcome)} & {field.name for field in fields(Trial)}


def test_a_foreign_name_beyond_all_numbers_leaves_names_for_new_trials() -> None:
    recipes = [Recipe.parse(f"quantize(bits={bits})") for bits in (2, 3, 4, 8, 16)]
    names = ["t0004", "t999999999", "t99999999"]
    for is_new in (True, False):  # what was named goes on from there after a restart
        trials = Trials()
        for name, recipe in zip(names, recipes, strict=False):
            trials.add(Trial(name, recipe, "search"))
        names.append(trials.create(recipes[len(names)], "search").name)
        assert is_new == (len(names) == 4)
    assert names[3:] == ["t100000000", "t100000001"]
