"""What a study would be: its space, what the device rules out, what it would take. Starts nothing."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import psutil

from ...evaluators.cache_dir import cache_dir
from ...evaluators.ranking.constraints import parse_constraints
from ...evaluators.steps.context import TrainingContext
from ...evaluators.tasks import load_task
from ...evaluators.tasks.given import adopted_network
from ...hw_models.devices.device import Device
from ...spaces.errors import AtollError
from ...spaces.machine.resources import memory
from ...spaces.recipes.order import Grids, count_recipes, sample, searched_values
from ...spaces.recipes.recipe import Recipe
from ..driver.launch import pricer_of
from ..driver.runner import threads_of, workers_of
from ..proposer.trial_scores import Judge
from ..study.reference import PAPERS, REFERENCE
from ..study.study import Study
from ..terminal.amounts import duration, size
from ..terminal.tables import Column, print_table

#: Recipes that are priced to see what the device rules out; tells 10 % from 15 %.
SAMPLES = 200
#: Ray's own processes and the driver beside one worker (own measurement, 2026).
_DRIVER_AND_RAY_BYTES = 1.0e9
_COLUMNS = (Column("what"), Column("value"))


def dry_run(study: Study, store: Path, format: str) -> None:
    """Prints a study's space and costs as rows of what and value."""
    print_table(dry_run_rows(study, store), _COLUMNS, format, title=f"{study.study_name}: nothing is started")


def dry_run_rows(study: Study, store: Path) -> list[dict[str, Any]]:
    """Returns one row a fact."""
    longer = count_recipes(study.technique_types, study.max_steps, study.settings)
    shorter = (
        count_recipes(study.technique_types, study.min_steps - 1, study.settings)
        if study.min_steps > 1
        else 0
    )
    rows = {
        "study": study.study_name,
        "store": str(store),
        "task": study.task,
        "device": "; ".join(filter(None, (study.device, Device.load(study.device).remark))),
        "profile": study.profile,
        "seed": study.seed,
        **{f"technique {t.name}": _settings(t, study.settings) for t in study.technique_types},
        "legal recipes": f"{longer - shorter:,} of {study.min_steps} to {study.max_steps} steps",
        "run first": "; ".join((*REFERENCE, *PAPERS)),
        "constraints": ", ".join(study.constraints) or "none",
        **{f"limit {name}": value for name, value in study.limits.model_dump().items() if value is not None},
        "ruled out before training": _ruled_out(study),
        **_costs(study),
    }
    return [
        {"what": what, "value": value if isinstance(value, str) else str(value)}
        for what, value in rows.items()
    ]


def _settings(technique: Any, grids: Grids) -> str:
    values = searched_values(technique, grids)
    searched = [f"{name} {', '.join(map(str, tried))}" for name, tried in values.items() if len(tried) > 1]
    return "; ".join(searched) or "no setting to search"


def _ruled_out(study: Study) -> str:
    """Prices recipes drawn at random against the constraints that need no training."""
    constraints = parse_constraints(study.constraints)
    if all(one.needs_training for one in constraints):
        return f"nothing: {', '.join(map(str, constraints)) or 'no constraint'} needs training to tell"
    price = pricer_of(study)
    baseline = {**price(Recipe()), "quality": 1.0}
    judge = Judge(constraints, baseline)
    random = Random(study.seed)
    reasons: dict[str, int] = {}
    rejected = 0
    for _ in range(SAMPLES):
        broken = _broken(judge, price, sample(study.technique_types, random, study.max_steps, study.settings))
        rejected += bool(broken)
        for constraint in broken:
            reasons[constraint] = reasons.get(constraint, 0) + 1
    said = ", ".join(f"{name} {count}" for name, count in sorted(reasons.items(), key=lambda item: -item[1]))
    return f"{rejected} of {SAMPLES} recipes drawn at random ({said})" if rejected else "nothing"


def _broken(judge: Judge, price: Any, recipe: Recipe) -> Mapping[str, float]:
    try:
        verdict = judge.rejection(price(recipe))
    except AtollError:
        return {"cannot be planned": 1.0}
    return {} if verdict is None else verdict.violation


def _costs(study: Study) -> dict[str, str]:
    """Times one epoch of the given network and estimates time, memory and disk from it."""
    import torch

    task = load_task(study.task)
    dataset = task.dataset()
    network = adopted_network(task)
    workers = workers_of(study)
    threads = threads_of(study, workers)
    torch.set_num_threads(threads)
    started = time.perf_counter()
    TrainingContext(task, dataset, None, study.seed, 1.0).fit(network)
    epoch_s = time.perf_counter() - started
    limits = study.limits
    steps = (study.min_steps + study.max_steps) / 2
    fixed = len(REFERENCE) + len(PAPERS)  # about one step each
    searched = limits.ensembles or max(0, (limits.trials or 0) - fixed)
    # The baseline is trained twice, plain and self-distilled, and nothing else runs meanwhile.
    baseline_s = 2 * study.baseline_epochs * epoch_s
    trials_s = (fixed + searched * steps) * study.budget_epochs * epoch_s / workers
    search_s = baseline_s + trials_s
    if limits.time_minutes is not None:
        search_s = min(search_s, limits.time_minutes * 60) if searched else limits.time_minutes * 60
    worker_bytes = psutil.Process().memory_info().rss
    memory_bytes = _DRIVER_AND_RAY_BYTES + workers * worker_bytes
    network_bytes = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    disk_bytes = network_bytes * (fixed + (searched or 100) * steps)
    free_bytes = shutil.disk_usage(_existing(cache_dir())).free
    return {
        "one epoch": f"{duration(epoch_s)} measured, given network, {threads} thread(s)",
        "time": f"about {duration(search_s)} with {workers} workers, beside starting Ray"
        if searched or limits.time_minutes
        else "no limit",
        "memory": f"about {size(memory_bytes)}; {size(memory().free_bytes)} are free",
        "disk": f"at most {size(disk_bytes)} of step cache; {size(free_bytes)} are free at {cache_dir()}",
    }


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
