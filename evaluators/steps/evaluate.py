"""Evaluates one recipe: the function that a worker runs. It knows neither Ray nor DuckDB."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from ...hw_models.devices.device import Device
from ...spaces.graph.adopt import adopt
from ...spaces.layers.structure import to_meta
from ...spaces.recipes.recipe import Recipe
from ..measuring.measure import Price, price
from ..ranking.metrics import Metrics
from ..tasks import load_task
from ..tasks.given import given_network
from .pipeline import Pipeline
from .pipeline_result import StepRecord


@dataclass(frozen=True)
class EvaluationRequest:
    """One trial, as a worker gets it.

    Args:
        task: name of the task.
        recipe: a legal recipe; the empty one is the baseline.
        seed: of the trial.
        epochs_per_step: passes over the training split after every step.
        baseline_epochs: the largest budget that any candidate of the study may spend.
        device: name of the device that prices the candidate.
        cache_dir: folder of the step cache.
        threads: of torch in the worker; they decide the last bits of a result.
        keep: whether the result must stay in the cache whatever the quota says.
    """

    task: str
    recipe: Recipe
    seed: int
    epochs_per_step: float
    baseline_epochs: float
    device: str
    cache_dir: Path
    threads: int = 1
    keep: bool = False


@dataclass(frozen=True)
class Evaluation:
    """What a trial found.

    Args:
        metrics: of the final network.
        steps: one record a step, in the order of the recipe.
        seconds: wall time of the evaluation, waiting included.
        worker_pid: the process that worked.
        digest: SHA-256 over the final weights, hexadecimal.
    """

    metrics: Metrics
    steps: tuple[StepRecord, ...]
    seconds: float
    digest: str
    worker_pid: int = field(default_factory=os.getpid)

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON."""
        return {
            "metrics": self.metrics.to_json(),
            "steps": [asdict(step) for step in self.steps],
            "seconds": self.seconds,
            "digest": self.digest,
            "worker_pid": self.worker_pid,
        }


#: what runs a trial; tests and replays bring their own
Evaluator = Callable[[EvaluationRequest], Evaluation]


def evaluate(request: EvaluationRequest) -> Evaluation:
    """Runs a recipe from its longest cached prefix, measures it, and returns what was found.

    Raises:
        AtollError: the recipe cannot be carried out, training diverged, or a metric is not finite.
    """
    started = time.perf_counter()
    result = pipeline_for(request).run(request.recipe, keep=request.keep)
    seconds = time.perf_counter() - started
    return Evaluation(result.metrics, result.steps, seconds, result.digest)


def pipeline_for(request: EvaluationRequest) -> Pipeline:
    """Returns the pipeline of a study's settings; data and baseline are loaded once a process.

    From here on torch works with the request's threads, which belong to the key of whatever is made.
    """
    torch.set_num_threads(request.threads)
    return _pipeline(
        request.task,
        request.seed,
        request.epochs_per_step,
        request.baseline_epochs,
        request.device,
        Path(request.cache_dir),
        request.threads,
    )


@lru_cache(maxsize=2)
def _pipeline(
    task: str,
    seed: int,
    epochs_per_step: float,
    baseline_epochs: float,
    device: str,
    cache_dir: Path,
    threads: int,
) -> Pipeline:
    return Pipeline(
        load_task(task), Device.load(device), cache_dir, seed, epochs_per_step, baseline_epochs, threads
    )


@lru_cache(maxsize=4096)
def price_recipe(recipe: Recipe, task: str, device: str) -> Price:
    """Prices a recipe from its plan alone: no data, no training, milliseconds; prefixes are kept.

    Where a plan is a lower bound, so is the price.
    """
    return price(planned_for(recipe, task), Device.load(device))


@lru_cache(maxsize=1024)
def planned_for(recipe: Recipe, task: str) -> torch.nn.Module:
    """Returns the structure that a recipe gives a task's network, on the meta device; prefixes are kept."""
    if not recipe.steps:
        found = load_task(task)
        return to_meta(adopt(given_network(found), found.input_shape)).eval()
    before = planned_for(Recipe(recipe.steps[:-1]), task)
    return recipe.steps[-1].plan(before).eval()
