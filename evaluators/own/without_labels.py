"""Inputs without labels, pictures or noise, as data whose targets are what the given network answers."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...spaces.errors import AtollError
from ...spaces.layers.scaling import PIXELS, Scaling
from ...spaces.layers.shape import InputShape, is_image
from ...spaces.networks import NETWORKS
from ...spaces.outside.shown import shown
from ..sources.picture import ENDINGS, decode_picture, quiet_pillow
from ..sources.reader import Unreadable
from ..tasks.quality import choices
from ..training.prediction import predict_logits
from .mistake import TaskMistake
from .task import Input, QualityWords, Task
from .task_network import task_network

#: inputs of noise: an agreement to three points, in seconds for the largest networks of the zoo (own choice)
NOISES = 64
#: pictures that are looked at, evenly spread over a folder: steps measure on 512 (`pipeline.IMAGES`), and as
#: many validate
MOST_PICTURES = 1024
#: two pictures to measure on, as training needs them too, one to validate, and one that is kept for test
LEAST_PICTURES = 4


def noise(shape: InputShape) -> Tensor:
    """Returns inputs (N, ...) that mean nothing, the same every time: bytes for images, else numbers."""
    generator = torch.Generator().manual_seed(0)
    if is_image(shape):
        return torch.randint(0, 256, (NOISES, *shape), generator=generator).to(torch.uint8)
    return torch.randn(NOISES, *shape, generator=generator)


def has_loose_pictures(place: Path) -> bool:
    """Whether a folder holds pictures, and no folders, by which they would be labelled."""
    if not place.is_dir():
        return False
    return bool(_pictures_in(place)) and not any(path.is_dir() for path in _visible_in(place))


def loose_pictures(place: Path, shape: InputShape) -> Tensor:
    """Returns the pictures of a folder, (N, C, H, W), uint8, in the order of their names.

    Args:
        place: of `has_loose_pictures`.
        shape: (channels, height, width) that they are brought to, as those of a study are.

    Raises:
        AtollError: one cannot be read, or they are too few.
    """
    paths = _pictures_in(place)
    if len(paths) < LEAST_PICTURES:
        raise AtollError(
            f"data: {shown(place)} holds {len(paths)} pictures, allowed are {LEAST_PICTURES} or more, better "
            "500"
        )
    if not is_image(shape) or shape[0] not in (1, 3, 4):
        raise AtollError(
            f"data: got pictures for inputs of {shape}, allowed are 1, 3 or 4 channels of images"
        )
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), MOST_PICTURES)).round().astype(int)
    found = []
    with quiet_pillow():
        for path in (paths[place] for place in chosen):
            try:
                found.append(torch.from_numpy(decode_picture(path, (shape[1], shape[2]), shape[0]).pixels))
            except Unreadable as error:
                raise AtollError(f"data: {shown(path)} {error}") from error
    return torch.stack(found)


def answered(task: Task, folder: Path, inputs: Tensor) -> Task:
    """Returns a task whose data are inputs with the answers of its own network.

    Every second one validates, the last one is the test split, and steps measure on the others.

    Args:
        task: without data of its own.
        folder: that paths are relative to.
        inputs: (N, ...), `LEAST_PICTURES` or more, as they are stored.

    Raises:
        AtollError: nothing says how pixels are scaled or how many classes there are, the network cannot be
            built, or has several outputs.
    """
    scaling = _stated_scaling(task, inputs)
    classes = task.classes if isinstance(task.classes, int) else len(task.classes or ())
    if task.network in [name for name, _ in NETWORKS] and not classes:
        raise TaskMistake(
            f"got {task.network} without a number of classes, needed is one where data do not tell it "
            "(`--classes N`)",
            ("classes",),
        )
    network, _ = task_network(task, folder, tuple(inputs.shape[1:]), classes, scaling)
    answers = predict_logits(network, inputs)
    if not isinstance(answers, Tensor):
        raise TaskMistake("the network has several outputs, allowed without labels is one", ("network",))
    chooses = answers.ndim == 2 and answers.shape[1] > 1
    targets = choices(answers) if chooses else answers
    parts = {"train": slice(0, -1, 2), "validation": slice(1, -1, 2), "test": slice(-1, None)}
    data = {name: (inputs[part].numpy(), targets[part].numpy()) for name, part in parts.items()}
    quality = QualityWords(name="same_answer" if chooses else "mean_absolute_error")
    stated = Input(mean=scaling.mean, std=scaling.std) if inputs.dtype != torch.uint8 else task.input
    told = {"data": data, "quality": quality, "classes": answers.shape[1] if chooses else None}
    return task.model_copy(update=told | {"input": stated})


def _stated_scaling(task: Task, inputs: Tensor) -> Scaling:
    """Returns what is stated; of numbers that nothing is, of pixels for the zoo its own."""
    of_bytes = inputs.dtype == torch.uint8
    found = task.input.scaling(of_bytes)
    if found is not None:
        return found
    if not of_bytes:
        return Scaling((0.0,), (1.0,))
    if isinstance(task.network, str) and ":" not in task.network and not task.network.endswith(".pt2"):
        return PIXELS
    raise TaskMistake(
        "nothing says what pixels are scaled by before this network sees them, needed is input.normalize or "
        "input.mean and input.std (`--normalize imagenet`, `half`, `unit` or `none`)",
        ("input",),
    )


def _pictures_in(place: Path) -> list[Path]:
    return [path for path in _visible_in(place) if path.suffix.lower() in ENDINGS and path.is_file()]


def _visible_in(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if not path.name.startswith("."))
