"""What a search would take: time, memory and disk, from the time of one epoch."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil
from torch import nn

from ...evaluators.cache_dir import cache_dir
from ...evaluators.datasets.dataset import Dataset
from ...evaluators.steps.baseline import RUNS, turns
from ...evaluators.tasks import load_task
from ...spaces.machine.resources import memory
from ..driver.runner import workers_of
from ..study.budgets import finals_s
from ..study.reference import fixed_recipes
from ..study.study import Study
from ..terminal.amounts import duration

#: Ray's own processes and the driver beside one worker (own measurement, 2026).
_DRIVER_AND_RAY_BYTES = 1.0e9
#: ensembles whose disk is said where nothing limits them
_SOME_ENSEMBLES = 100


@dataclass(frozen=True)
class Costs:
    """What a search would take here.

    Args:
        epoch_s: one epoch of the given network.
        baseline_s: making the baseline, which everything else waits for.
        fixed_s: the recipes that every study runs first.
        ensemble_s: each ensemble, on average; workers share them.
        finalists_s: the further seeds of the finalists, beside baselines; no limit ends them.
        searched: ensembles, as far as the limits tell; 0 where only time ends it, or nothing.
        limit_s: of time; None for none.
        workers: trials at a time.
        memory_bytes, disk_bytes: about, and at most.
    """

    epoch_s: float
    baseline_s: float
    fixed_s: float
    ensemble_s: float
    finalists_s: float
    searched: int
    limit_s: float | None
    workers: int
    memory_bytes: float
    disk_bytes: float

    @property
    def search_s(self) -> float | None:
        """About how long it goes on, with the finalists on top of the limit; None where nothing ends it."""
        wanted = self.baseline_s + self.fixed_s + self.searched * self.ensemble_s
        if self.limit_s is None:
            return wanted + self.finalists_s if self.searched else None
        # what runs when the time is over is finished: the baseline, or the last ensemble
        least = max(self.limit_s, self.baseline_s)
        return (min(wanted, least) if self.searched else least) + self.finalists_s

    @property
    def free_memory_bytes(self) -> float:
        """What this machine has left now."""
        return memory().free_bytes

    @property
    def free_disk_bytes(self) -> float:
        """What is left where the step cache lies."""
        place = cache_dir()
        return shutil.disk_usage(next(folder for folder in _upwards(place) if folder.exists())).free


def costs_of(study: Study, network: nn.Module, dataset: Dataset, epoch_s: float) -> Costs:
    """Estimates what a study takes.

    Args:
        study: to be run.
        network: the given one.
        dataset: of the task, or some of it.
        epoch_s: of the network, measured.
    """
    workers = workers_of(study)
    limits = study.limits
    steps = (study.min_steps + study.max_steps) / 2
    task = load_task(study.task)
    fixed = len(fixed_recipes(task, study.parsed_goal))  # about one step each
    searched = limits.ensembles or max(0, (limits.trials or 0) - fixed)
    each = [study.epochs.get(technique.name, study.budget_epochs) for technique in study.technique_types]
    step_s = sum(each) / len(each) * epoch_s
    alone_s = RUNS * study.baseline_epochs * epoch_s  # a baseline of a further seed: others run beside it
    seeds = len(study.further_seeds)
    # of fewer than that all are finalists; how many time alone lets be found nobody knows
    finalists = min(study.finalists, fixed - 1 + searched) if searched else study.finalists
    network_bytes = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    return Costs(
        epoch_s=epoch_s,
        baseline_s=turns(network, task, dataset, workers) * study.baseline_epochs * epoch_s,
        fixed_s=fixed * step_s / workers,
        ensemble_s=steps * step_s / workers,
        finalists_s=finals_s(seeds, alone_s, seeds * finalists * steps * step_s, workers),
        searched=searched,
        limit_s=None if limits.time_minutes is None else limits.time_minutes * 60,
        workers=workers,
        memory_bytes=_DRIVER_AND_RAY_BYTES + workers * psutil.Process().memory_info().rss,
        disk_bytes=network_bytes * (fixed + (searched or _SOME_ENSEMBLES) * steps),
    )


def finalists_said(study: Study, costs: Costs) -> str:
    """Returns in words what the finalists take."""
    seeds = len(study.further_seeds)
    if not seeds:
        return "none are trained again"
    one = "a further seed" if seeds == 1 else f"{seeds} further seeds"
    return (
        f"about {duration(costs.finalists_s)} on top of the limit: {study.finalists} recipes at most with "
        f"{one}, each beside a baseline of its seed"
    )


def _upwards(path: Path) -> tuple[Path, ...]:
    return (path, *path.parents)
