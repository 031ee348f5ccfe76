"""From a user's task to a prepared one: their code is imported here, once, and nowhere after."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...spaces.errors import AtollError
from ...spaces.graph.heads import heads, mapped, named_heads
from ...spaces.layers.parts import runs_of
from ...spaces.layers.scaling import PIXELS, Scaling
from ...spaces.layers.structure import input_shape_of, to_meta
from ...spaces.networks import NETWORKS
from ...spaces.technique.context import Criterion
from ...spaces.written.graph_json import graph_json
from ...spaces.written.modules import whole_state
from ..datasets.dataset import Dataset
from ..datasets.mapped_dataset import MappedDataset
from ..prepared_quota import VARIABLE, evict
from ..tasks import load_task
from ..tasks.prepared import keep_task
from ..tasks.qualities import quality_named
from ..tasks.quality import OfOutputs, Quality
from ..tasks.task import Task as PreparedTask
from ..tasks.trusted import trust
from ..tasks.user_code import UserCode, code_digest
from ..training.augmentation import Views
from ..training.judged_outputs import JudgedOutputs, position_of
from ..training.losses import LOSS_OF_CLASSES, LOSS_OF_NUMBERS, loss_named
from ..training.prediction import predict_logits
from .data_source import open_task_data
from .mistake import TaskMistake, told_at
from .new_head import train_head
from .own_functions import OwnFunctions
from .task import QualityWords, Task, task_of
from .task_network import label_of, task_network

#: samples on which network, quality and loss are tried before anything is trained
_TRIED = 16
#: share by which the given quality may miss the expected one: two standard errors of 97 % on 1,500 images
_OFF = 0.01
#: digits of a measured mean or deviation: they are said, and have to mean the same when they are written down
_DIGITS = 4
#: of measured means and deviations: all of a picture with an alpha channel
_SHOWN = 4

Say = Callable[[str], None]


def prepare(
    value: Any, folder: Path, default_name: str, say: Say = print, images: int | None = None
) -> PreparedTask:
    """Imports what a task names, tries it, and writes down what workers need.

    Args:
        value: a `Task`, its values as YAML has them, or `file.py:NAME` / `package.module:NAME` of one.
        folder: of the study file; paths are relative to it.
        default_name: of a task that has no name.
        say: hears what was measured.
        images: how many are decoded at most, see `open_task_data`.

    Returns:
        the prepared task.

    Raises:
        AtollError: whatever is wrong with it, in a sentence; where it stands is in a TaskMistake.
    """
    source = UserCode(folder)
    task = task_of(source.object(value) if isinstance(value, str) else value)
    functions = OwnFunctions(folder, source)
    with told_at("quality"):
        quality, judged_by = _quality(task, functions)
    _check_expected(task, judged_by)
    with told_at("loss"):
        loss, criterion = _loss(task, functions, judged_by)
    with told_at("data"):
        dataset = open_task_data(task, folder, say, images)
    with told_at("input"):
        scaling = _scaling(task, dataset, say)
    with told_at("augment"):
        Views(1, dataset.input_shape, task.training.augment)  # refuses what such inputs cannot be seen by
    # of numbers (N, one each) as many outputs are needed; other targets do not tell
    targets = dataset.train.labels
    numbers = targets.shape[1] if targets.is_floating_point() and targets.ndim == 2 else 0
    shape = dataset.report.parts or dataset.input_shape
    network, head = task_network(task, folder, shape, len(dataset.class_names) or numbers, scaling)
    outputs = _judged_outputs(network, task)
    if outputs is not None:
        judged_by, criterion = OfOutputs(judged_by, outputs), partial(outputs.loss, criterion)
    with told_at("network" if task.classes is None else "classes"):
        classes = _classes(network, dataset, outputs)
    if head is not None:
        with told_at("head"):
            say(f"head: {head} is trained for the {classes} classes of the data, then all of the network")
            train_head(network, head, dataset, task.training, criterion)
    _try_out(network, dataset, judged_by, criterion)
    if task.expected_quality is not None and head is None and images is None:  # too few to tell by a sample
        _compare(network, dataset, judged_by, task.expected_quality, say)
    with told_at("network"):
        graph = graph_json(network)
    code = functions.files()
    name = keep_task(
        {
            "name": task.name or default_name,
            "network": label_of(task.network),
            "graph": graph,
            "classes": classes,
            "data": dataset.version,
            "training": task.training.to_json(),
            "epochs_per_step": task.epochs_per_step,
            "quality": quality,
            "loss": loss,
            **({} if outputs is None else {"outputs": outputs.to_json()}),
        },
        whole_state(network),
        code,
        dataset.folder,
    )
    if code:
        trust(code_digest(code))
    gone = evict()
    if gone:
        say(f"cache: {gone} of the prepared tasks and data not used for longest gave way (quota {VARIABLE})")
    return load_task(name)


def described(value: Any, folder: Path) -> Task:
    """Returns a task as its user describes it: what `prepare` takes, with what came of defaults.

    Raises:
        AtollError: as `prepare`.
    """
    return task_of(UserCode(folder).object(value) if isinstance(value, str) else value)


def _quality(task: Task, code: OwnFunctions) -> tuple[dict[str, Any], Quality]:
    words: QualityWords = task.quality
    told = words.model_dump() | {"function": None}
    what: Any = words.name
    if words.function is not None:
        told["function"], what = code.take("quality", words.function)
        told["name"] = words.name or str(getattr(what, "__name__", told["function"]))
    if not isinstance(words.of_classes, bool):  # of several outputs some: the others are numbers
        told["of_classes"] = False
    return told, quality_named(what, **{name: told[name] for name in told if name != "function"})


def _check_expected(task: Task, judged_by: Quality) -> None:
    """Refuses per cent, which people write of what is shown in per cent."""
    expected = task.expected_quality
    if expected is not None and expected > 1 and judged_by.unit == "%" and task.quality.function is None:
        raise TaskMistake(
            f"expected_quality is {expected:g}, allowed is a share of 1: {expected / 100:g} for "
            f"{expected:g} %",
            ("expected_quality",),
        )


def _is_own(loss: Any) -> bool:
    """Says whether a task's loss is a function of its user's."""
    return callable(loss) or ":" in str(loss)


def _loss(task: Task, code: OwnFunctions, quality: Quality) -> tuple[str | None, Criterion]:
    if _is_own(task.loss):
        reference, function = code.take("loss", task.loss)
        return reference, loss_named(function)
    return task.loss, loss_named(task.loss or (LOSS_OF_CLASSES if quality.of_classes else LOSS_OF_NUMBERS))


def _scaling(task: Task, dataset: MappedDataset, say: Say) -> Scaling:
    """Returns the stated scaling; for the zoo its own, else what is measured in training data, and said."""
    images, runs = dataset.train.images, runs_of(dataset.report.parts)
    found = task.input.scaling(images.dtype == torch.uint8)
    if found is not None:
        channels = len(runs) or images.shape[1]
        if found.channels not in (None, channels):
            raise AtollError(f"got {found.channels} means, allowed is one, or {channels}, one a channel")
        return found if found.channels is None else replace(found, runs=runs)
    if task.network in [name for name, _ in NETWORKS] and images.dtype == torch.uint8:
        return PIXELS
    measured = dataset.report.scaling
    scale = 255.0 if images.dtype == torch.uint8 else 1.0
    mean, std = ([_rounded(value / scale) for value in values] for values in (measured.mean, measured.std))
    say(
        f"input: mean {_few(mean)} and std {_few(std)} were measured on the training data, since the task "
        "states none; a network that was trained otherwise needs its own (input.mean and input.std)"
    )
    found = Scaling.pixels(mean, std) if scale > 1 else Scaling(tuple(mean), tuple(std))
    return replace(found, runs=runs)


def _few(values: list[float]) -> str:
    """Returns values as a person reads them: inputs without a place have hundreds of channels."""
    more = f", … ({len(values)} of them)" if len(values) > _SHOWN else ""
    return f"[{', '.join(map(str, values[:_SHOWN]))}{more}]"


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _judged_outputs(network: nn.Module, task: Task) -> JudgedOutputs | None:
    """Returns which of several outputs are judged; None where the network has one."""
    returned = _returned(network)
    names, functions = tuple(named_heads(returned)), task.quality.function is not None and _is_own(task.loss)
    choosing, count = task.quality.of_classes, len(heads(returned, torch.Tensor))
    if len(names) != count:
        raise TaskMistake(
            f"the network has {count} outputs of the names {', '.join(names):.80}, allowed is another name "
            "for each",
            ("network",),
        )
    if not isinstance(choosing, bool) and (count == 1 or task.output is not None):
        raise TaskMistake(
            f"quality.of_classes is {list(choosing)!s:.80} where one output is judged, allowed are true "
            "and false",
            ("quality", "of_classes"),
        )
    if count == 1:
        if task.output is not None:
            with told_at("output"):
                position_of(names, task.output)
        return None
    if task.output is None and not functions:
        raise TaskMistake(
            f"the network has {count} outputs, {', '.join(names)}: say which one is judged (`output: "
            f"{names[0]}`), or let quality and loss be functions of your own, which get all of them",
            ("output",) if "output" in task.model_fields_set else ("network",),
        )
    with told_at("output"):
        return JudgedOutputs.of(returned, task.output, () if isinstance(choosing, bool) else choosing)


def _returned(network: nn.Module) -> Any:
    """Returns what a network gives for one input, without data."""
    with torch.no_grad():
        return to_meta(network)(torch.empty(1, *input_shape_of(network), device="meta"))


def _classes(network: nn.Module, dataset: Dataset, several: JudgedOutputs | None) -> int:
    """Returns how many classes network and data have, which must be the same."""
    found: tuple[torch.Tensor, ...] = heads(_returned(network))
    judged, classes = found if several is None else several.judged(found), len(dataset.class_names)
    outputs = judged[0].shape[1] if judged[0].dim() > 1 else 1  # a number a sample may have no axis
    if len(judged) > 1:  # the functions that judge them know what targets mean
        return classes or outputs
    if dataset.train.labels.dtype == torch.int64 and outputs != classes:
        names = ", ".join(dataset.class_names[:_SHOWN]) + (", …" if classes > _SHOWN else "")
        raise AtollError(
            f"the network tells {outputs} classes apart, the data have {classes} ({names}); allowed are "
            "equal numbers, or `head: new`, which trains a last layer for those of the data"
        )
    return classes or outputs


def _try_out(network: nn.Module, dataset: Dataset, quality: Quality, loss: Criterion) -> None:
    """Runs network, quality and loss on a few samples, so that a mistake ends the command and no trial."""
    few = dataset.validation.first(_TRIED)
    outputs = predict_logits(network, few.images)
    if not all(bool(head.isfinite().all()) for head in heads(outputs, torch.Tensor)):
        raise TaskMistake("the network's outputs are not finite on the validation data", ("network",))
    with told_at("quality"):
        quality.measure(outputs, few.labels)
    with told_at("loss"):
        leaves = mapped(lambda head: head.clone().requires_grad_(), outputs)
        value = loss(leaves, few.labels.clone())
        gradients = torch.autograd.grad(value, heads(leaves, torch.Tensor), allow_unused=True)
        if not all(bool(gradient.isfinite().all()) for gradient in gradients if gradient is not None):
            raise AtollError("the loss has no finite gradient, allowed is one to train by")


def _compare(network: nn.Module, dataset: Dataset, judged_by: Quality, expected: float, say: Say) -> None:
    """Says where the given network is not what its user knows it to be."""
    split = dataset.validation
    found = judged_by.measure(predict_logits(network, split.images), split.labels)
    if abs(found - expected) > _OFF * max(abs(expected), _OFF):
        say(
            f"the given network has {judged_by.name} {found:.4g} on the validation data, expected_quality is "
            f"{expected:g}: look first at what pixels are scaled by (input.mean and input.std, or "
            "input.normalize), then at size, channels and the order of classes"
        )
