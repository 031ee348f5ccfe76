"""A last layer for classes that the weights do not know: put in and trained before any compression."""

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ...spaces.errors import AtollError, MachineError
from ...spaces.layers.structure import replace
from ...spaces.technique.context import Criterion
from ..cache_dir import cache_dir
from ..datasets.dataset import Dataset
from ..digests import digest_json, digest_tensors, library_versions
from ..prepared_quota import hold
from ..quota import DRAFT
from ..training.loop import fit
from ..training.losses import labels_loss
from ..training.settings import Training

#: passes over the training data with all but the head frozen, then with all at a tenth of the rate: its
#: first gradients would undo what the others know (Howard & Ruder 2018); how many is an own choice
FROZEN_EPOCHS, ALL_EPOCHS, ALL_RATE = 5.0, 5.0, 0.1
SEED = 0
#: in the file of a trained network: the digest of its tensors, without which a changed weight would be taken
_DIGEST = "sha256"


def head_of(network: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """Returns the last dense layer of a network by name, or its last convolution where it has none.

    Raises:
        AtollError: it has neither.
    """
    for kind in (nn.Linear, nn.Conv2d):
        found = [(name, module) for name, module in network.named_modules() if isinstance(module, kind)]
        if found:
            return found[-1]
    raise AtollError("head: new: the network has no dense layer and no convolution that could be its head")


def put_head(network: nn.Module, classes: int) -> str:
    """Gives a network a fresh last layer for so many classes, in place; returns its name.

    Raises:
        AtollError: as `head_of`, or the network is nothing but that layer.
    """
    name, old = head_of(network)
    if not name:
        raise AtollError("head: new: got a network of one layer, allowed is one that has a head")
    if isinstance(old, nn.Linear):
        fresh: nn.Module = nn.Linear(old.in_features, classes, old.bias is not None)
    else:
        if old.groups != 1:
            raise AtollError(
                f"head: new: {name} is a grouped convolution, allowed is a head that sees all channels"
            )
        fresh = nn.Conv2d(
            old.in_channels, classes, old.kernel_size, old.stride, old.padding, old.dilation,  # type: ignore[arg-type]
            bias=old.bias is not None,
        )  # fmt: skip
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for part, parameter in fresh.named_parameters():
            if part == "bias":
                parameter.zero_()
            else:  # He et al. 2015 for a layer without ReLU behind it
                parameter.normal_(0, 1 / math.sqrt(parameter[0].numel()), generator=generator)
    replace(network, name, fresh)
    return name


def without_head(state: Mapping[str, Tensor], head: str, network: nn.Module) -> dict[str, Tensor]:
    """Returns a state dict with the network's own head in place of the weights' one."""
    own = network.state_dict()
    mine = {name: tensor for name, tensor in own.items() if name.startswith(f"{head}.")}
    return {**{name: tensor for name, tensor in state.items() if name not in mine}, **mine}


def train_head(
    network: nn.Module, head: str, dataset: Dataset, training: Training, criterion: Criterion
) -> None:
    """Trains an adopted network with a fresh head, in place: the head alone, then all; once.

    Args:
        network: adopted.
        head: name of its head.
        dataset: its training split.
        training: how.
        criterion: what is minimised.

    Raises:
        AtollError: training diverged.
        MachineError: the cache folder cannot be written.
    """
    path = cache_dir() / "heads" / f"{_key(network, head, dataset, training)}.safetensors"
    hold(path)
    trained = _trained(path)
    if trained is None:
        _train(network, head, dataset, training, criterion)
        _save(network, path)
    else:
        network.load_state_dict(trained)
    network.eval()


def _trained(path: Path) -> dict[str, Tensor] | None:
    """Returns what `_save` kept; None where it is not there or not whole."""
    try:
        with safe_open(path, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            whole = (file.metadata() or {}).get(_DIGEST) == digest_tensors(state)
    except (OSError, SafetensorError):
        return None
    return state if whole else None


def _train(network: nn.Module, head: str, dataset: Dataset, training: Training, criterion: Criterion) -> None:
    generator = torch.Generator().manual_seed(SEED)
    free = [(name, one) for name, one in network.named_parameters() if one.requires_grad]
    slow = dataclasses.replace(training, learning_rate=training.learning_rate * ALL_RATE)
    for epochs, settings, frozen in (
        (FROZEN_EPOCHS, training, [one for name, one in free if not name.startswith(f"{head}.")]),
        (ALL_EPOCHS, slow, []),
    ):
        for parameter in frozen:
            parameter.requires_grad_(False)
        try:
            fit(
                network, dataset.train.images, dataset.train.labels, settings, epochs=epochs,
                generator=generator, objective=labels_loss(criterion),
            )  # fmt: skip
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)


def _key(network: nn.Module, head: str, dataset: Dataset, training: Training) -> str:
    parts = [
        head, digest_tensors(network.state_dict()), dataset.version, training.to_json(), library_versions(),
        [FROZEN_EPOCHS, ALL_EPOCHS, ALL_RATE],
    ]  # fmt: skip
    return digest_json(parts)


def _save(network: nn.Module, path: Path) -> None:
    draft = path.with_name(f"{DRAFT}{path.stem}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {name: one.detach().clone().contiguous() for name, one in network.state_dict().items()}
        save_file(state, draft, {_DIGEST: digest_tensors(state)})
        hold(draft)
        draft.replace(path)
    except OSError as error:
        raise MachineError(f"cannot write the trained head to {path} ({error.strerror or error})") from error
