"""Exports a network of the zoo or of one's own without a study: nothing is searched, nothing trained."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...evaluators.cache_dir import cache_dir
from ...evaluators.card.card import Card
from ...evaluators.delivery.forms import C_ARRAY, VELA, check_forms
from ...evaluators.delivery.micro_use import check_runs
from ...evaluators.measuring.measure import check_priced
from ...evaluators.own.prepare import prepare
from ...evaluators.own.task import Task, task_of
from ...evaluators.own.task_network import label_of
from ...evaluators.own.without_labels import answered, has_loose_pictures, loose_pictures, noise
from ...evaluators.steps.evaluate import pipeline_for
from ...evaluators.steps.settings import Settings
from ...evaluators.tasks.given_network import adopted_network
from ...evaluators.tasks.task import Task as PreparedTask
from ...hw_models.devices.device import Device, npu_of
from ...hw_models.runtimes.micro import RUNS
from ...spaces.errors import AtollError
from ...spaces.layers.norm import Norm
from ...spaces.layers.shape import InputShape
from ...spaces.layers.statistics import LEAST
from ...spaces.outside.file_names import file_name
from ...spaces.recipes.order import check_order
from ...spaces.recipes.recipe import Recipe
from .card import Origin
from .compiled import as_compiled
from .export import CARD, CARD_JSON, write_export
from .whole_folder import check_replaceable

#: in place of data where there are none
NO_DATA = object()

Say = Callable[[str], None]


def export_network_alone(
    words: Mapping[str, Any],
    shape: InputShape | None,
    recipe: Recipe,
    device: str,
    out: Path | None,
    *,
    any_agreement: bool = False,
    any_float: bool = False,
    also: Sequence[str] = (),
    thumbnails: bool = True,
    commands: Sequence[str] = (),
    say: Say = print,
) -> tuple[Path, Card]:
    """Writes a network's folder, as `export_trial` writes a trial's.

    A recipe is carried out without an epoch: its steps measure ranges and statistics on the training data.

    Args:
        words: of a `Task`: network, weights, data and what else it says. Without data, and with pictures that
            no folder labels, the quality is how many answers stay those of the given network.
        shape: of one input; needed without data and with such pictures, and else as the data have it.
        recipe: to be carried out; empty for the network as it is.
        device: that latency and memory are predicted for.
        out: the folder to write; one below `exports` named after the network where it is None.
        any_agreement, any_float, also, thumbnails, say: as `export_trial` has them; noise is not shown.
        commands: that do it again, for the card.

    Returns:
        the folder and its card.

    Raises:
        AtollError: whatever is wrong with network, weights, data or recipe; a step trains, or has nothing to
            measure on; or as `export_trial`.
    """
    check_forms(also)
    check_order(recipe)
    if VELA in also and npu_of(device) is None:
        raise AtollError(f"--also vela: {device} has no Ethos-U; allowed is --device ethos-u…")
    loaded = Device.load(device)
    trained = [step.name for step in recipe if step.stage == "training"]
    if trained:
        raise AtollError(
            f"{recipe}: {trained[0]} trains, and the export of a network trains nothing; allowed are steps "
            "that only measure, or a study"
        )
    given = task_of(words if words.keys() & {"data", "train"} else {**words, "data": NO_DATA})
    name = _name_of(given)
    folder = Path("exports") / file_name(name) if out is None else out
    check_replaceable(folder, CARD_JSON, (CARD,))
    task, remarks = _prepared(given, shape, recipe, name, say)
    if given.weights is None and isinstance(given.network, str) and not given.network.endswith(".pt2"):
        remarks.append("no weights were given: they are those that the network's code made, or chance")
    check_priced(adopted_network(task), loaded)
    settings = Settings(task.name, device, 0, 0, 0, torch.get_num_threads())
    pipeline = pipeline_for(settings, cache_dir())
    result = pipeline.run(recipe)
    if C_ARRAY in also:
        status = result.metrics.micro_status
        check_runs("" if status in (None, RUNS) else status)
    if recipe.steps:
        remarks.append(_measured_on(len(pipeline.dataset.train), result.network))

    def origin(content: bytes, said: Sequence[str]) -> Origin:
        return Origin(
            study="", trial="", device=device, recipe=str(recipe), seed=0, epochs_per_step=0,
            threads=settings.threads, test_looks=(), baseline_test_looks=(),
            remarks=[*remarks, *said, *as_compiled(content, device, ())], commands=commands,
        )  # fmt: skip

    card = write_export(
        name,
        folder,
        pipeline,
        result,
        recipe,
        origin,
        any_agreement=any_agreement,
        any_float=any_float,
        also=also,
        thumbnails=thumbnails and given.data is not NO_DATA,
    )
    return folder, card


def _measured_on(inputs: int, network: nn.Module) -> str:
    """Returns what steps measured on, and what they did not measure because it is so little."""
    said = f"nothing was trained: steps measured on {inputs:,} inputs"
    if inputs >= LEAST or not any(isinstance(part, Norm) for part in network.modules()):
        return said
    return f"{said}, and normalisations kept their statistics, which fewer than {LEAST} would make worse"


def _prepared(
    task: Task, shape: InputShape | None, recipe: Recipe, name: str, say: Say
) -> tuple[PreparedTask, list[str]]:
    """Returns the task that measures the network, and what is to be said of its data."""
    here = Path.cwd()
    has_data = task.data is not NO_DATA
    loose = has_data and isinstance(task.data, str | Path) and has_loose_pictures(here / task.data)
    if has_data and not loose:
        return prepare(task, here, name, say), []
    if shape is None:
        what = "pictures without labels" if loose else "no data"
        raise AtollError(f"got {what}, needed is then the shape of an input: --input HEIGHTxWIDTHxCHANNELS")
    if loose:
        inputs, said = loose_pictures(here / task.data, shape), "no labels were given"
    elif recipe.steps:
        raise AtollError(
            f"{recipe}: {recipe.steps[0].name} measures on inputs, and there are none; allowed is it with "
            "--data, a folder of pictures or what a study reads"
        )
    else:
        inputs, said = noise(shape), "no data were given: inputs are noise"
    judged = "the quality is how near answers are to those of the given network, not how right they are"
    # what is said of data holds for labels, of which there are none
    return prepare(answered(task, here, inputs), here, name, lambda _: None), [f"{said}, and {judged}"]


def _name_of(task: Task) -> str:
    """Returns what a network without a name of its own is called: the last part of what names it."""
    last = re.split(r"[:/]", label_of(task.network))[-1].removesuffix(".pt2").removesuffix(".json")
    return task.name or re.sub(r"[^A-Za-z0-9._-]+", "_", last).strip("._-")[:60] or "network"
