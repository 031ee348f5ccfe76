"""The time left is honest: on searches replayed by the clock, with times that training really took."""

import heapq
import io
import random
import statistics
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from atoll.evaluators.ranking.metrics import Metrics
from atoll.evaluators.steps.pipeline_result import MEASURED_AFTER_A_STEP, StepRecord
from atoll.evaluators.steps.work import Outcome, Work
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.progress import Progress
from atoll.search.live.time_left import Course, still_running_s
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe

RESULTS = Path(__file__).parents[3] / "results"
#: median of what is wrong, as a share of the time that is left, from a third of the search on
AT_MOST = 0.25


@dataclass
class Clockwork:
    """Trials of a table by a clock of its own: a step takes as long as it once took, a cached one nothing.

    Args:
        rows: by recipe.
        cached: beginnings that were trained, with their seed.
    """

    rows: dict[Recipe, dict[str, Any]]
    now_s: float = 0.0
    cached: set[tuple[Recipe, int]] = field(default_factory=set)

    @classmethod
    def of_digits(cls) -> "Clockwork":
        """The committed table; some of its steps stood still for minutes: three medians is the most here."""
        rows = pq.read_table(RESULTS / "search_table" / "digits.parquet").to_pylist()
        world = cls({Recipe.parse(row["recipe"]): row for row in rows if row["reason"] is None})
        took: dict[str, list[float]] = {}
        for recipe, row in world.rows.items():
            for step, step_s in zip(recipe.steps, row["step_seconds"], strict=False):
                took.setdefault(step.name, []).append(step_s)
        most = {name: 3 * statistics.median(times) for name, times in took.items()}
        for recipe, row in world.rows.items():
            for place, step in enumerate(recipe.steps):
                row["step_seconds"][place] = min(row["step_seconds"][place], most[step.name])
        return world

    def begun(self, work: Work) -> tuple[float, Outcome]:
        """Returns how long a piece of work takes, begun now, and what comes of it; seeds differ by luck."""
        row, seed = self.rows[work.recipe], work.settings.seed
        prefixes = work.recipe.prefixes()[1:] or [work.recipe]
        cached = [(prefix, seed) in self.cached for prefix in prefixes]
        seconds = sum(s for s, known in zip(row["step_seconds"], cached, strict=True) if not known)
        self.cached.update((prefix, seed) for prefix in prefixes)
        luck = random.Random(f"{work.recipe} {seed}").gauss(0.0, 0.003)
        known = {one.name: row.get(one.name) for one in fields(Metrics) if one.name in row}
        metrics = Metrics.from_json({**known, "quality": min(1.0, row["quality"] + luck)})
        figures = {name: getattr(metrics, name) for name in MEASURED_AFTER_A_STEP}
        steps = tuple(
            StepRecord(
                position=place, step=str(step), technique=step.name, stage=step.stage, epochs=2.0,
                seconds=row["step_seconds"][place - 1], cached=cached[place - 1], notes={}, worker_pid=1,
                **figures,
            )
            for place, step in enumerate(work.recipe.steps, start=1)
        )  # fmt: skip
        return seconds, Outcome("finished", metrics=metrics, steps=steps, seconds=seconds)

    def price(self, recipe: Recipe) -> dict[str, Any]:
        if recipe not in self.rows:
            raise AtollError(f"the table has no {recipe}")
        return self.rows[recipe]

    def searched(self, study: Study, store: Store, workers: int) -> list[tuple[float, float | None]]:
        """Searches, and returns what was told every second: when, and how long it would take still."""
        told: list[tuple[float, float | None]] = []
        running: list[tuple[float, str, Outcome]] = []
        with store.lock():
            campaign = Campaign(
                study, store, self.price, clock=lambda: self.now_s, recipes=frozenset(self.rows),
                at_once=workers,
            )  # fmt: skip
            with Progress(campaign, workers, stream=io.StringIO()) as progress:
                while not campaign.is_over:
                    while len(running) < workers and (trial := campaign.next()) is not None:
                        seconds, outcome = self.begun(campaign.work(trial))
                        heapq.heappush(running, (self.now_s + seconds, trial.name, outcome))
                    progress.tick()
                    if not running:
                        continue
                    end_s, name, outcome = heapq.heappop(running)
                    while self.now_s + 1 < end_s:
                        self.now_s += 1
                        told.append((self.now_s, progress._now().seconds_left))
                    self.now_s = end_s
                    campaign.end(name, outcome)
        return told


def median_error(told: list[tuple[float, float | None]], end_s: float) -> float:
    """Returns the median of what was wrong from a third on, but for the last seconds."""
    late = [(at_s, left_s) for at_s, left_s in told if end_s / 3 <= at_s < end_s - 2]
    assert late and all(left_s is not None for _, left_s in late), "from a third on it is told"
    return statistics.median(abs(left_s - (end_s - at_s)) / (end_s - at_s) for at_s, left_s in late)


@pytest.mark.parametrize(
    ("seed", "sampler", "limits"),
    [(0, "atoll", {"ensembles": 24}), (1, "atoll", {"ensembles": 24}), (0, "random", {"time_minutes": 5})],
)
def test_on_a_replay_by_the_clock(store: Store, seed: int, sampler: str, limits: dict[str, float]) -> None:
    """Two workers, with checks and finalists of three seeds, whose time is part of it."""
    asked = {"task": "digits", "goal": "smallest", "constraints": ["quality_drop <= 0.01"], "seed": seed}
    ends = {"sampler": sampler, "limits": {**limits, "workers": 2}, "epochs_per_step": 2}
    world = Clockwork.of_digits()
    told = world.searched(Study.create({**asked, **ends}), store, workers=2)
    assert median_error(told, world.now_s) <= AT_MOST


def test_on_the_recorded_search_of_the_characters() -> None:
    """152 ensembles in 40 minutes by two workers, as they really ended, with checks between them."""
    rows = pq.read_table(RESULTS / "characters" / "trials.parquet").to_pylist()
    begin = min(row["started_at"] for row in rows)
    ends_s = sorted((row["ended_at"] - begin).total_seconds() for row in rows if row["origin"] == "search")
    course, told = Course(), []
    course.observe({"ensembles": 0}, ["t0004"], True, 0.0)
    for done, at_s in enumerate(ends_s, start=1):
        course.observe({"ensembles": done}, ["t0004"], True, at_s)
        told.append((at_s, (len(ends_s) - done) * (course.each_s("ensembles") or 0.0)))
    assert len(ends_s) == 152
    assert median_error(told, ends_s[-1]) <= AT_MOST


def test_what_is_between_two_ends_is_the_pace_whatever_came_before() -> None:
    course = Course()
    course.observe({"ensembles": 3}, {"t1"}, False, 5.0)
    assert course.each_s("ensembles") is None
    course.observe({"ensembles": 3}, {"t1"}, True, 10.0)
    assert course.each_s("ensembles") is None
    course.observe({"ensembles": 4}, {"t2"}, True, 16.0)
    assert course.each_s("ensembles") == pytest.approx(6.0)
    course.observe({"ensembles": 6}, {"t2"}, False, 26.0)
    assert 5.0 < course.each_s("ensembles") < (6.0 + 5.0 + 5.0) / 3, "the later ones weigh more"


def test_what_steps_took_tells_what_runs_still_takes() -> None:
    one, two, three = (
        Recipe.parse(" -> ".join(["tucker(rank=0.5)", "quantize(bits=8)", "distill"][:n])) for n in (1, 2, 3)
    )
    course = Course()
    assert course.left_of([("t1", one, None)], 0.0) is None
    course.learn(two, None, [30.0, 6.0])
    course.observe({}, {"t3"}, True, 100.0)
    assert course.left_of([("t2", two, None)], 100.0) == [0.0], "all of it is in the step cache"
    assert course.left_of([("t3", two, 7)], 110.0) == [36.0 - 10.0], "for another seed nothing is"
    assert course.left_of([("t3", two, 7)], 200.0) == [pytest.approx(3.6)], "it is late, and not over"
    assert course.left_of([("", two, 7), ("", one, 7)], 0.0) == [36.0, 0.0], "beginnings are made once"
    assert course.left_of([("", three, None)], 0.0) == [18.0], "nobody knows `distill`: as long as a step"


@pytest.mark.parametrize(("decay", "of"), [(1.0, 1), (2.0, 2), (3.0, 3)])
def test_the_last_of_several_is_the_largest_of_evenly_spread_ones(decay: float, of: int) -> None:
    drawn = random.Random(0)
    simulated = statistics.fmean(max(drawn.uniform(0, 30) for _ in range(of)) for _ in range(20_000))
    assert still_running_s(30.0, of) == pytest.approx(simulated, rel=0.02)
