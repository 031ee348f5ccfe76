"""A measurement set-up: runtime, threads and board together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ..spaces.errors import AtollError
from ..spaces.nearest import known_names

#: words of a set-up in `device.toml` beside the quantities
_OWN = ("title", "several_threads")


@dataclass(frozen=True)
class Setup:
    """How networks were measured; figures of two set-ups differ by more than noise.

    Args:
        name: as in the column `setup` of the measurements.
        title: what it was, for people.
        formulas: quantity -> name of the formula that prices it; quantities that are not there were not
            measured.
        several_threads: whether the runtime uses more than one, and then keeps other copies of weights.
    """

    name: str
    title: str
    formulas: Mapping[str, str]
    several_threads: bool = False

    @classmethod
    def read(cls, name: str, stored: Mapping[str, Any], quantities: tuple[str, ...], place: str) -> Self:
        """Reads one table of a `device.toml`.

        Raises:
            AtollError: for keys that are not known, or values of another type.
        """
        for key, value in stored.items():
            allowed = (*_OWN, *quantities)
            if key not in allowed:
                raise AtollError(f"{place}, set-up {name}: unknown key {key!r}; {known_names(key, allowed)}")
            if not isinstance(value, bool if key == "several_threads" else str):
                raise AtollError(f"{place}, set-up {name}: got {key} = {value!r}, allowed is a text or a yes")
        formulas = {key: stored[key] for key in quantities if key in stored}
        return cls(name, stored.get("title", name), formulas, stored.get("several_threads", False))

    def to_toml(self) -> str:
        """Returns the table that `read` reads."""
        lines = [f"[setups.{_quoted(self.name)}]", f"title = {_quoted(self.title)}"]
        lines += [f"{quantity} = {_quoted(formula)}" for quantity, formula in self.formulas.items()]
        return "\n".join([*lines, *(["several_threads = true"] if self.several_threads else [])]) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'
