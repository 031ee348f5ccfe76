"""A study whose answers are looked up: the search loop in seconds, without training."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from atoll.evaluators.ranking.metrics import Metrics
from atoll.evaluators.steps.pipeline_result import MEASURED_AFTER_A_STEP, StepRecord
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.steps.work import Evaluator, Outcome, Work
from atoll.search.driver import launch, runner, work
from atoll.search.driver.campaign import Campaign
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.testing import BASELINE, STUDY, Replay, made_up_replay


@pytest.fixture
def baseline_metrics() -> Metrics:
    return BASELINE


@pytest.fixture
def replay() -> Replay:
    return made_up_replay()


@pytest.fixture
def pricer() -> Callable[[Any], dict[str, Any]]:
    """Prices a recipe by the same table, as if plans were exact."""
    table = made_up_replay()

    settings = Settings("digits", "coral-dev-board", 0, 1.0, 1.0)

    def price(recipe: Any) -> dict[str, Any]:
        found = table(Work(settings, recipe)).metrics.to_json()
        return {name: found[name] for name in found if name.startswith(("latency", "peak", "macs", "model"))}

    return price


@pytest.fixture
def by_steps(replay: Replay) -> Evaluator:
    """Answers from the same table with a record of every step, as training does."""

    def evaluated(work: Work) -> Outcome:
        steps: list[StepRecord] = []
        for place, prefix in enumerate(work.recipe.prefixes()[1:], start=1):
            metrics, step = replay(Work(work.settings, prefix)).metrics, prefix.steps[-1]
            figures = {name: getattr(metrics, name) for name in MEASURED_AFTER_A_STEP}
            told: dict[str, Any] = {"technique": step.name, "stage": step.stage, "notes": {}}
            told |= {"epochs": 1, "seconds": 1.0, "cached": False, "worker_pid": 1}
            steps.append(StepRecord(position=place, step=str(step), **told, **figures))
        return replace(replay(work), steps=tuple(steps), seconds=float(len(steps) or 3))

    return evaluated


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "atoll.duckdb")


@pytest.fixture
def study() -> Study:
    return Study.create(STUDY)


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch, replay: Replay) -> None:
    """Lets the commands run on tabulated results, in this process instead of Ray's."""

    def run_by_ray(campaign: Campaign, *_: Any) -> None:
        runner.drive_here(campaign, replay)

    monkeypatch.setattr(runner, "_run_by_ray", run_by_ray)
    monkeypatch.setattr(launch, "_measure", lambda campaign: None)
    monkeypatch.setattr(work, "evaluate", replay)
