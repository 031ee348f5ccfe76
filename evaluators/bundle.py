"""The native bundle: a compressed network as safetensors, recipe and decisions, without pickle."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from ..spaces.errors import AtollError
from ..spaces.layers.structure import adopt, input_shape_of
from ..spaces.networks import build_network
from ..spaces.recipe import Recipe
from ..spaces.technique import Decisions
from .digests import digest_tensors
from .tasks.task import Task

#: version of the files' form
FORMAT = 1
TENSORS, RECIPE = "model.safetensors", "recipe.json"


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
        "num_classes": task.num_classes,
        "input_shape": list(input_shape_of(network)),
        "recipe": str(recipe),
        "steps": recipe.to_json(),
        "decisions": list(decisions),
        "weights_digest": digest_tensors(state),
    }
    (folder / TENSORS).write_bytes(save(state))
    (folder / RECIPE).write_text(json.dumps(about, indent=1, sort_keys=True) + "\n")
    return about


def load_bundle(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Returns the network of a bundle, in evaluation mode, and what `recipe.json` holds.

    Raises:
        AtollError: a file is missing, of another format, or its weights do not fit or are not those that were
            saved.
    """
    try:
        about = json.loads((folder / RECIPE).read_text())
        state = load_file(folder / TENSORS)
    except (OSError, ValueError, SafetensorError) as error:
        raise AtollError(f"no bundle in {folder}: {error}") from error
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        got = about.get("format") if isinstance(about, dict) else about
        raise AtollError(
            f"{folder / RECIPE}: got format {got!r}, allowed is {FORMAT}; a newer Atoll may have written it"
        )
    try:
        if digest_tensors(state) != about["weights_digest"]:
            raise AtollError(f"{folder / TENSORS}: the weights are not those that {RECIPE} was written with")
        *_, network = structures(about)
    except (KeyError, TypeError, ValueError) as error:
        raise AtollError(
            f"{folder / RECIPE} holds no network: {type(error).__name__}: {error}; allowed is what "
            "`atoll export` wrote"
        ) from error
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        why = " ".join(str(error).split())
        raise AtollError(f"{folder / TENSORS} does not fit the structure in {RECIPE}: {why}") from error
    return network.eval(), about


def structures(about: Mapping[str, Any]) -> Iterator[nn.Module]:
    """Gives the structure of the base network and then that after every step, the tensors not filled.

    Args:
        about: what `recipe.json` holds.
    """
    shape = tuple(about["input_shape"])
    network = adopt(build_network(about["network"], about["num_classes"], shape), shape)
    yield network
    for step, decisions in zip(Recipe.from_json(about["steps"]), about["decisions"], strict=True):
        network = step.rebuild(network, decisions)
        yield network
