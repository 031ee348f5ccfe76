"""What a proposal takes of the driver's processor where so many trials are known, the end before it included.

The trials are made up, of the space of the built-in characters study, every one trained; a made-up price
costs nothing, so what is left is the driver's own work. Four run at a time; which ends next is drawn.
"""

import os
import tempfile
import time
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any

# before NumPy is imported: two threads wait for one another at matrices as small as these
os.environ["OMP_NUM_THREADS"] = "1"

from atoll.evaluators.ranking.metrics import Metrics
from atoll.evaluators.steps.pipeline_result import MEASURED_AFTER_A_STEP, StepRecord
from atoll.evaluators.steps.work import Outcome
from atoll.search.driver.campaign import Campaign
from atoll.search.driver.trial import Trial
from atoll.search.store.store import Store
from atoll.search.study.study import Study
from atoll.search.study.study_file import find_study_file, read_study
from atoll.spaces.recipes.order import grid_steps, repair
from atoll.spaces.recipes.recipe import Recipe
from atoll.testing import BASELINE, EFFECTS, made_up_metrics
from figures import report

#: trials that are known, and the milliseconds that the driver may take then
KNOWN, TARGET_MS = (200, 1_000, 10_000), 50.0
#: proposals that are measured, of which some meet a refit, and how many trials run at a time
PROPOSALS, RUNNING = 200, 4
COSTS = ("macs", "latency_ms", "peak_memory_bytes", "parameters", "payload_bytes", "model_bytes")


def figures(recipe: Recipe) -> Metrics:
    """Returns made-up figures: a step of the more characters in its text does a little less."""
    size, drop = 1.0, 0.0
    for place, step in enumerate(recipe):
        effect, less = EFFECTS.get(step.name), 1.0 + 0.01 * len(str(step))
        if effect is not None:
            size *= effect.size_factor ** (1 / less)
            drop += effect.quality_drop * (1 + place / 10) / less
    costs: dict[str, Any] = {name: max(1, round(getattr(BASELINE, name) * size)) for name in COSTS}
    intervals = [(name, end) for name in ("latency_ms", "peak_memory_bytes") for end in ("low", "high")]
    ends = {f"{name}_{end}": costs[name] for name, end in intervals}
    return made_up_metrics(
        quality=BASELINE.quality - drop, **costs, **ends, nonzero_parameters=costs["parameters"]
    )


def price(recipe: Recipe) -> dict[str, Any]:
    """Returns them without what only training tells."""
    return {name: value for name, value in figures(recipe).to_json().items() if name != "quality"}


def trained(recipe: Recipe) -> Outcome:
    """Returns what a worker would report."""
    steps = []
    for place, prefix in enumerate(recipe.prefixes()[1:], start=1):
        step, after = prefix.steps[-1], figures(prefix)
        found = {name: getattr(after, name) for name in MEASURED_AFTER_A_STEP}
        record = StepRecord(
            position=place, step=str(step), technique=step.name, stage=step.stage, epochs=1.0,
            seconds=10.0 + place, cached=False, worker_pid=1, notes={}, **found,
        )  # fmt: skip
        steps.append(record)
    return Outcome("finished", metrics=figures(recipe), steps=tuple(steps), seconds=60.0)


def fill(campaign: Campaign, study: Study, known: int, random: Random) -> None:
    """Lets a campaign know so many trials: what every study runs first, and recipes that are drawn."""
    origin = ""
    while origin != "search":
        trial = campaign.next()
        assert trial is not None
        campaign.end(trial.name, trained(trial.recipe))
        origin = trial.origin
    assert campaign.judge is not None
    steps = [grid_steps(technique, study.grids) for technique in study.technique_types]
    while len(campaign.trials) < known:
        drawn = [random.choice(random.choice(steps)) for _ in range(2 * study.max_steps)]
        recipe = repair(drawn, random.randint(study.min_steps, study.max_steps))
        if len(recipe) >= study.min_steps and campaign.trials.of(recipe) is None:
            trial = campaign.trials.create(recipe, "search", proposal=len(campaign.trials.searched))
            trial.take(trained(recipe))
            trial.be_judged(campaign.judge)


def proposal_ms(campaign: Campaign, random: Random) -> tuple[float, list[float]]:
    """Returns what the first proposal takes, which knows nothing yet, and what each after it does."""
    taken, running = list[float](), list[Trial]()
    while len(taken) <= PROPOSALS:
        over = running.pop(random.randrange(RUNNING)) if len(running) == RUNNING else None
        outcome = None if over is None else trained(over.recipe)
        before, started = len(campaign.trials), time.process_time()
        if over is not None and outcome is not None:
            campaign.end(over.name, outcome)
        trial = campaign.next()
        ms = (time.process_time() - started) * 1e3
        assert trial is not None
        running.append(trial)
        made = len(campaign.trials) - before  # some are rejected
        taken += [ms / made] * made
    return taken[0], taken[1:]


def main() -> None:
    limits = {"ensembles": None, "time_minutes": None, "trials": 10**6}
    study = read_study(find_study_file("characters"), {"sampler": "atoll", "limits": limits})
    for known in KNOWN:
        random = Random(0)
        with tempfile.TemporaryDirectory() as folder:
            campaign = Campaign(study, Store(Path(folder) / "bench.duckdb"), price)
            fill(campaign, study, known, random)
            first, taken = proposal_ms(campaign, random)
        report(f"proposal/cpu_at_{known}_trials", mean(taken), "ms", TARGET_MS, "lower")
        report(f"proposal/longest_cpu_at_{known}_trials", max(taken), "ms", None, "lower")
        report(f"proposal/first_after_a_start_at_{known}_trials", first, "ms", None, "lower")


if __name__ == "__main__":
    main()
