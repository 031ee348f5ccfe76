"""Three recipes of a ResNet-18 on generated images of 96x96, one after the other in one process.

Runs where torch sees a GPU on that, elsewhere on the cores given; needs neither Ray nor a store.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from atoll.evaluators import tasks
from atoll.evaluators.datasets.dataset import ImagesInMemory, Split
from atoll.evaluators.steps.pipeline import Pipeline
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.tasks.task import Task
from atoll.evaluators.training.accelerator import accelerator_name
from atoll.evaluators.training.settings import Training
from atoll.spaces.graph.adopt import adopt
from atoll.spaces.networks import build_network
from atoll.spaces.recipes.recipe import Recipe

RECIPES = (
    "prune_channels(ratio=0.5)",
    "quantize(bits=8)",
    "svd(rank=0.25, kinds=all, fit_steps=50) -> distill -> quantize(bits=8)",
)
SIDE = 96
SHAPES = ("disc", "ring", "square", "cross", "striped disc", "triangle")


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Discs, rings, squares, crosses, stripes and triangles of any place, size and colour, in noise."""
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    labels = np.arange(count) % len(SHAPES)
    images = draw.normal(110, 25, (count, SIDE, SIDE, 3))
    for image, label in zip(images, labels, strict=True):
        y, x, size = draw.uniform(30, 66), draw.uniform(30, 66), draw.uniform(12, 26)
        down, right = rows - y, columns - x
        far = np.hypot(down, right)
        shape = (
            far < size,
            abs(far - size) < 4,
            np.maximum(abs(down), abs(right)) < size,
            (np.minimum(abs(down), abs(right)) < 4) & (np.maximum(abs(down), abs(right)) < size),
            (far < size) & (np.sin(down) > 0),
            (down < size) & (down > 2 * abs(right) - size),
        )[label]
        image[shape] += draw.uniform(-90, 90, 3)
    return images.clip(0, 255).astype(np.uint8), labels


def measured(images: int, epochs: float) -> list[dict[str, Any]]:
    """Runs baseline and recipes; a row each."""
    inputs, labels = pictures(images, 0)
    parts = np.split(np.arange(images), [int(images * 0.7), int(images * 0.85)])
    splits = [
        Split(torch.from_numpy(inputs[part]).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels[part]))
        for part in parts
    ]
    data = ImagesInMemory("shapes", splits[0], splits[1], splits[2], SHAPES, "shapes-1")
    shape = (3, SIDE, SIDE)
    given = adopt(build_network("resnet18", len(SHAPES), shape), shape).eval()
    training = Training(learning_rate=1e-3, batch_size=64)
    task = Task(
        "shapes",
        lambda: data,
        "resnet18",
        shape,
        len(SHAPES),
        training,
        epochs,
        given=lambda: deepcopy(given),
    )
    tasks.TASKS = (*tasks.TASKS, task)
    rows = []
    started = time.perf_counter()
    settings = Settings(task.name, "coral-dev-board", 0, epochs, 3 * epochs, torch.get_num_threads())
    pipeline = Pipeline(settings, Path(os.environ["ATOLL_CACHE"]) / "steps")
    for text in ("baseline", *RECIPES):
        result = pipeline.run(Recipe.parse(text))
        seconds = time.perf_counter() - started
        rows.append({
            "recipe": text,
            "seconds": round(seconds, 1),
            "quality": round(result.metrics.quality, 4),
            "model_bytes": result.metrics.model_bytes,
            "images": images,
            "epochs_per_step": epochs,
            "device": accelerator_name() or f"{torch.get_num_threads()} threads",
            "machine": platform.machine(),
            "torch": torch.__version__,
        })  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
        started = time.perf_counter()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1200)
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATOLL_CACHE"] = folder
        measured(arguments.images, arguments.epochs)


if __name__ == "__main__":
    main()
