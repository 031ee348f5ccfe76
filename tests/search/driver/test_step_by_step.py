"""Work that is carried out one step at a time, to be logged, comes to what it comes to at once."""

from dataclasses import replace
from typing import Any

import pytest
from atoll.evaluators.steps.pipeline_result import MEASURED_AFTER_A_STEP, StepRecord
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.steps.work import Outcome, Work
from atoll.search.driver.work import carry_out, joined, parts_of
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import Replay

SETTINGS = Settings("digits", "coral-dev-board", 0, 1.0, 1.0)
RECIPE = Recipe.parse("prune_channels(ratio=0.5) -> tucker(rank=0.5) -> quantize(bits=8)")


class Caching:
    """Answers from a table, step by step, and knows what it made before."""

    def __init__(self, replay: Replay, fails: str = "") -> None:
        self.replay, self.fails, self.cached = replay, fails, set[Recipe]()

    def __call__(self, work: Work) -> Outcome:
        records, seconds = [], 0.0
        for place, prefix in enumerate(work.recipe.prefixes()[1:], start=1):
            step, metrics = prefix.steps[-1], self.replay(Work(work.settings, prefix)).metrics
            if step.name == self.fails:
                raise AtollError(f"{step.name} diverged")
            is_cached = prefix in self.cached
            seconds += 0.0 if is_cached else 2.0
            self.cached.add(prefix)
            told: dict[str, Any] = {"technique": step.name, "stage": step.stage, "notes": {}, "worker_pid": 1}
            told |= {"epochs": 1.0, "seconds": 2.0}
            figures = {name: getattr(metrics, name) for name in MEASURED_AFTER_A_STEP}
            records.append(
                StepRecord(
                    position=place, step=str(step), cached=is_cached, **told, **figures
                )
            )  # fmt: skip
        return replace(self.replay(work), steps=tuple(records), seconds=seconds)


def by_parts(work: Work, world: Caching) -> Outcome:
    return joined([carry_out(part, world) for part in parts_of(work.to_json())])


@pytest.mark.parametrize("known", [0, 1, 3])
def test_what_was_cached_before_counts_as_cached_and_no_more(replay: Replay, known: int) -> None:
    work, worlds = Work(SETTINGS, RECIPE, keep=True), [Caching(replay), Caching(replay)]
    for world in worlds:
        world.cached.update(RECIPE.prefixes()[1 : known + 1])
    whole = carry_out(work.to_json(), worlds[0])
    assert by_parts(work, worlds[1]) == whole
    assert [step.cached for step in whole.steps] == [place < known for place in range(3)]
    assert whole.seconds == 2.0 * (3 - known)


def test_the_parts_are_the_beginnings_and_the_whole_last() -> None:
    work = Work(SETTINGS, RECIPE, keep=True)
    parts = [Work.from_json(part) for part in parts_of(work.to_json())]
    assert [part.recipe for part in parts] == list(RECIPE.prefixes()[1:])
    assert [part.keep for part in parts] == [False, False, True]
    assert parts_of(Work(SETTINGS, Recipe()).to_json()) == [Work(SETTINGS, Recipe()).to_json()]


def test_work_that_cannot_be_read_is_left_whole(replay: Replay) -> None:
    work = {**Work(SETTINGS, RECIPE).to_json(), "recipe": {"steps": "?"}}
    assert parts_of(work) == [work]
    assert carry_out(work, replay).status == "failed"
