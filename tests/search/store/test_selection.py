"""Which trial a command means: over a real store, folded from events."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from atoll.search.store.events import event_from_json
from atoll.search.store.selection import choose_study, choose_trial, ranked_trials
from atoll.search.store.store import Store
from atoll.search.store.stored_study import StoredStudy
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import made_up_metrics

BASE = made_up_metrics(quality=0.9, model_bytes=5000)
SMALL, SMALLER = "quantize(bits=8)", "prune_channels(ratio=0.5) -> quantize(bits=8)"

Add = Callable[..., None]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "atoll.duckdb")


@pytest.fixture
def add(store: Store) -> Add:
    """Journals a trial of the study `s`."""
    store.journal.append(
        event_from_json(
            {
                "type": "study",
                "study": "s",
                "created_at": "2026-01-01",
                "definition": {
                    "task": "digits",
                    "constraints": ["quality_drop <= 0.02"],
                    "profile": "balanced",
                },
            }
        )
    )

    def trial(
        name: str, recipe: str, quality: float = 0.9, size: int = 5000, seed: int = 0, **more: Any
    ) -> None:
        key = {"study": "s", "trial": name}
        whole = {
            **key,
            "recipe": recipe,
            "recipe_digest": Recipe.parse(recipe).digest,
            "seed": seed,
            "epochs_per_step": 1.0,
            "origin": "baseline" if recipe == "baseline" else "search",
        }
        store.journal.append(event_from_json({"type": "proposed", **whole}))
        store.journal.append(event_from_json({"type": "started", **key}))
        status = more.get("status", "finished")
        metrics = replace(BASE, quality=quality, model_bytes=size).to_json() if status == "finished" else None
        if status != "running":
            end = {"status": status, "metrics": metrics, "reason": more.get("reason")}
            store.journal.append(event_from_json({"type": "ended", **key, **end}))
        if more.get("measured"):
            store.journal.append(event_from_json({"type": "measured", **key, "model_bytes_measured": size}))

    return trial


def study_of(store: Store) -> StoredStudy:
    return choose_study(store, None)


def test_the_newest_study_is_meant_unless_one_is_named(store: Store) -> None:
    for name, day in (("old", 1), ("new", 3), ("middle", 2)):
        store.journal.append(
            event_from_json({"type": "study", "study": name, "created_at": f"2026-01-0{day}"})
        )
    assert choose_study(store, None).name == "new"
    assert choose_study(store, "old").name == "old"
    with pytest.raises(AtollError, match=r"no study 'nwe' in .*did you mean 'new'"):
        choose_study(store, "nwe")


def test_a_store_without_studies_says_what_to_do(store: Store, add: Add, tmp_path: Path) -> None:
    with pytest.raises(AtollError, match="run `atoll search` first"):
        choose_study(Store(tmp_path / "other.duckdb"), None)


def test_best_is_the_first_of_those_that_meet_the_constraints(store: Store, add: Add) -> None:
    add("t0001", "baseline")
    add("t0002", SMALL, quality=0.89, size=2000)
    add("t0003", SMALLER, quality=0.895, size=500)
    add("t0004", "binarize", quality=0.3, size=100)  # a wreck
    study = study_of(store)
    assert choose_trial(store, study, "best")["trial"] == "t0003"
    assert [row["trial"] for row in ranked_trials(store, study)] == ["t0003", "t0002"]
    with pytest.raises(AtollError, match=r"performence.*performance"):
        choose_trial(store, study, "best", "performence")


def test_best_is_taken_among_the_finalists(store: Store, add: Add) -> None:
    """What was measured from its file goes before what was only trained."""
    add("t0001", "baseline")
    add("t0002", SMALL, size=2000, measured=True)
    add("t0003", SMALLER, size=500)
    assert choose_trial(store, study_of(store), "best")["trial"] == "t0002"
    add("t0003", SMALLER, size=500, measured=True)
    assert choose_trial(store, study_of(store), "best")["trial"] == "t0003"


def test_the_best_trial_has_its_own_figures_not_the_mean_over_seeds(store: Store, add: Add) -> None:
    add("t0001", "baseline")
    add("t0002", SMALL, quality=0.90, size=2000)
    add("t0003", SMALL, quality=0.89, size=2000, seed=1)
    study = study_of(store)
    assert ranked_trials(store, study)[0]["quality"] == pytest.approx(0.895)
    assert choose_trial(store, study, "best")["quality"] == 0.90


def test_where_nothing_meets_the_constraints_the_nearest_is_named(store: Store, add: Add) -> None:
    add("t0001", "baseline")
    add("t0002", SMALL, quality=0.85)
    add("t0003", SMALLER, quality=0.5)
    with pytest.raises(
        AtollError,
        match=r"no trial of study 's' meets its constraints; the nearest is trial t0002, quantize\(bits=8\), "
        r"which misses: quality_drop 0.05, demanded <= 0.02; `atoll export t0002`",
    ):
        choose_trial(store, study_of(store), "best")
    assert choose_trial(store, study_of(store), "t0002")["quality"] == 0.85


def test_a_study_that_only_began_has_no_best(store: Store, add: Add) -> None:
    add("t0001", "baseline")
    with pytest.raises(AtollError, match="no recipe of study 's' has finished yet"):
        choose_trial(store, study_of(store), "best")


@pytest.mark.parametrize("status", ["running", "failed"])
def test_without_a_finished_baseline_nothing_is_best(store: Store, add: Add, status: str) -> None:
    add("t0001", "baseline", status=status)
    add("t0002", SMALL)
    study = study_of(store)
    with pytest.raises(AtollError, match=r"study 's' has no finished baseline yet.*`atoll resume s`"):
        study.baseline_figures(store.trials("s"))
    with pytest.raises(AtollError, match="no finished baseline yet"):
        choose_trial(store, study, "best")


def test_a_trial_that_is_not_finished_is_refused_with_its_reason(store: Store, add: Add) -> None:
    add("t0001", "baseline")
    add("t0002", SMALL, status="failed", reason="training diverged")
    with pytest.raises(AtollError, match=r"t0002 of study 's' is failed \(training diverged\)"):
        choose_trial(store, study_of(store), "t0002")


def test_a_recipe_means_its_finished_trial(store: Store, add: Add) -> None:
    add("t0001", "baseline")
    add("t0002", SMALL, status="failed", reason="interrupted")
    add("t0003", SMALL, seed=1)
    assert choose_trial(store, study_of(store), SMALL)["trial"] == "t0003"
    assert choose_trial(store, study_of(store), "baseline")["trial"] == "t0001"


def test_an_unknown_trial_is_answered_with_the_nearest(store: Store, add: Add) -> None:
    add("t0001", "baseline")
    with pytest.raises(AtollError, match=r"no trial 't001' in study 's'; did you mean 't0001'.*best"):
        choose_trial(store, study_of(store), "t001")
