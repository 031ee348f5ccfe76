"""A study that begins with what others found, on replayed results with their steps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.steps.work import Evaluator
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.proposals import lessons_elsewhere, lessons_of
from atoll.search.driver.runner import drive_here
from atoll.search.driver.work import carry_out
from atoll.search.proposer.lesson import Lesson
from atoll.search.store.events import StudyDescribed
from atoll.search.store.folding import Folder
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import BASELINE, STUDY, made_up_metrics

Pricer = Callable[[Any], dict[str, Any]]
Search = Callable[..., Campaign]
VALUES = STUDY | {"goal": "smallest", "limits": {"ensembles": 6}}
COLD = Study.create(VALUES)
WARM = Study.create(VALUES | {"warm_start": True, "seed": 4})


@pytest.fixture
def search(pricer: Pricer, by_steps: Evaluator) -> Search:
    """Searches a study in a store, or so many trials of it."""

    def searched(study: Study, store: Store, trials: int | None = None) -> Campaign:
        with store.lock():
            store.recover()
            campaign = Campaign(study, store, pricer)
            if trials is None:
                drive_here(campaign, by_steps)
            for _ in range(trials or 0):
                trial = campaign.next()
                assert trial is not None
                campaign.end(trial.name, carry_out(campaign.work(trial).to_json(), by_steps))
            Folder(store).close()
            store.recover()
        return campaign

    return searched


def proposed(store: Store, study: Study) -> list[str]:
    return [row["recipe"] for row in store.trials(study.study_name) if row["origin"] == "search"]


def told(store: Store, study: Study) -> list[dict[str, Any]]:
    """Returns what the journal says that a study took, event by event."""
    events = [event for event in store.journal.read()[0] if isinstance(event, StudyDescribed)]
    ours = [event.warm_start for event in events if event.study == study.study_name]
    return [one for one in ours if one is not None]


def test_what_another_study_found_is_grown_at_once(search: Search, store: Store, tmp_path: Path) -> None:
    search(COLD, store)
    taken = lessons_of(lessons_elsewhere(store, WARM))
    found = {Recipe.parse(text) for text in proposed(store, COLD)}
    assert {lesson.recipe for lesson in taken} == {one for r in found for one in r.prefixes()[1:]}
    campaign = search(WARM, store)
    assert campaign.warmed_by == (COLD.study_name,)
    cold = Store(tmp_path / "cold.duckdb")
    search(WARM, cold)
    best = [
        min(row["model_bytes"] or 0 for row in where.trials(WARM.study_name) if (row["proposal"] or 9) < 3)
        for where in (store, cold)
    ]
    assert best[0] < best[1], "the first proposals are better than those of a cold start"


def test_it_goes_on_alike_whatever_the_store_learns_later(
    search: Search, store: Store, tmp_path: Path
) -> None:
    search(COLD, store)
    other = Store(tmp_path / "other.duckdb")
    other.journal_path.write_bytes(store.journal_path.read_bytes())
    search(WARM, store)
    search(WARM, other, trials=3)
    search(Study.create(VALUES | {"seed": 9}), other)
    assert search(WARM, other).warmed_by == (COLD.study_name,)
    assert proposed(other, WARM) == proposed(store, WARM)
    (once,) = told(other, WARM)
    assert len(once["lessons"]) > 6


def test_steps_that_are_trained_otherwise_teach_nothing(search: Search, store: Store) -> None:
    search(Study.create(VALUES | {"loss": "distilled"}), store, trials=3)
    search(Study.create(VALUES | {"epochs": {"quantize": 0}, "seed": 9}), store, trials=3)
    assert lessons_elsewhere(store, WARM) == {"studies": [], "lessons": []}


def test_a_store_without_another_study_of_the_task_begins_cold(search: Search, store: Store) -> None:
    search(Study.create(VALUES | {"task": "characters"}), store, trials=2)
    assert search(WARM, store, trials=2).warmed_by == ()
    assert told(store, WARM)[0] == {"studies": [], "lessons": []}


def test_studies_without_the_key_stay_the_same() -> None:
    assert "warm_start" not in COLD.definition()
    assert Study.create(VALUES | {"warm_start": False}).digest == COLD.digest
    again = Study.from_stored("warm", json.loads(json.dumps(WARM.definition())), None)
    assert again.warm_start and again.digest == WARM.digest
    assert WARM.digest != Study.create(VALUES | {"seed": 4}).digest


def test_a_sampler_that_learns_from_nobody_is_refused() -> None:
    with pytest.raises(AtollError, match=r"warm_start: got true with the sampler 'tpe'.*allowed is 'atoll'"):
        Study.create(VALUES | {"warm_start": True, "sampler": "tpe"})


def test_a_lesson_is_what_was_lost_and_what_is_left() -> None:
    half = made_up_metrics(quality=BASELINE.quality - 0.01, model_bytes=BASELINE.model_bytes // 2)
    lesson = Lesson.of(Recipe.parse("cluster"), half, BASELINE)
    assert lesson.drop == pytest.approx(0.01)
    assert lesson.shares["model_bytes"] == 0.5 and lesson.shares["macs"] == 1.0
    assert Lesson.from_json(json.loads(json.dumps(lesson.to_json()))) == lesson


@pytest.mark.parametrize(
    "value", [3, {}, {"shares": {}}, {"recipe": "no_such", "drop": 0.0, "shares": BASELINE.to_json()}]
)
def test_what_is_no_lesson_is_left_aside(value: Any) -> None:
    with pytest.raises(AtollError):
        Lesson.from_json(value)
    assert lessons_of({"lessons": [value]}) == ()
    assert lessons_of({"lessons": 3} if value == 3 else {}) == ()
