"""What a study would be: its space, what the device rules out, what it would take. Starts nothing."""

from pathlib import Path
from typing import Any

import torch

from ...evaluators.cache_dir import cache_dir
from ...evaluators.steps.pace import time_batches
from ...evaluators.tasks import load_task
from ...evaluators.tasks.given_network import adopted_network
from ...hw_models.devices.device import Device
from ...spaces.recipes.order import Grids, searched_values
from ..driver.runner import threads_of, workers_of
from ..first_steps.costs import costs_of, finalists_said
from ..first_steps.space import legal_recipes, legal_said, ruled_out
from ..study.reference import fixed_recipes, left_out
from ..study.study import Study
from ..terminal.amounts import duration, size
from ..terminal.tables import Column, print_table

_COLUMNS = (Column("what"), Column("value"))


def dry_run(study: Study, store: Path, format: str) -> None:
    """Prints a study's space and costs as rows of what and value."""
    print_table(dry_run_rows(study, store), _COLUMNS, format, title=f"{study.study_name}: nothing is started")


def dry_run_rows(study: Study, store: Path) -> list[dict[str, Any]]:
    """Returns one row a fact."""
    task = load_task(study.task)
    goal = study.parsed_goal
    rows = {
        "study": study.study_name,
        "store": str(store),
        "task": study.task,
        "device": "; ".join(filter(None, (study.device, Device.load(study.device).remark))),
        "runtime": str(study.runs_on or "none named: every file is taken"),
        "goal": f"{goal}, profile {study.profile}, scale {study.scale}" if goal.is_score else str(goal),
        "seed": study.seed,
        **{f"technique {t.name}": _settings(t, study.grids) for t in study.technique_types},
        "legal recipes": legal_said(study, legal_recipes(study)),
        "run first": "; ".join(map(str, fixed_recipes(task, goal))),
        **{f"left out {text}": why for text, why in (left_out(task) if goal.is_score else {}).items()},
        "constraints": ", ".join(study.constraints) or "none",
        **{f"limit {name}": value for name, value in study.limits.model_dump().items() if value is not None},
        "ruled out before training": str(ruled_out(study)),
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


def _costs(study: Study) -> dict[str, str]:
    """Times some batches of the given network and estimates time, memory and disk from them."""
    task = load_task(study.task)
    dataset = task.dataset()
    threads = threads_of(study, workers_of(study))
    torch.set_num_threads(threads)
    pace = time_batches(task, dataset, study.seed)
    costs = costs_of(study, adopted_network(task), dataset, pace.epoch_s(len(dataset.train)))
    search_s = costs.search_s
    return {
        "one epoch": f"about {duration(costs.epoch_s)}, measured over {pace.timed} batches of the given "
        f"network, {threads} thread(s)",
        "baseline": f"about {duration(costs.baseline_s)}; everything else waits for it",
        "finalists": finalists_said(study, costs),
        "time": "no limit"
        if search_s is None
        else f"about {duration(search_s)} with {costs.workers} workers, beside starting Ray",
        "memory": f"about {size(costs.memory_bytes)}; {size(costs.free_memory_bytes)} are free",
        "disk": f"at most {size(costs.disk_bytes)} of step cache; {size(costs.free_disk_bytes)} are free at "
        f"{cache_dir()}",
    }
