"""Where devices live: those of the package, and the user's own, which come first."""

import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from ...spaces.errors import AtollError
from ...spaces.machine.home import home_folder
from ...spaces.machine.processor import this_processor
from ...spaces.nearest import known_names
from ..formulas.cost_model import QUANTITIES
from ..formulas.setup import Setup, quoted
from ..runtimes.micro import MICRO
from ..runtimes.runtime import Runtime

#: sizes of an Ethos-U that are devices, by family and multiply-accumulates a cycle
ETHOS_U = ("u55-64", "u55-128", "u55-256", "u65-256", "u85-256")
#: devices of the package: (name, folder below hw_models)
DEVICES: tuple[tuple[str, str], ...] = (
    ("coral-dev-board", "coral_dev_board"),
    ("coral-edge-tpu", "coral_edge_tpu"),
    *((f"ethos-{size}", f"ethos_u/{size.replace('-', '_')}") for size in ETHOS_U),
    ("host", "host"),
    ("litert-micro", "litert_micro"),
)
#: the device whose formulas and set-ups are taken where a user names none
DEFAULT_DEVICE = DEVICES[0][0]
_ROOT = Path(__file__).parents[1]
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_WORDS = ("base", "cpu", "processor", "runtime")


def own_devices_dir() -> Path:
    """Returns the folder of the user's devices: ATOLL_DEVICES, or `~/.config/atoll/devices`.

    A user without a home has them below the current folder.
    """
    chosen = os.environ.get("ATOLL_DEVICES")
    return Path(chosen) if chosen else (home_folder() or Path()) / ".config" / "atoll" / "devices"


def device_names() -> list[str]:
    """Returns the names of all devices, those of the package first."""
    built_in = [name for name, _ in DEVICES]
    folder = own_devices_dir()
    own = sorted(path.parent.name for path in folder.glob("*/device.toml")) if folder.is_dir() else []
    return [*built_in, *(name for name in own if name not in built_in)]


def device_folder(name: str) -> Path:
    """Returns the folder of a device, the user's own before the package's.

    Raises:
        AtollError: for an unknown name, with the nearest known one.
    """
    own = own_devices_dir() / name
    if _NAME.fullmatch(name) and (own / "device.toml").is_file():
        return own
    for known, folder in DEVICES:
        if known == name:
            return _ROOT / folder
    raise AtollError(f"unknown device {name!r}; {known_names(name, device_names())}")


def new_device_folder(name: str) -> Path:
    """Returns the folder for a user's device, made if need be.

    Raises:
        AtollError: for a name that is no name of a folder, or a folder that cannot be made.
    """
    if not _NAME.fullmatch(name):
        raise AtollError(f"got the device name {name!r}, allowed are lower-case letters, digits, - and _")
    folder = own_devices_dir() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AtollError(
            f"cannot make {folder}: {error.strerror}; ATOLL_DEVICES names another folder for devices"
        ) from error
    return folder


@dataclass(frozen=True)
class About:
    """What `device.toml` says.

    Args:
        title: what it is, for people.
        setups: the default first.
        base: the device whose measurements are fitted too; empty for none.
        cpu: the device that prices what was not measured on this one; empty for none.
        processor: that it was measured on, as `this_processor` says it, for a device that stands for whatever
            machine this is; empty for a board of its own.
        runtime: what runs files there, as `Runtime.named` takes it: the oldest that is meant; empty where
            nothing is known of it.
    """

    title: str
    setups: tuple[Setup, ...]
    base: str = ""
    cpu: str = ""
    processor: str = ""
    runtime: str = ""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads a device's folder.

        Raises:
            AtollError: for a file that is no TOML, lacks a part or has an unknown key.
        """
        path = folder / "device.toml"
        try:
            with open(path, "rb") as stream:
                stored = tomllib.load(stream)
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise AtollError(f"{path}: cannot be read ({error})") from error
        tables = stored.get("setups")
        if not isinstance(tables, dict) or not tables:
            raise AtollError(f"{path}: needed is a table [setups.NAME] at least")
        quantities = tuple(QUANTITIES)
        setups = tuple(Setup.read(name, table, quantities, str(path)) for name, table in tables.items())
        words = {key: str(stored[key]) for key in _WORDS if key in stored}
        if "runtime" in words:
            try:
                Runtime.named(words["runtime"])
            except AtollError as error:
                raise AtollError(f"{path}: {error}") from error
        return cls(stored.get("title", folder.name), setups, **words)

    @property
    def is_micro(self) -> bool:
        """Whether files run there in LiteRT Micro: memory is then a file's arena, which needs no fit."""
        return self.runtime == MICRO

    @property
    def has_npu(self) -> bool:
        """Whether its figures are the estimates of a compiler for an NPU."""
        return any(setup.npu is not None for setup in self.setups)

    @property
    def is_counted(self) -> bool:
        """Whether it needs no measurement: what is held against its bounds is counted or estimated."""
        return self.is_micro or self.has_npu

    @property
    def other_processor(self) -> bool:
        """Whether it stands for this machine, and was measured on one with another processor."""
        return self.processor not in ("", this_processor())

    def setup(self, name: str | None) -> Setup:
        """Returns a set-up by name, the default for None.

        Raises:
            AtollError: for an unknown name.
        """
        for setup in self.setups:
            if name is None or setup.name == name:
                return setup
        known = [setup.name for setup in self.setups]
        raise AtollError(f"unknown set-up {name!r}; {known_names(str(name), known)}")

    def comparable(self, quantity: str) -> list[str]:
        """Returns the names of the set-ups whose figures are priced by the default's formula.

        An NPU's default stands alone: another clock or memory is another system, no spread of measuring.
        """
        if self.has_npu:
            return [self.setups[0].name]
        formula = self.setups[0].formulas.get(quantity)
        return [setup.name for setup in self.setups if setup.formulas.get(quantity) == formula]

    def with_setups(self, names: Sequence[str]) -> "About":
        """Returns the same with set-ups that are not there yet, priced by the default's formulas."""
        known = {setup.name for setup in self.setups}
        formulas = self.setups[0].formulas
        new = tuple(
            Setup(name, f"{name}, as measured", formulas)
            for name in dict.fromkeys(names)
            if name not in known
        )
        return replace(self, setups=(*self.setups, *new))

    def to_toml(self) -> str:
        """Returns the text of a `device.toml`."""
        words = {"title": self.title} | {word: getattr(self, word) for word in _WORDS}
        head = [f"{key} = {quoted(value)}" for key, value in words.items() if value]
        note = "# The first set-up is the one that predictions refer to."
        return "\n".join([*head, "", note, *(setup.to_toml() for setup in self.setups)])


def runtime_of(device: str, runtime: str | None = None) -> Runtime | None:
    """Returns what runs the files of a study.

    Args:
        device: NAME or NAME:SETUP.
        runtime: that the study names; the device's when None.

    Returns:
        None where neither says.

    Raises:
        AtollError: there is no such device or runtime.
    """
    name = runtime or About.read(device_folder(device.partition(":")[0])).runtime
    return Runtime.named(name) if name else None
