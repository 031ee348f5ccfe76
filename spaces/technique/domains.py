"""Domains: what a setting may be, and which of its values a search tries.

A domain separates the *legal* values (what a user may write in a recipe) from the *grid* (the few
values that a search proposes). Grids are coarse on purpose: only then do recipes share prefixes, and
shared prefixes are what the step cache saves.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from typing import Any, ClassVar, Protocol

from ..errors import AtollError
from ..nearest import known_names

#: names of modules and the wildcards of shells; nothing that the text form of a recipe gives a meaning
_PATTERN = re.compile(r"~?[\w.*?\[\]!]+(\|~?[\w.*?\[\]!]+)*")
#: words of a pattern that mean layers by what or where they are, unless a layer has such a name
GROUPS = ("convolutions", "dense", "first", "last")
#: before a part of a pattern: what is not meant (not a `!`, for which shells put something else in quotes)
LEFT_OUT = "~"


class Domain(Protocol):
    """The legal values of one setting and the grid that a search draws from."""

    @property
    def grid(self) -> tuple[Any, ...]:
        """The values that a search tries."""

    def check(self, where: str, value: Any) -> Any:
        """Returns the value in its canonical type, or raises an AtollError that names `where`."""

    def describe(self) -> str:
        """Says in words what is allowed."""


@dataclass(frozen=True)
class Float:
    """A real number in [low, high] (ends excluded where `open_ends`)."""

    low: float
    high: float
    grid: tuple[float, ...]
    unit: str = ""
    open_ends: bool = False
    type_name: ClassVar[str] = "float"

    def check(self, where: str, value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        # NaN is on neither side of anything
        if not number or not (
            self.low < value < self.high if self.open_ends else self.low <= value <= self.high
        ):
            raise AtollError(f"{where}: got {value!r}, allowed is {self.describe()}")
        return float(value)

    def describe(self) -> str:
        how = "between" if self.open_ends else "from"
        link = "and" if self.open_ends else "to"
        unit = f" {self.unit}" if self.unit else ""
        tail = " (both excluded)" if self.open_ends else ""
        return f"a number {how} {self.low:g} {link} {self.high:g}{unit}{tail}"


@dataclass(frozen=True)
class Int:
    """A whole number in [low, high]."""

    low: int
    high: int
    grid: tuple[int, ...]
    unit: str = ""
    type_name: ClassVar[str] = "int"

    def check(self, where: str, value: Any) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if isinstance(value, float) and value.is_integer():
            value, whole = int(value), True
        if not whole or not self.low <= value <= self.high:
            raise AtollError(f"{where}: got {value!r}, allowed is {self.describe()}")
        return int(value)

    def describe(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"a whole number from {self.low} to {self.high}{unit}"


@dataclass(frozen=True)
class Choice:
    """One of a few named values (words or numbers)."""

    values: tuple[str | int | float, ...]
    grid: tuple[str | int | float, ...] = ()
    type_name: ClassVar[str] = "choice"

    def __post_init__(self) -> None:
        if not self.grid:
            object.__setattr__(self, "grid", self.values)

    def check(self, where: str, value: Any) -> str | int | float:
        for allowed in self.values:
            if value == allowed and isinstance(value, bool) == isinstance(allowed, bool):
                return allowed
        hint = ""
        if isinstance(value, str) and any(isinstance(v, str) for v in self.values):
            hint = " (" + known_names(value, [str(v) for v in self.values]) + ")"
        raise AtollError(f"{where}: got {value!r}, allowed is {self.describe()}{hint}")

    def describe(self) -> str:
        return "one of " + ", ".join(str(value) for value in self.values)


@dataclass(frozen=True)
class Modes:
    """Mode sizes of a tensorised layer, written `16x8x16x8`, or `auto`."""

    grid: tuple[str, ...] = ("auto",)
    type_name: ClassVar[str] = "modes"

    def check(self, where: str, value: Any) -> str:
        text = str(value)
        if text == "auto":
            return text
        parts = text.split("x")
        if len(parts) < 2 or not all(part.isdigit() and int(part) > 0 for part in parts):
            raise AtollError(f"{where}: got {value!r}, allowed is {self.describe()}")
        return "x".join(str(int(part)) for part in parts)

    def describe(self) -> str:
        return "auto, or two or more sizes joined by x, such as 16x8x16x8"


@dataclass(frozen=True)
class CountOrShare:
    """A whole number from 1 on, or below 1 a share of something."""

    high: int
    grid: tuple[int | float, ...]
    of: str
    type_name: ClassVar[str] = "count_or_share"

    def check(self, where: str, value: Any) -> int | float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not (0 < value < 1 or (1 <= value <= self.high and float(value).is_integer())):
            raise AtollError(f"{where}: got {value!r}, allowed is {self.describe()}")
        return float(value) if value < 1 else int(value)

    def describe(self) -> str:
        return f"a whole number from 1 to {self.high}, or a share between 0 and 1 {self.of}"


@dataclass(frozen=True)
class OrWord:
    """Another domain, or one word with a meaning of its own (`auto`, `none`, `same`)."""

    word: str
    domain: Domain
    grid: tuple[Any, ...] = ()
    type_name: ClassVar[str] = "or_word"

    def __post_init__(self) -> None:
        if not self.grid:
            object.__setattr__(self, "grid", (self.word,))

    def check(self, where: str, value: Any) -> Any:
        if value == self.word:
            return self.word
        try:
            return self.domain.check(where, value)
        except AtollError:
            raise AtollError(f"{where}: got {value!r}, allowed is {self.describe()}") from None

    def describe(self) -> str:
        return f"{self.word}, or {self.domain.describe()}"


@dataclass(frozen=True)
class LayerPattern:
    """Which layers a step touches, by name: `*` all, `features.*` all within, `a|b*` either; or by group.

    Behind a `~` stands what it does not touch: `~head` all but one, `features.*|~features.0`.
    """

    grid: tuple[str, ...] = ("*",)
    type_name: ClassVar[str] = "layer_pattern"

    def check(self, where: str, value: Any) -> str:
        if isinstance(value, float):
            # 1.10 and 1.1 are two layers and one number
            raise AtollError(f"{where}: got the number {value!r}, allowed are names: put it in quotes")
        text = str(value)
        if not _PATTERN.fullmatch(text):
            raise AtollError(f"{where}: got {value!r}, allowed is {self.describe()}")
        return text

    def describe(self) -> str:
        groups = ", ".join(GROUPS)
        return (
            f"a pattern of layer names such as features.*, or {groups}; several joined by |, "
            f"what is left out behind a {LEFT_OUT}"
        )


def matches(pattern: str, name: str) -> bool:
    """Whether a layer's dotted name is meant by the names in a checked `LayerPattern` value (case matters).

    >>> matches("features.*|head", "features.0.conv"), matches("features.*|head", "Head")
    (True, False)
    """
    return any(fnmatchcase(name, part) for part in pattern.split("|"))


def mode_sizes(text: str) -> tuple[int, ...] | None:
    """Returns the sizes of a checked `Modes` value, None for `auto`."""
    return None if text == "auto" else tuple(int(part) for part in text.split("x"))


def mode_product(text: str) -> int | None:
    """Returns the product of the sizes, None for `auto`."""
    sizes = mode_sizes(text)
    return None if sizes is None else prod(sizes)


def check_settings(where: str, domains: Mapping[str, Domain], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Checks every setting against its domain; unknown names raise with the nearest known one."""
    for name in settings:
        if name not in domains:
            raise AtollError(f"{where}: unknown setting {name!r}; {known_names(name, domains)}")
    return {name: domains[name].check(f"{where}: {name}", value) for name, value in settings.items()}
