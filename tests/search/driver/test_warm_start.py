"""A study that begins with what others found, on replayed results with their steps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.steps.pipeline_result import MEASURED_AFTER_A_STEP, StepRecord
from atoll.evaluators.steps.work import Outcome, Work
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
from atoll.testing import BASELINE, STUDY, made_up_metrics, made_up_replay

Pricer = Callable[[Any], dict[str, Any]]
VALUES = STUDY | {"goal": "smallest", "limits": {"ensembles": 6}}
COLD = Study.create(VALUES)
WARM = Study.create(VALUES | {"warm_start": True, "seed": 4})


def evaluated(work: Work) -> Outcome:
    """Answers from the table, with a record of every step."""
    replay = made_up_replay()
    steps: list[StepRecord] = []
    for place, prefix in enumerate(work.recipe.prefixes()[1:], start=1):
        metrics = replay(Work(work.settings, prefix)).metrics
        assert metrics is not None
        figures = {name: getattr(metrics, name) for name in MEASURED_AFTER_A_STEP}
        step = prefix.steps[-1]
        told: dict[str, Any] = {"step": str(step), "technique": step.name, "stage": step.stage, "notes": {}}
        steps.append(StepRecord(place, epochs=1, seconds=1, cached=False, worker_pid=1, **told, **figures))
    return Outcome("finished", metrics=replay(work).metrics, steps=tuple(steps), seconds=1.0)


def search(study: Study, store: Store, pricer: Pricer, trials: int | None = None) -> Campaign:
    with store.lock():
        store.recover()
        campaign = Campaign(study, store, pricer)
        if trials is None:
            drive_here(campaign, evaluated)
        for _ in range(trials or 0):
            trial = campaign.next()
            assert trial is not None
            campaign.end(trial.name, carry_out(campaign.work(trial).to_json(), evaluated))
        Folder(store).close()
        store.recover()
    return campaign


def proposed(store: Store, study: Study) -> list[str]:
    return [row["recipe"] for row in store.trials(study.study_name) if row["origin"] == "search"]


def told(store: Store, study: Study) -> list[dict[str, Any]]:
    """Returns what the journal says that a study took, event by event."""
    events = [event for event in store.journal.read()[0] if isinstance(event, StudyDescribed)]
    ours = [event.warm_start for event in events if event.study == study.study_name]
    return [one for one in ours if one is not None]


def test_what_another_study_found_is_grown_at_once(store: Store, pricer: Pricer, tmp_path: Path) -> None:
    search(COLD, store, pricer)
    taken = lessons_of(lessons_elsewhere(store, WARM))
    found = {Recipe.parse(text) for text in proposed(store, COLD)}
    assert {lesson.recipe for lesson in taken} == {one for r in found for one in r.prefixes()[1:]}
    campaign = search(WARM, store, pricer)
    assert campaign.warmed_by == (COLD.study_name,)
    cold = Store(tmp_path / "cold.duckdb")
    search(WARM, cold, pricer)
    best = [
        min(row["model_bytes"] for row in where.trials(WARM.study_name) if (row["proposal"] or 9) < 3)
        for where in (store, cold)
    ]
    assert best[0] < best[1], "the first proposals are better than those of a cold start"


def test_it_goes_on_alike_whatever_the_store_learns_later(
    store: Store, pricer: Pricer, tmp_path: Path
) -> None:
    search(COLD, store, pricer)
    other = Store(tmp_path / "other.duckdb")
    other.journal_path.write_bytes(store.journal_path.read_bytes())
    search(WARM, store, pricer)
    search(WARM, other, pricer, trials=3)
    search(Study.create(VALUES | {"seed": 9}), other, pricer)
    assert search(WARM, other, pricer).warmed_by == (COLD.study_name,)
    assert proposed(other, WARM) == proposed(store, WARM)
    first, *later = told(other, WARM)
    assert len(first["lessons"]) > 6 and all(one == first for one in later)


def test_a_store_without_another_study_of_the_task_begins_cold(store: Store, pricer: Pricer) -> None:
    search(Study.create(VALUES | {"task": "characters"}), store, pricer, trials=2)
    assert search(WARM, store, pricer, trials=2).warmed_by == ()
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
