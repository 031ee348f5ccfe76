"""Weights as people have them: safetensors or a checkpoint, with what training loops put around."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ...spaces.errors import AtollError
from ...spaces.exported.front_end import quiet

#: under which keys checkpoints of common training loops keep the state dict; averaged weights come first,
#: since those are the ones that were validated (timm, torchvision's references, Lightning, Ultralytics)
_WRAPPERS = (
    "state_dict_ema", "model_ema", "ema_state_dict", "ema", "state_dict", "model_state_dict", "model", "net",
    "network", "weights", "params", "module",
)  # fmt: skip
#: what wrappers of torch's put before every name: DataParallel, torch.compile, AveragedModel, Lightning
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
#: differences that a message lists
_SHOWN = 5
_COUNTER = "num_batches_tracked"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Returns the state dict of a file; nothing in it is run.

    Args:
        path: `.safetensors`, or what `torch.save` wrote of a state dict, alone or in a checkpoint.

    Raises:
        AtollError: the file is missing or damaged, holds a whole pickled model, or no state dict.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with quiet():  # it remarks on forms of its own files
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except FileNotFoundError as error:
        raise AtollError(f"weights {path}: there is no such file") from error
    except (OSError, SafetensorError) as error:
        raise AtollError(f"cannot read the weights {path}: {_brief(error)}") from error
    except Exception as error:  # torch takes any byte for an order, and stumbles in its own ways
        if not path.stat().st_size:
            raise AtollError(f"cannot read the weights {path}: the file is empty") from error
        if _holds(path, "/code/"):
            raise AtollError(
                f"weights {path}: got a program of TorchScript, allowed is a state dict; convert it: "
                f"python -c \"import torch; torch.save(torch.jit.load('{path.name}', map_location='cpu')"
                f".state_dict(), '{path.stem}_weights.pt')\""
            ) from error
        if not _is_of_torch(path):
            raise AtollError(
                f"weights {path}: got another kind of file, allowed is .safetensors or what torch.save wrote "
                "of a state dict"
            ) from error
        if not isinstance(error, pickle.UnpicklingError):
            raise AtollError(f"cannot read the weights {path}: {_brief(error)}") from error
        raise AtollError(
            f"weights {path}: got a pickled object that only its own code can read, allowed is a state dict; "
            f"where that code is, convert it: python -c \"import torch; m = torch.load('{path.name}', "
            f"weights_only=False); torch.save(getattr(m, 'state_dict', lambda: m['model'].state_dict())(), "
            f"'{path.stem}_weights.pt')\""
        ) from error
    state = _state_dict(found)
    if state is None:
        raise AtollError(f"weights {path}: got {_kind(found)}, allowed is a state dict of tensors by name")
    return state


def fill(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Fills a network from a state dict, in place; counters of BatchNorm are not looked for.

    Args:
        model: receives the weights in its own types.
        state: its names may have a prefix that a wrapper of torch's left (`module.`).
        source: of the state dict, for the message.

    Raises:
        AtollError: tensors are missing, surplus, or of other shapes, the first five are listed; or one is not
            finite. The network is unchanged then.
    """
    wanted = {k: v for k, v in model.state_dict(keep_vars=True).items() if not k.endswith(_COUNTER)}
    given = without_prefix({k: v for k, v in state.items() if not k.endswith(_COUNTER)}, wanted)
    found = differences(wanted, given)
    if found:
        more = len(found) - _SHOWN
        rest = f"; and {more} more" if more > 0 else ""
        raise AtollError(
            f"{source} does not fit the network, {len(found)} differences: "
            f"{'; '.join(found[:_SHOWN])}{rest}{_cure(wanted, given, len(found))}"
        )
    broken = [k for k, v in given.items() if v.is_floating_point() and not bool(v.isfinite().all())]
    if broken:
        raise AtollError(f"{source}: tensor {broken[0]!r} is not finite, allowed are numbers")
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(given[name])


def without_prefix(state: Mapping[str, Tensor], wanted: Mapping[str, Any]) -> dict[str, Tensor]:
    """Returns a state dict with its names as the network has them, where a prefix is all that differs."""
    best = dict(state)
    while True:
        fitting = len(best.keys() & wanted.keys())
        tries = [
            {name.removeprefix(prefix): tensor for name, tensor in best.items()}
            for prefix in _PREFIXES
            if best and all(name.startswith(prefix) for name in best)
        ]
        added = [{f"{prefix}{name}": tensor for name, tensor in best.items()} for prefix in _PREFIXES]
        better = [one for one in (*tries, *added) if len(one.keys() & wanted.keys()) > fitting]
        # two wrappers may lie around each other: then one prefix alone makes no name fit yet
        if not better and not fitting and tries:
            better = tries[:1]
        if not better:
            return best
        best = better[0]


def differences(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """Returns in words where a state dict is not what a network takes: shapes, what is missing, surplus."""
    shapes = [
        f"{name} has shape {list(given[name].shape)}, needed is {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]
    missing = [f"{n} {list(t.shape)} is missing" for n, t in wanted.items() if n not in given]
    surplus = [f"{n} {list(t.shape)} is unknown to the network" for n, t in given.items() if n not in wanted]
    return [*shapes, *missing, *surplus]


def _cure(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], count: int) -> str:
    """Returns what to do where one layer has another number of outputs, and nothing else differs."""
    other = [
        name
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape and given[name].shape[1:] == tensor.shape[1:]
    ]
    if len(other) != count or len({name.rpartition(".")[0] for name in other}) != 1:
        return ""
    return "; if that is the last layer, `head: new` trains one for the classes of the data"


def _state_dict(found: Any) -> dict[str, Tensor] | None:
    """Returns the state dict in what a file held, None where there is none."""
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        return None
    if found and all(isinstance(value, Tensor) for value in found.values()):
        return dict(found)
    for key in _WRAPPERS:
        inner = _state_dict(found.get(key))
        if inner:
            return inner
    tensors = {name: value for name, value in found.items() if isinstance(value, Tensor)}
    is_state = any("." in name for name in tensors)  # beside tensors a module may keep what else it likes
    return tensors if is_state else None


def _is_of_torch(path: Path) -> bool:
    """Whether torch.save may have written a file: an archive, or pickles as it wrote them before 1.6."""
    with path.open("rb") as stream:
        begins = stream.read(4)
    if not begins.startswith(b"PK"):
        return begins.startswith(pickle.PROTO)
    return not zipfile.is_zipfile(path) or _holds(path, "/data.pkl")  # cut off it is no whole archive


def _holds(path: Path, part: str) -> bool:
    """Whether a file is an archive with such a part in the name of a file."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(part in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _kind(found: Any) -> str:
    if isinstance(found, Mapping):
        return f"a mapping with the keys {', '.join(map(str, list(found)[:_SHOWN])) or 'none'}"
    return f"a {type(found).__name__}"


def _brief(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
