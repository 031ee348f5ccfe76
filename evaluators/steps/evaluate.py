"""Evaluates one recipe: the function that a worker runs. It knows neither Ray nor DuckDB."""

import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch

from ...hw_models.devices.device import Device
from ...hw_models.runtimes.need import NOT_IN, Need
from ...spaces.errors import AtollError
from ...spaces.graph.tracing import remember_calls
from ...spaces.layers.structure import to_meta
from ...spaces.machine.allocator import give_freed_memory_back, keep_freed_memory
from ...spaces.recipes.recipe import Recipe
from ..cache_dir import cache_dir
from ..measuring.measure import Price, price
from ..tasks import load_task
from ..tasks.given_network import adopted_network
from .idle import check_plan
from .pipeline import Pipeline
from .settings import Settings
from .work import Outcome, Told, Work


def evaluate(work: Work, told: Told | None = None) -> Outcome:
    """Runs a recipe from its longest cached prefix, measures it, and returns what was found.

    Args:
        work: the recipe.
        told: hears where it is.

    Raises:
        AtollError: the recipe cannot be carried out, training diverged, or a metric is not finite.
    """
    started = time.perf_counter()
    pipeline = pipeline_for(work.settings, cache_dir())
    pipeline.at_once, pipeline.told = work.at_once, told
    if not pipeline.is_cached(work.recipe):
        check_plans(work.recipe, work.settings.task)
    try:
        result = pipeline.run(work.recipe, keep=work.keep)
    finally:
        give_freed_memory_back()
    return Outcome(
        "finished",
        metrics=result.metrics,
        steps=result.steps,
        seconds=time.perf_counter() - started,
        weights_digest=result.digest,
    )


def pipeline_for(settings: Settings, folder: Path) -> Pipeline:
    """Returns the pipeline of a study's settings; data and baseline are loaded once a process.

    From here on torch works with the settings' threads, which belong to the key of whatever is made.

    Args:
        settings: of the study.
        folder: of the step cache.
    """
    torch.set_num_threads(settings.threads)
    keep_freed_memory()
    return _pipeline(settings, folder)


_pipeline = lru_cache(maxsize=2)(Pipeline)


@lru_cache(maxsize=4096)
def price_recipe(recipe: Recipe, task: str, device: str) -> Price:
    """Prices a recipe from its plan alone: no data, no training, milliseconds; prefixes are kept.

    Where a plan is a lower bound, so is the price; which runtime the file needs is left open where a step
    chooses widths by what it measures.

    Raises:
        AtollError: a step cannot be planned, or touches no layer; or the device's compiler cannot compile it.
    """
    check_plans(recipe, task)
    before = Recipe(recipe.steps[:-1])
    if recipe.steps and planned_for(recipe, task) is planned_for(before, task):
        return price_recipe(before, task, device)
    found = price(planned_for(recipe, task), Device.load(device))
    if found.refusal:
        raise AtollError(found.refusal)
    if not all(step.plan_is_exact for step in recipe):
        found = found.as_lower_bound(price_recipe(Recipe(), task, device))
    return replace(found, need=planned_need(recipe, found.need))


def planned_need(recipe: Recipe, need: Need) -> Need:
    """Returns which runtime a recipe's file needs, as far as it is known before training.

    Args:
        recipe: what is planned.
        need: of the file that its plan gives.
    """
    undecided = [step.name for step in recipe if step.stage == "numbers" and not step.plan_is_exact]
    if not undecided:
        return need
    not_in = NOT_IN["FLOAT16"] if any(step.chooses_half for step in recipe) else need.not_in
    return Need("", f"{undecided[0]} chooses widths by what it measures", not_in=not_in)


@lru_cache(maxsize=1024)
def check_plans(recipe: Recipe, task: str) -> None:
    """Refuses a recipe one of whose steps touches no layer, as far as plans tell; prefixes are kept.

    Raises:
        AtollError: a step cannot be planned, or touches no layer.
    """
    if recipe.steps:
        check_plans(Recipe(recipe.steps[:-1]), task)
        check_plan(recipe, lambda planned: planned_for(planned, task))


@lru_cache(maxsize=1024)
def planned_for(recipe: Recipe, task: str) -> torch.nn.Module:
    """Returns the structure that a recipe gives a task's network, on the meta device; prefixes are kept.

    A step that only trains leaves the very structure that it is given.
    """
    if not recipe.steps:
        return remember_calls(to_meta(adopted_network(load_task(task))).eval())
    before = planned_for(Recipe(recipe.steps[:-1]), task)
    step = recipe.steps[-1]
    only_trains = step.stage == "training" and not step.replaces_network
    return before if only_trains else step.plan(before).eval()
