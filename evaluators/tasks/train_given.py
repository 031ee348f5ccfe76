"""Trains and writes the given network of a task: `python -m atoll.evaluators.tasks.train_given TASK`."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from ...spaces.errors import AtollError
from ...spaces.networks import initialize
from ..training.loop import fit
from ..training.losses import cross_entropy, labels_loss
from . import TASKS, load_task
from .given_network import given_network, save_given, weights_path
from .task import Task

#: Passes over the training split: (task, epochs); what the baseline gains beyond them is a study's budget.
EPOCHS: tuple[tuple[str, float], ...] = (
    ("characters", 12.0),
    ("digits", 30.0),
    ("small_characters", 30.0),
)
#: Peak learning rate of AdamW: twice its default, for a short one-cycle run from fresh weights.
LEARNING_RATE = 2e-3
#: Szegedy et al. 2016; keeps the logits moderate, from which distillation gains.
LABEL_SMOOTHING = 0.1
#: The shipped weights were made with two threads; other numbers change the last bits.
THREADS = 2
SEED = 0


def train_given(task: Task, path: Path) -> nn.Module:
    """Trains the task's network from scratch and writes its weights.

    Args:
        task: one of `TASKS`.
        path: the safetensors file to write.

    Returns:
        The network as it is read back from the file.
    """
    dataset = task.dataset()
    generator = torch.Generator().manual_seed(SEED)
    model = task.new_network()
    initialize(model, generator)
    fit(
        model,
        dataset.train.images,
        dataset.train.labels,
        replace(task.training, learning_rate=LEARNING_RATE),
        objective=labels_loss(partial(cross_entropy, label_smoothing=LABEL_SMOOTHING)),
        epochs=dict(EPOCHS)[task.name],
        generator=generator,
        on_epoch=lambda epoch, loss: print(f"epoch {epoch}: loss {loss:.4f}", file=sys.stderr),
    )
    save_given(model, path)
    return given_network(task, path)


def main(arguments: list[str]) -> int:
    """Trains the named task's network and prints its measured accuracies; returns the exit status."""
    known = ", ".join(task.name for task in TASKS)
    if len(arguments) != 1:
        print(f"usage: python -m atoll.evaluators.tasks.train_given TASK, one of: {known}", file=sys.stderr)
        return 2
    torch.set_num_threads(THREADS)
    try:
        task = load_task(arguments[0])
        model = train_given(task, weights_path(task))
    except AtollError as error:
        print(error, file=sys.stderr)
        return 2
    for split in ("train", "validation"):
        quality = task.quality(model, getattr(task.dataset(), split))
        print(f"{task.name} {split}: {task.quality_name} {quality:.4f} (measured)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
