"""A measurement set-up: runtime, threads and board together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names

#: words of a set-up in `device.toml` beside the quantities
_OWN = ("title", "several_threads", "rest_on")
_NPU = ("accelerator", "system_config", "memory_mode")


@dataclass(frozen=True)
class Npu:
    """An Ethos-U in its system, in the words of Arm's compiler Vela, whose estimates stand for measurements.

    Args:
        accelerator: `ethos-u55-128`; the last number is its multiply-accumulates a cycle.
        system_config: clock and memories, a section of the compiler's own `Arm/vela.ini`.
        memory_mode: which memory holds constants and which tensors, a section of the same file.
    """

    accelerator: str
    system_config: str
    memory_mode: str


@dataclass(frozen=True)
class Setup:
    """How networks were measured; figures of two set-ups differ by more than noise.

    Args:
        name: as in the column `setup` of the measurements.
        title: what it was, for people.
        formulas: quantity -> name of the formula that prices it; quantities that are not there were not
            measured.
        several_threads: whether the runtime uses more than one, and then keeps other copies of weights.
        rest_on: set-up that runs what this one does not take; empty where it takes everything.
        npu: what a compiler estimates networks for; None where they were measured.
    """

    name: str
    title: str
    formulas: Mapping[str, str]
    several_threads: bool = False
    rest_on: str = ""
    npu: Npu | None = None

    @classmethod
    def read(cls, name: str, stored: Mapping[str, Any], quantities: tuple[str, ...], place: str) -> Self:
        """Reads one table of a `device.toml`.

        Raises:
            AtollError: for keys that are not known, or values of another type.
        """
        for key, value in stored.items():
            allowed = (*_OWN, *_NPU, *quantities)
            if key not in allowed:
                raise AtollError(f"{place}, set-up {name}: unknown key {key!r}; {known_names(key, allowed)}")
            if not isinstance(value, bool if key == "several_threads" else str):
                raise AtollError(f"{place}, set-up {name}: got {key} = {value!r}, allowed is a text or a yes")
        formulas = {key: stored[key] for key in quantities if key in stored}
        threads, rest_on = stored.get("several_threads", False), stored.get("rest_on", "")
        words = [stored[key] for key in _NPU if key in stored]
        if words and (formulas or len(words) < len(_NPU)):
            raise AtollError(f"{place}, set-up {name}: an NPU needs {', '.join(_NPU)}, and has no formulas")
        npu = Npu(*words) if words else None
        return cls(name, stored.get("title", name), formulas, threads, rest_on, npu)

    def to_toml(self) -> str:
        """Returns the table that `read` reads."""
        lines = [f"[setups.{quoted(self.name)}]", f"title = {quoted(self.title)}"]
        lines += [f"{quantity} = {quoted(formula)}" for quantity, formula in self.formulas.items()]
        lines += [f"rest_on = {quoted(self.rest_on)}"] if self.rest_on else []
        lines += ["several_threads = true"] if self.several_threads else []
        lines += [f"{key} = {quoted(value)}" for key, value in vars(self.npu).items()] if self.npu else []
        return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Returns a text as TOML writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'
