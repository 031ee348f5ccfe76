"""A study file, drafted from what weights and data tell, with a comment at every line that may change."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ...evaluators.own.task import NORMALIZE
from ...evaluators.ranking.constraints import DEFAULT_CONSTRAINTS
from ...evaluators.sources.data_source import PICTURE_CHANNELS
from .found_data import FoundData
from .found_weights import FoundWeights

#: own choices for a first search: some hours of a small network on two cores, and enough to see a front
_ENSEMBLES = 24
#: how many times as many images the largest class may have before the draft makes up for it
_UNEVEN = 3.0
_CLASSES_SHOWN = 6


@dataclass(frozen=True)
class Answers:
    """What a user said of a study.

    Args:
        network: what builds it, as a task names it.
        data: where they are.
        weights: their file; None where the network has its own.
        size: HEIGHTxWIDTH; None for that of the data.
        normalize: scaling of pixels by name; None where it is not known.
        device: name of the device.
        name: of the study; None for one of its own.
        expected_quality: of the given network; None where it is not known.
    """

    network: str
    data: Path
    weights: Path | None
    size: str | None
    normalize: str | None
    device: str
    name: str | None
    expected_quality: float | None


def draft(answers: Answers, data: FoundData, weights: FoundWeights | None, file: Path) -> str:
    """Returns the text of a study file.

    Args:
        answers: what the user said.
        data: what their data hold.
        weights: what their weights tell, None where there are none.
        file: where it will lie; its paths are relative to that folder.
    """
    folder = file.absolute().parent
    lines = [
        f"# Drafted by `atoll init`. Look at it: atoll check {file.name}; then: atoll search {file.name}",
        "# Every key: atoll schema --output study.schema.json",
        *([f"name: {_value(answers.name)}"] if answers.name else []),
        "task:",
        "  # file.py:FUNCTION, package.module:FUNCTION, a name of the zoo, timm:NAME, transformers:CONFIG,",
        "  # or a program of torch.export (.pt2)",
        f"  network: {_value(_network(answers.network, folder))}",
        "  # arguments: {}  # of that function",
        *_weights_lines(answers, weights, folder),
        *_data_lines(answers, data, folder),
        *_input_lines(answers, data, weights),
        *_classes_lines(data, weights),
        *_judging_lines(answers, data),
        *_training_lines(data),
        f"device: {_value(answers.device)}  # others: atoll devices",
        "# techniques: [prune_channels, quantize]  # all of `atoll techniques` where none is named",
        "max_steps: 4",
        "goal: smallest  # or fastest, least_memory, {minimize: METRIC}, score (the papers' weights)",
        "# what a winner must meet; a drop is below the quality of the given network after the same training",
        f"constraints: {_value([str(constraint) for constraint in DEFAULT_CONSTRAINTS])}",
        "limits:",
        f"  ensembles: {_ENSEMBLES}",
        "  # time_minutes: 60  # what runs then is finished",
    ]
    return "\n".join(lines) + "\n"


def _weights_lines(answers: Answers, found: FoundWeights | None, folder: Path) -> list[str]:
    if found is None or answers.weights is None:
        return [
            "  # weights: FILE.pt  # state dict; without it the network is taken as its function gives it"
        ]
    told = f"{found.tensors:,} tensors, {found.weights:,} numbers"
    told += f"; the first layer takes {found.channels} channels" if found.channels else ""
    told += f"; the last, {found.last}, gives {found.classes}" if found.classes else ""
    return [f"  # {_comment(told)}", f"  weights: {_value(_relative(answers.weights, folder))}"]


def _data_lines(answers: Answers, found: FoundData, folder: Path) -> list[str]:
    splits = ", ".join(f"{count} {name}" for name, count in found.splits.items())
    lines = [f"  # {found.total:,} items; of {found.looked_at} looked at: {splits}"]
    if len(found.splits) == 1:
        lines.append("  # validation and test are cut out of train, each class in the same shares")
    if found.per_class:
        some = [f"{name} {found.per_class.get(name, 0)}" for name in found.classes[:_CLASSES_SHOWN]]
        more = ", …" if len(found.classes) > _CLASSES_SHOWN else ""
        lines.append(f"  # {len(found.classes)} classes: {_comment(', '.join(some))}{more}")
    lines.append(f"  data: {_value(_relative(answers.data, folder))}")
    if found.unreadable:
        lines += [
            f"  # {found.unreadable} of {found.looked_at} cannot be read: {_comment(found.first_unreadable)}",
            "  skip_bad: true",
        ]
    return lines


def _input_lines(answers: Answers, found: FoundData, weights: FoundWeights | None) -> list[str]:
    shapes = [f"{count} of {'x'.join(map(str, shape))}" for shape, count in list(found.shapes.items())[:4]]
    lines = ["  input:", f"    # channels first: {', '.join(shapes)}{', …' if len(found.shapes) > 4 else ''}"]
    taken = None if weights is None else weights.channels
    channels = taken if taken in PICTURE_CHANNELS else max(shape[0] for shape in found.shapes)
    if found.are_pictures:
        size = answers.size or "x".join(map(str, found.size or ()))
        lines += [f"    size: {_value(size)}", f"    channels: {channels}"]
        lines += [
            "    # as in its training: imagenet, half (x / 127.5 - 1), unit (x / 255), none, or mean and",
            "    # std of each channel as shares of 255; measured on training data where nothing is said",
        ]
    else:
        lines.append("    # mean and std in the data's own unit; measured on the training data if none")
    if answers.normalize:
        lines.append(f"    normalize: {_value(answers.normalize)}")
    elif found.are_pictures:
        lines.append(f"    # normalize: {next(iter(NORMALIZE))}")
    else:
        lines = ["  # input: {mean: 0.0, std: 1.0}  # measured on the training data where nothing is said"]
    return lines


def _classes_lines(data: FoundData, weights: FoundWeights | None) -> list[str]:
    given = None if weights is None else weights.classes
    if not data.per_class or given in (None, len(data.classes)):
        return []
    return [
        f"  # the weights tell {given} classes apart, the data have {len(data.classes)}: `new` trains a last",
        "  # layer for those of the data",
        "  head: new",
    ]


def _judging_lines(answers: Answers, found: FoundData) -> list[str]:
    expected = answers.expected_quality
    lines = []
    if found.per_class:
        lines += [
            "  # balanced_accuracy, top5, f1, … or {function: file.py:FUNCTION, higher_is_better: true}",
            "  quality: accuracy",
        ]
    else:
        lines += [
            "  # targets are numbers: mean_absolute_error, root_mean_squared_error, r2, or a function",
            "  quality: mean_absolute_error",
        ]
    lines.append("  # of the given network, where it is known: check compares, since scaling is easily wrong")
    lines.append(
        f"  {'# ' if expected is None else ''}expected_quality: {0.9 if expected is None else expected}"
    )
    return lines


def _training_lines(found: FoundData) -> list[str]:
    counts = [found.per_class.get(name, 0) for name in found.classes] if found.per_class else []
    lines = ["  epochs_per_step: 1", "  batch_size: 64", "  learning_rate: 0.001"]
    if found.are_pictures:
        lines.append(
            "  # augment: [mirror, shift, rotation, scale, crop]  # small shifts where none is named"
        )
    if counts and max(counts) >= _UNEVEN * max(1, min(counts)):
        lines += ["  # classes are uneven: images of rare ones count more", "  balance: weights"]
    return lines


def _network(network: str, folder: Path) -> str:
    """Returns a network's name with its file relative to a folder, where it has one."""
    place, separator, name = network.rpartition(":")
    if place.endswith(".py"):
        return f"{_relative(Path(place), folder)}{separator}{name}"
    if place == "transformers" and name.endswith(".json"):
        return f"{place}{separator}{_relative(Path(name), folder)}"
    return _relative(Path(network), folder) if network.endswith(".pt2") else network


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.absolute(), folder)).as_posix()


def _value(value: Any) -> str:
    """Returns a value as YAML has it on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _comment(text: str) -> str:
    """Returns a text that ends no comment: names of files may hold anything."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
