"""The native bundle: a compressed network as safetensors, recipe and decisions, without pickle."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ...hw_models.tables.network_table import layer_table
from ...spaces.errors import AtollError
from ...spaces.graph.adopt import adopt
from ...spaces.layers.parts import LARGEST_ROW
from ...spaces.layers.scaling import PIXELS, Scaling
from ...spaces.layers.structure import input_shape_of, scaling_of
from ...spaces.networks import build_network
from ...spaces.outside.foreign_file import LARGEST_BYTES, damage_told, inside, read_bytes, read_json
from ...spaces.recipes.recipe import Recipe
from ...spaces.technique.technique import Decisions
from ...spaces.written.graph_json import network_of_json
from ..digests import digest_tensors
from ..tasks.task import Task

#: version of the files' form
FORMAT = 1
TENSORS, RECIPE = "model.safetensors", "recipe.json"
#: of a network that somebody else made; ImageNet-21k has 21,841 classes, and a camera of 200 megapixels sides
#: of 16,384
LARGEST_CLASSES, LARGEST_SIDE = 10**6, 2**14
#: axes of an image
LARGEST_RANK = 3
#: a search tries four, people have tried eight
LARGEST_STEPS = 64
#: multiply-accumulates that a network may have at all, own choice: a thousand times those of a ResNet-152
LARGEST_MACS = 10**13
#: compression leaves no network so many times as large or dear as it was; and how much any may be: bytes or
#: multiply-accumulates
LARGEST_GROWTH, ALWAYS = 4, 2**22


def save_bundle(
    folder: Path, network: nn.Module, task: Task, recipe: Recipe, decisions: Sequence[Decisions]
) -> dict[str, Any]:
    """Writes `model.safetensors` and `recipe.json`, from which `load_bundle` gives the network bit for bit.

    Args:
        folder: must exist.
        network: the compressed network.
        task: names the base network.
        recipe, decisions: how the structure came about, one entry of decisions a step.

    Returns:
        what `recipe.json` holds.
    """
    # copies: a network may hold one layer under two names, and safetensors wants no shared memory
    state = {name: tensor.clone().contiguous() for name, tensor in network.state_dict().items()}
    about = {
        "format": FORMAT,
        "task": task.name,
        "network": task.network,
        **({} if task.graph is None else {"graph": task.graph}),
        "num_classes": task.num_classes,
        "input_shape": list(input_shape_of(network)),
        **({} if scaling_of(network) == PIXELS else {"scaling": scaling_of(network).to_json()}),
        "recipe": str(recipe),
        "steps": recipe.to_json(),
        "decisions": list(decisions),
        "weights_digest": digest_tensors(state),
    }
    (folder / TENSORS).write_bytes(save(state))
    (folder / RECIPE).write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return about


def load_bundle(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Returns the network of a bundle, in evaluation mode, and what `recipe.json` holds.

    Structures are put together without memory; only what the tensors' file really holds is read into it.

    Raises:
        AtollError: a file is missing, of another format, or its weights do not fit or are not those that were
            saved, or the structure is larger than any that compression leaves.
    """
    try:
        about = read_json(inside(folder, RECIPE))
        state = load(read_bytes(inside(folder, TENSORS)))
    except (OSError, ValueError, SafetensorError) as error:
        raise AtollError(f"no bundle in {folder}: {error}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        got = about.get("format") if isinstance(about, dict) else about
        raise AtollError(
            f"{folder / RECIPE}: got format {repr(got)[:80]}, allowed is {FORMAT}; a newer Atoll may have "
            "written it"
        )
    with damage_told(f"{folder / RECIPE} holds no network"):
        if digest_tensors(state) != about["weights_digest"]:
            raise AtollError(f"{folder / TENSORS}: the weights are not those that {RECIPE} was written with")
        found = list(structures(about))
        network = found[-1].eval()
        _check_size(found[0], network)
    _fill(network, state, folder)
    return network, about


def _check_size(given: nn.Module, network: nn.Module) -> None:
    """Refuses a structure that would take more memory or time than any compression of the given one.

    Args:
        given, network: on the meta device.
    """
    shape = input_shape_of(network)
    least, found = (layer_table(structure, shape) for structure in (given, network))
    for what in ("weight_bytes", "arena_bytes", "macs"):
        growth = LARGEST_GROWTH * getattr(least, what) + ALWAYS
        most = min(growth, LARGEST_MACS if what == "macs" else LARGEST_BYTES)
        if getattr(found, what) > most:
            raise AtollError(
                f"{RECIPE}: got a structure of {getattr(found, what):,} {what}, allowed are {most:,}"
            )


def _fill(network: nn.Module, state: dict[str, Tensor], folder: Path) -> None:
    """Gives a structure on the meta device its tensors, in place."""
    wanted = network.state_dict()
    other = [name for name in wanted if name in state and state[name].dtype != wanted[name].dtype]
    try:
        if other:
            name = other[0]
            raise RuntimeError(f"{name} has the type {state[name].dtype}, allowed is {wanted[name].dtype}")
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        why = f"{' '.join(str(error).split()):.500}"
        raise AtollError(f"{folder / TENSORS} does not fit the structure in {RECIPE}: {why}") from error


def structures(about: Mapping[str, Any]) -> Iterator[nn.Module]:
    """Gives the structure of the base network and then that after every step, on the meta device.

    Args:
        about: what `recipe.json` holds.

    Raises:
        AtollError: its figures are no network's; other errors where they are of another type.
    """
    classes, sizes = about["num_classes"], tuple(about["input_shape"])
    whole = [size for size in (classes, *sizes) if type(size) is int]
    fits = 1 <= len(sizes) <= LARGEST_RANK and len(whole) == 1 + len(sizes)
    most = LARGEST_SIDE if len(sizes) > 1 else LARGEST_ROW  # features, or the row of several inputs
    if not fits or not 1 <= min(whole) <= max(sizes) <= most or classes > LARGEST_CLASSES:
        raise AtollError(
            f"{RECIPE}: got {classes!r:.80} classes and inputs of {sizes!r:.80}, allowed are a whole number "
            f"up to {LARGEST_CLASSES:,}, and one to three up to {most:,}"
        )
    if len(about["steps"]) > LARGEST_STEPS:
        raise AtollError(f"{RECIPE}: got {len(about['steps'])} steps, allowed are {LARGEST_STEPS} at most")
    network = _given_structure(about, classes, sizes)
    yield network
    for step, decisions in zip(Recipe.from_json(about["steps"]), about["decisions"], strict=True):
        network = step.rebuild(network, decisions)
        yield network


def _given_structure(about: Mapping[str, Any], classes: int, sizes: tuple[int, int, int]) -> nn.Module:
    """Returns the network before any step, on the meta device: a user's own from its graph."""
    if "graph" in about:
        network = network_of_json(about["graph"])
        if input_shape_of(network) != sizes:
            raise AtollError(
                f"{RECIPE}: its graph takes {input_shape_of(network)}, its input_shape is {sizes}"
            )
        return network
    with torch.device("meta"):
        given = build_network(about["network"], classes, sizes)
    scaling = Scaling.from_json(about["scaling"]) if "scaling" in about else PIXELS
    return adopt(given, sizes, scaling)
