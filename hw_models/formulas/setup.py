"""A measurement set-up: runtime, threads and board together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ...spaces.errors import AtollError
from ...spaces.nearest import known_names

#: words of a set-up in `device.toml` beside the quantities
_OWN = ("title", "several_threads", "rest_on")


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
    """

    name: str
    title: str
    formulas: Mapping[str, str]
    several_threads: bool = False
    rest_on: str = ""

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
        threads, rest_on = stored.get("several_threads", False), stored.get("rest_on", "")
        return cls(name, stored.get("title", name), formulas, threads, rest_on)

    def to_toml(self) -> str:
        """Returns the table that `read` reads."""
        lines = [f"[setups.{quoted(self.name)}]", f"title = {quoted(self.title)}"]
        lines += [f"{quantity} = {quoted(formula)}" for quantity, formula in self.formulas.items()]
        lines += [f"rest_on = {quoted(self.rest_on)}"] if self.rest_on else []
        lines += ["several_threads = true"] if self.several_threads else []
        return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Returns a text as TOML writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'
