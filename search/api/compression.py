"""One recipe on a network of one's own, in this process: `compress`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...evaluators.cache_dir import cache_dir
from ...evaluators.own.prepare import prepare
from ...evaluators.own.task import task_of
from ...evaluators.steps.evaluate import pipeline_for
from ...evaluators.steps.settings import Settings
from ...hw_models.devices.device_folder import DEFAULT_DEVICE
from ...spaces.recipes.recipe import Recipe
from ..terminal.said import say


@dataclass(frozen=True)
class Compressed:
    """What a recipe made of a network.

    Args:
        network: the compressed one, in evaluation mode.
        figures: its metrics by name.
        baseline: those of the network that they refer to, the given one after the same training.
        steps: a mapping a step: what it took and gave.
    """

    network: nn.Module
    figures: Mapping[str, Any]
    baseline: Mapping[str, Any]
    steps: tuple[Mapping[str, Any], ...]


def compress(
    network: nn.Module | str,
    recipe: Recipe | str,
    data: Any,
    *,
    device: str = DEFAULT_DEVICE,
    epochs_per_step: float = 1.0,
    seed: int = 0,
    **task: Any,
) -> Compressed:
    """Compresses a trained network by one recipe and measures it on the validation data; needs no store.

    Args:
        network: any `nn.Module`, or as `Task` takes it.
        recipe: or its text: `prune_channels(ratio=0.5) -> quantize(bits=8)`.
        data: a path, a function, or a data set a split: `{"train": ..., "validation": ...}`.
        device: that latency and memory are predicted for.
        epochs_per_step: passes over the training data after every step.
        seed: of everything random.
        task: what else `Task` takes: input, classes, quality, loss, learning_rate, …

    Returns:
        the compressed network with its figures.

    Raises:
        AtollError: whatever is wrong with network, recipe or data; or training diverged.
    """
    wanted = Recipe.parse(recipe) if isinstance(recipe, str) else recipe
    given = task_of({**task, "network": network, "data": data, "epochs_per_step": epochs_per_step})
    prepared = prepare(given, Path.cwd(), "own", say)
    epochs = max(1, len(wanted)) * epochs_per_step
    settings = Settings(prepared.name, device, seed, epochs_per_step, epochs, torch.get_num_threads())
    pipeline = pipeline_for(settings, cache_dir())
    result = pipeline.run(wanted)
    return Compressed(
        network=result.network,
        figures=result.metrics.to_json(),
        baseline=pipeline.baseline.metrics.to_json(),
        steps=tuple(vars(step) for step in result.steps),
    )
