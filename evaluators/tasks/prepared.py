"""A user's task as workers, `verify` and `resume` know it: a folder, read without the user's code.

`task.json` says everything that decides a result: the adopted graph, digests of weights, data and code, how
networks are trained and judged. The digest of that is the folder's name, and stands behind the task's own:
`parts@5f0c…`. Another network, other weights, data or settings are another task. What of it is gone is the
machine's fault (`MachineError`): a search that runs stops, and no trial fails for it.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ...spaces.errors import AtollError, MachineError
from ...spaces.layers.scaling import Scaling
from ...spaces.outside.foreign_file import damage_told, read_bytes, read_json
from ...spaces.written.graph_json import network_of_json
from ..cache_dir import cache_dir
from ..datasets.mapped_dataset import MappedDataset, check_decoded, open_decoded
from ..digests import digest_json, digest_tensors
from ..prepared_quota import hold
from ..quota import DRAFT
from ..training.judged_outputs import JudgedOutputs
from ..training.settings import Training
from .own_functions import OwnCode, loss_of, quality_of
from .quality import OfOutputs
from .task import Task
from .trusted import check_trusted, trust
from .user_code import code_digest

FORMAT = 1
#: the last holds the name of the folder of its decoded data, which another machine may call otherwise
ABOUT, WEIGHTS, CODE, DATA = "task.json", "weights.safetensors", "code", "data"
#: hexadecimal digits of a task's digest in its name: 128 bits
_DIGITS = 32
#: what people read and nothing depends on
_WORDS = ("name", "network", "origin")


def is_prepared(name: str) -> bool:
    """Whether a task's name is that of a prepared one."""
    return "@" in name


def prepared_folder(name: str) -> Path:
    """Returns the folder of a prepared task; it may not exist."""
    digest = name.rpartition("@")[2]
    if len(digest) != _DIGITS or not set(digest) <= set("0123456789abcdef"):
        raise AtollError(
            f"task {name!r:.80}: allowed is NAME@DIGEST with {_DIGITS} digits, as a search writes it"
        )
    return cache_dir() / "tasks" / digest


def keep_task(
    about: Mapping[str, Any], weights: Mapping[str, Tensor], code: Mapping[str, bytes], data: Path
) -> str:
    """Writes a prepared task into the cache folder and returns its name.

    Args:
        about: what decides it, as JSON, with a `name`; digests of weights and code are added.
        weights: of the adopted network.
        code: the user's files that its functions need, by path.
        data: the folder of its decoded data.

    Raises:
        MachineError: it cannot be written.
    """
    state = {name: tensor.detach().clone().contiguous() for name, tensor in weights.items()}
    about = {
        **about,
        "format": FORMAT,
        "weights": digest_tensors(state),
        "code": code_digest(dict(code)) if code else None,
        "code_files": sorted(code),
    }
    name = f"{about['name']}@{_digest(about)}"
    folder = prepared_folder(name)
    files = {WEIGHTS: save(state), **{f"{CODE}/{path}": content for path, content in code.items()}}
    hold(folder)
    try:
        if _holds(folder, files):
            _write_place(folder, data)
            return name
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=folder.parent))
        try:
            for path, content in files.items():
                (draft / path).parent.mkdir(parents=True, exist_ok=True)
                (draft / path).write_bytes(content)
            _write_place(draft, data)
            (draft / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
            hold(draft)
            shutil.rmtree(folder, ignore_errors=True)  # what was damaged
            os.rename(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        if not (folder / ABOUT).exists():
            raise MachineError(
                f"cannot write the task to {folder} ({error.strerror or error}); ATOLL_CACHE names "
                "another folder"
            ) from error
    return name


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Whether a task lies in its folder, whole."""
    try:
        is_there = (folder / ABOUT).is_file()
        return is_there and all((folder / path).read_bytes() == content for path, content in files.items())
    except OSError:
        return False


def _write_place(folder: Path, data: Path) -> None:
    """Says where the decoded data are now: they may have been decoded anew into another folder."""
    draft = folder / f".{DATA}.{os.getpid()}"
    draft.write_text(data.name, encoding="utf-8")
    draft.replace(folder / DATA)


def data_folder(name: str) -> Path:
    """Returns the folder of a prepared task's decoded data; it may be gone.

    Raises:
        MachineError: the task does not say.
        AtollError: it names what is no folder of data.
    """
    folder = prepared_folder(name)
    try:
        place = (folder / DATA).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MachineError(
            f"the task {name!r} does not say where its data are ({folder / DATA}: {error}): search its study "
            "file again, which prepares it"
        ) from error
    if not place or Path(place).name != place:
        raise AtollError(f"{folder / DATA} holds {place!r:.80}, allowed is the name of a folder")
    return cache_dir() / "data" / place


def _dataset(name: str, version: str) -> MappedDataset:
    folder = data_folder(name)
    if not folder.is_dir():
        raise MachineError(
            f"the data of task {name!r} are gone: search its study file again, which decodes them"
        )
    try:
        found = open_decoded(folder)
    except AtollError as error:
        raise MachineError(f"task {name!r}: {error}") from error
    if found.version != version:
        raise MachineError(
            f"the data in {folder} are others than those of task {name!r}: search its study again"
        )
    return found


@lru_cache(maxsize=8)
def prepared_task(name: str) -> Task:
    """Returns a prepared task; none of its code is run before a network is judged or trained by it.

    Raises:
        MachineError: it is not on this machine, or cannot be read.
        AtollError: it is damaged.
    """
    folder = prepared_folder(name)
    hold(folder)
    try:
        about = read_json(folder / ABOUT)
    except FileNotFoundError as error:
        raise MachineError(
            f"task {name!r} is not on this machine: search its study file here, which prepares it, or name "
            "that file (`atoll export --study study.yaml`)"
        ) from error
    except (OSError, ValueError) as error:
        raise MachineError(f"cannot read the task in {folder}: {error}") from error
    with damage_told(
        f"{folder / ABOUT} holds no task", "what a search wrote; delete the folder and search again"
    ):
        if about["format"] != FORMAT or not name.endswith(f"@{_digest(about)}"):
            raise AtollError(
                f"{folder} is another task than {name!r}: delete it and search its study file again"
            )
        return _task(name, folder, about)


def _task(name: str, folder: Path, about: Mapping[str, Any]) -> Task:
    code = OwnCode(folder / CODE, about["code"], tuple(about["code_files"]))
    outputs = JudgedOutputs.from_json(about["outputs"]) if "outputs" in about else None
    quality = quality_of(about["quality"], code)
    return Task(
        name=name,
        load_dataset=cache(lambda: _dataset(name, about["data"])),
        network=str(about["network"]),
        input_shape=tuple(about["graph"]["input_shape"]),
        num_classes=about["classes"],
        training=Training(**about["training"]),
        epochs_per_step=about["epochs_per_step"],
        scaling=Scaling.from_json(about["graph"]["scaling"]),
        judged_by=quality if outputs is None else OfOutputs(quality, outputs),
        loss=loss_of(about["loss"], code),
        check_data=lambda: _check(name, about),
        given=_given(folder, about),
        graph=about["graph"],
        code=about["code"],
        code_files=code.files,
        outputs=outputs,
    )


def trust_task(task: Task) -> None:
    """Lets the code of a prepared task run on this machine, if it needs any: its user said so.

    Raises:
        MachineError: the cache folder cannot be written.
    """
    if task.code is not None:
        trust(task.code)


def _check(name: str, about: Mapping[str, Any]) -> None:
    """Looks whether a search can begin: its code may run here, and its data are there, to the last byte."""
    if about["code"] is not None:
        check_trusted(about["code"], tuple(about["code_files"]))
    check_decoded(_dataset(name, about["data"]))


def _given(folder: Path, about: Mapping[str, Any]) -> Callable[[], nn.Module]:
    def given() -> nn.Module:
        try:
            state = load(read_bytes(folder / WEIGHTS))
        except (OSError, SafetensorError) as error:
            raise MachineError(
                f"cannot read the weights in {folder} ({error}): search its study file again, which "
                "prepares it"
            ) from error
        if digest_tensors(state) != about["weights"]:
            raise MachineError(
                f"{folder / WEIGHTS} holds other weights than {ABOUT} names: search its study file again, "
                "which prepares it"
            )
        network = network_of_json(about["graph"])
        network.load_state_dict(state, assign=True)
        return network.eval()

    return given


def _digest(about: Mapping[str, Any]) -> str:
    return digest_json({key: value for key, value in about.items() if key not in _WORDS})[:_DIGITS]
