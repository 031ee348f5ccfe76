"""The given networks of the built-in tasks: trained weights that ship with the package."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ...spaces.errors import AtollError
from ...spaces.graph.adopt import adopt
from .task import Task

#: Where the shipped weights lie; `train_given.py` makes them.
WEIGHTS_FOLDER = Path(__file__).parent / "weights"


def weights_path(task: Task) -> Path:
    """Returns the file of the task's given weights."""
    return WEIGHTS_FOLDER / f"{task.name}.safetensors"


def given_network(task: Task, path: Path | None = None) -> nn.Module:
    """Builds the task's network and fills it with the given weights.

    Args:
        task: a task.
        path: a safetensors file of weights; the one that ships with the task if None.

    Returns:
        The trained network, float32, in eval mode.

    Raises:
        AtollError: the file is missing, unreadable, or does not fit the task's network.
    """
    path = path or weights_path(task)
    model = task.new_network()
    load_weights(model, path)
    return model.eval()


def adopted_network(task: Task) -> nn.Module:
    """Returns the task's given network, adopted, in evaluation mode: a new copy every time.

    Raises:
        AtollError: as `given_network`, or the network cannot be adopted.
    """
    if task.given is not None:
        return task.given()
    return adopt(given_network(task), task.input_shape, task.scaling).eval()


def load_weights(model: nn.Module, path: Path) -> None:
    """Fills a network from a safetensors file, in place; every tensor must be there and fit.

    Args:
        model: receives the weights in its own types.
        path: the file. The counters of BatchNorm are not looked for.

    Raises:
        AtollError: the file is missing or unreadable, a tensor is missing, unknown or has another shape; the
            network is unchanged then.
    """
    try:
        stored = load_file(path)
    except (OSError, SafetensorError) as error:
        raise AtollError(f"cannot read the weights {path}: {error}") from error
    wanted = _weights(model)
    for name, tensor in wanted.items():
        if name not in stored:
            raise AtollError(f"{path} lacks the tensor {name!r} of shape {list(tensor.shape)}")
        if stored[name].shape != tensor.shape:
            raise AtollError(
                f"{path}: tensor {name!r} has shape {list(stored[name].shape)}, "
                f"the network needs {list(tensor.shape)}"
            )
    surplus = sorted(set(stored) - set(wanted))
    if surplus:
        raise AtollError(f"{path} holds the tensor {surplus[0]!r}, which the network does not have")
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(stored[name])


def save_given(model: nn.Module, path: Path) -> None:
    """Writes a network's weights, rounded to float16: half the bytes, no change of quality.

    Args:
        model: a trained network; unchanged.
        path: the file to write.

    Raises:
        AtollError: the file cannot be written.
    """
    tensors = {name: tensor.detach().half().contiguous() for name, tensor in _weights(model).items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(save(tensors))
    except OSError as error:
        raise AtollError(f"cannot write the weights {path}: {error.strerror or error}") from error


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """Returns what has to be stored: everything but the counters, which only cumulative averages need."""
    state = model.state_dict(keep_vars=True)
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
