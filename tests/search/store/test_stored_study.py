"""A stored study knows how it is ranked and what it demands; what is odd or missing in it is one sentence."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from atoll.evaluators.ranking.constraints import Constraint
from atoll.evaluators.ranking.demands import Loadable
from atoll.hw_models.runtimes.runtime import Runtime
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.runner import run_here
from atoll.search.store.store import Store
from atoll.search.store.stored_study import StoredStudy
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError

DEFINITION = {
    "task": "digits",
    "device": "coral-dev-board",
    "seed": 3,
    "epochs_per_step": 1.5,
    "profile": {"memory": 1.0},
    "constraints": ["quality_drop <= 0.02", "ratio >= 2"],
}
BASE = {
    "quality": 0.9,
    "macs": 100,
    "latency_ms": 2.0,
    "peak_memory_bytes": 5000.0,
    "model_bytes": 4000,
    "packed_bytes": 3000,
    "payload_bytes": 3900,
}


def row(**changed: Any) -> dict[str, Any]:
    """A row of the view `studies`."""
    return {
        "study": "s",
        "digest": "d",
        "definition": DEFINITION,
        "limits": {"trials": 9},
        "baseline": BASE,
        "reference": {"objective": {"version": 1}},
        "created_at": None,
        "finished": 4,
        "failed": 3,
        "rejected": 2,
        "running": 1,
        **changed,
    }


def trial(name: str, recipe: str, **figures: Any) -> dict[str, Any]:
    origin = "baseline" if recipe == "baseline" else "search"
    known = {"trial": name, "recipe": recipe, "origin": origin, "status": "finished", "seed": 3}
    return {**known, "epochs_per_step": 1.5, **BASE, **figures}


def test_it_is_read_once() -> None:
    study = StoredStudy.from_row(row())
    assert (study.name, study.digest, study.limits) == ("s", "d", {"trials": 9})
    assert (study.task, study.device, study.seed, study.epochs_per_step) == (
        "digits",
        "coral-dev-board",
        3,
        1.5,
    )
    assert study.constraints == (
        Constraint("quality_drop", "<=", 0.02),
        Constraint("compression_ratio", ">=", 2.0),
        Loadable(Runtime.named("tflite-2.14")),  # the device's
    )
    assert study.profile == {"memory": 1.0}
    assert study.objective == {"version": 1}
    assert study.counts == {"finished": 4, "failed": 3, "rejected": 2, "running": 1}
    with pytest.raises(FrozenInstanceError):
        study.name = "t"  # type: ignore[misc]


def test_it_is_what_a_study_wrote_down(store: Store, study: Study) -> None:
    def choose(campaign: Campaign) -> None:
        assert campaign.next() is not None

    run_here(study, store, choose)
    [found] = store.studies()
    stored = StoredStudy.from_row(found)
    assert Study.from_stored(stored.name, stored.definition, stored.limits).digest == study.digest
    assert (stored.task, stored.seed, stored.epochs_per_step) == (study.task, study.seed, study.budget_epochs)
    assert stored.constraints == study.demands
    assert stored.goal == study.parsed_goal
    assert stored.profile == study.profile
    assert stored.objective is None and stored.baseline == {}


def test_it_ranks_by_its_own_profile_and_constraints() -> None:
    """Memory alone counts: of those that meet both constraints the one with the smallest peak is first."""
    study = StoredStudy.from_row(row())
    trials = [
        trial("t1", "baseline"),
        trial("t2", "quantize(bits=8)", model_bytes=1000, peak_memory_bytes=4000.0),
        trial("t3", "quantize(bits=4)", model_bytes=1900, peak_memory_bytes=1000.0),
        trial("t4", "binarize", model_bytes=100, peak_memory_bytes=10.0, quality=0.5),  # a wreck
        trial("t5", "cluster", model_bytes=2100, peak_memory_bytes=10.0),  # not half as large
        trial("t6", "tucker", status="failed", model_bytes=1, peak_memory_bytes=1.0),
    ]
    assert [one["trial"] for one in study.ranked(trials)] == ["t3", "t2", "t1"]
    assert study.ranked(trials, all=True)[0]["trial"] in ("t4", "t5")
    assert study.nearest_miss(trials) is None
    missed = study.nearest_miss([trials[0], *trials[3:]])
    assert missed is not None and missed["trial"] == "t5"


def test_where_nothing_is_said_it_is_balanced_and_demands_nothing() -> None:
    for lost in (row(definition={}), row(definition=None)):
        study = StoredStudy.from_row({**lost, "limits": None, "baseline": None, "reference": None})
        assert (study.profile, study.constraints, study.limits) == ("balanced", (), {})
        assert study.objective is None
        for part in ("task", "device", "seed", "epochs_per_step"):
            with pytest.raises(AtollError, match=f"the definition of study 's' of the store has no {part}"):
                getattr(study, part)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("task", 5, "task in the definition of study 's' of the store is 5, it has to be a text"),
        ("device", ["x"], "device .* a text"),
        ("seed", "x" * 99, 'seed .* is "x{59}…, it has to be a number'),
        ("seed", True, "seed .* is true, it has to be a number"),
        ("epochs_per_step", {}, "epochs_per_step .* a number"),
        ("profile", 5, "profile .* a name or weights"),
        ("profile", {"memory": "much"}, "profile .* a name or weights"),
        ("constraints", "ratio >= 2", "constraints .* a list of texts"),
        ("constraints", [2], "constraints .* a list of texts"),
        ("constraints", ["ratio >> 2"], "the definition of study 's' of the store: constraint 'ratio >> 2'"),
        (
            "constraints",
            ["speed >= 2"],
            "the definition of study 's' .*: constraint on unknown metric",
        ),
    ],
)
def test_a_part_that_is_not_what_it_is_for_is_one_sentence(part: str, value: Any, message: str) -> None:
    with pytest.raises(AtollError, match=message):
        StoredStudy.from_row(row(definition={**DEFINITION, part: value}))


def test_scales_that_are_none_are_one_sentence() -> None:
    with pytest.raises(AtollError, match="the scales of study 's' of the store are 5"):
        StoredStudy.from_row(row(reference={"objective": 5}))


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({}, "study 's' of the store: task: Field required"),
        ({"task": "digits", "min_steps": "two"}, "study 's' of the store: min_steps: "),
        ({"task": "digitz"}, "unknown task 'digitz'"),
    ],
)
def test_a_definition_that_means_nothing_is_one_sentence(definition: dict[str, Any], message: str) -> None:
    with pytest.raises(AtollError, match=message):
        Study.of_definition("s", definition)
