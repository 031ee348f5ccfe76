"""Where a user's data are, and how they are to be read."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from ...spaces.errors import AtollError

#: own choice: of 2,000 images 300 validate, and an accuracy of 85 % is then known to 2 points (one standard
#: error); Krizhevsky's and Deng's sets, which are larger, hold out 10 to 17 %
SHARES = (0.70, 0.15, 0.15)
#: side of a picture, or length of a signal: far more than any small device takes
LARGEST_SIDE = 2**16
#: Keys of a batch of pictures that are stored as such: grey, RGB, RGB with alpha.
PICTURE_CHANNELS = (1, 3, 4)
#: classes of a classifier; ImageNet-21k has 21,841
LARGEST_CLASSES = 100_000
#: settings that are of one type
_KINDS = (
    ("regression", (bool,), "true or false"),
    ("skip_bad", (bool,), "true or false"),
    ("seed", (int,), "a whole number from 0 to 2^63 - 1"),
    ("version", (str,), "a text or a number"),
    ("group", (str, type(None)), "the name of a column"),
    ("label", (str, type(None)), "the name of a column"),
)


class SettingMistake(AtollError):
    """A setting of a source that no data have; `setting` is its name."""

    def __init__(self, message: str, setting: str) -> None:
        super().__init__(message)
        self.setting = setting


@dataclass(frozen=True)
class DataSource:
    """A user's data, as a study file names them.

    Args:
        where: a folder, a file, or a function without arguments that gives the data.
        size: (height, width) or (length,) that the network takes; None: as the data have it, all alike.
        channels: that the network takes; None: as the data have them.
        classes: their names in the order of the network's outputs, or how many there are; None: as the data
            say, folders in the order of their names.
        regression: labels are numbers to come near to, also where they are whole.
        shares: of train, validation and test, where the data are not split; they make 1.
        seed: decides which image falls into which split, and their order.
        group: column whose values stay within one split; None: `group` where there is one.
        label: column of the labels, where it has another name than usual.
        skip_bad: leaves out what cannot be read, and counts it; otherwise the first ends the command.
        version: tells the results of a function from earlier ones.
        at_most: decodes so many, evenly chosen; None: all.

    Raises:
        SettingMistake: a value is out of its range.
        AtollError: two exclude each other.
    """

    where: Path | Callable[[], Any]
    size: tuple[int, ...] | None = None
    channels: int | None = None
    classes: tuple[str, ...] | int | None = None
    regression: bool = False
    shares: tuple[float, float, float] = SHARES
    seed: int = 0
    group: str | None = None
    label: str | None = None
    skip_bad: bool = False
    version: str = ""
    at_most: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.where, str):
            object.__setattr__(self, "where", Path(self.where))
        for name in ("size", "classes", "shares"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if isinstance(self.version, int | float):  # as YAML reads `version: 2`
            object.__setattr__(self, "version", str(self.version))
        for name, kind, allowed in _KINDS:
            if type(getattr(self, name)) not in kind:
                raise self._refused(name, allowed)
        if not 0 <= self.seed < 2**63:
            raise self._refused("seed", "a whole number from 0 to 2^63 - 1")
        if self.size is not None and not (
            isinstance(self.size, tuple)
            and 1 <= len(self.size) <= 2
            and all(_is_whole(side, LARGEST_SIDE) for side in self.size)
        ):
            raise self._refused("size", f"height and width, or a length, each 1 to {LARGEST_SIDE:,}")
        if self.channels is not None and not _is_whole(self.channels, LARGEST_SIDE):
            raise self._refused("channels", f"a whole number from 1 to {LARGEST_SIDE:,}")
        if self.at_most is not None and not _is_whole(self.at_most, 2**40):
            raise self._refused("at_most", "a whole number, 1 or more")
        if self.classes is not None and not isinstance(self.classes, int | tuple):
            raise self._refused("classes", "how many there are, or their names")
        if isinstance(self.classes, int):
            if not _is_whole(self.classes, LARGEST_CLASSES):
                raise self._refused("classes", f"1 to {LARGEST_CLASSES:,}, or their names")
        elif self.classes is not None:
            names = all(isinstance(name, str) and name for name in self.classes)
            if not names or len(set(self.classes)) < len(self.classes) or not self.classes:
                raise self._refused("classes", "how many there are, or the name of each, no name twice")
        if self.regression and self.classes is not None:
            raise AtollError("data: classes are named and it is a regression, allowed is one of the two")
        shares = (
            isinstance(self.shares, tuple)
            and len(self.shares) == 3
            and all(type(share) in (int, float) for share in self.shares)
        )
        if not shares or min(self.shares) <= 0 or abs(sum(self.shares) - 1) > 1e-6:
            raise self._refused("shares", "those of train, validation and test, above 0, which make 1")

    @property
    def shown(self) -> str:
        """What messages call it."""
        return str(self.where) if isinstance(self.where, Path) else function_name(self.where)

    @property
    def name(self) -> str:
        """What the data are called."""
        if isinstance(self.where, Path):
            return self.where.resolve().name or "data"
        return function_name(self.where).rpartition(":")[2]

    def to_json(self) -> dict[str, Any]:
        """Returns it in JSON's own types; a function as its module and name, which nobody imports."""
        return {**asdict(replace(self, where=Path())), "where": self.shown}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], function: Callable[[], Any] | None = None) -> Self:
        """Builds what `to_json` gave.

        Args:
            value: after a round through JSON.
            function: in place of `where`, if that was one.

        Raises:
            AtollError: it has other keys, or values out of their ranges.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(value, Mapping) or not set(value) <= known or "where" not in value:
            raise AtollError(f"data: got {str(value)[:100]}, allowed are the keys {', '.join(sorted(known))}")
        return cls(**{**value, "where": value["where"] if function is None else function})

    def _refused(self, name: str, allowed: str) -> SettingMistake:
        return SettingMistake(f"data: {name} is {str(getattr(self, name))[:80]}, allowed: {allowed}", name)


def function_name(function: Callable[..., Any]) -> str:
    """Returns module and name of a function, for messages and keys."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{getattr(function, '__module__', '?')}:{name}"


def _is_whole(value: object, most: int) -> bool:
    return type(value) is int and 1 <= value <= most
