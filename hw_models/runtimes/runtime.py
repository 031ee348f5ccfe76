"""Runtimes by name, with the release of TensorFlow whose operators the oldest that is meant has."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Self

from ...spaces.errors import AtollError
from .micro import MICRO, RUNS
from .release import release, written

#: ai-edge-litert -> the newest release of TensorFlow all of whose operators it has: by the versions of each
#: that `Interpreter` of its wheel finds, and one file an operator run in it (27 November 2026; 2.3.0 was the
#: newest). 2.1 has most of 2.21, but does not run 2-bit dense layers with float activations.
LITERT: dict[str, str] = {
    "1.0": "2.18",
    "1.1": "2.19",
    "1.2": "2.19",
    "1.3": "2.19",
    "1.4": "2.19",
    "2.0": "2.20",
    "2.1": "2.20",
    "2.2": "2.23",
    "2.3": "2.23",
}
#: what a name without a minor version means: litert-2 from where it runs whatever this Atoll writes, litert-1
#: from where half precision is right: 1.1 to 1.3 compute something else with XNNPACK (results/targets)
OLDEST_MEANT = {"litert-1": "1.4", "litert-2": "2.2"}
#: the runtime of this machine, as `host` names it
INSTALLED = "installed"
PACKAGE = "ai-edge-litert"
#: names to offer, the oldest first
OFFERED = ("tflite-2.14", "litert-1", "litert-2")
_TFLITE = re.compile(r"tflite-(\d\.\d{1,3}(?:\.\d{1,3})?)")
_LITERT = re.compile(r"litert-(\d\.\d{1,3})(?:\.\d{1,3})?")


@dataclass(frozen=True)
class Runtime:
    """What runs a file on a device.

    Args:
        name: `tflite-2.14` for tflite-runtime or TensorFlow 2.14, `litert-2` or `litert-2.1` for
            ai-edge-litert, `installed` for this machine's, `litert-micro` for that of microcontrollers.
        release: of TensorFlow, whose operators it has: `2.14.0`; empty for LiteRT Micro, which has none.
    """

    name: str
    release: str

    @classmethod
    def named(cls, name: str) -> Self:
        """Returns a runtime by name.

        Raises:
            AtollError: there is no such runtime.

        >>> Runtime.named("litert-2").loads("2.21.0"), Runtime.named("tflite-2.14").loads("2.18.0")
        (True, False)
        """
        if name == MICRO:
            return cls(name, "")
        if name == INSTALLED:
            return cls(name, _installed())
        if found := _TFLITE.fullmatch(name):
            return cls(name, written(release(found[1])))
        short = OLDEST_MEANT.get(name)
        if found := _LITERT.fullmatch(name):
            short = found[1]
        if short not in LITERT:
            raise AtollError(
                f"unknown runtime {name!r:.60}; allowed are {', '.join(OFFERED)}, tflite-X.Y of "
                f"tflite-runtime or TensorFlow, litert-X.Y of ai-edge-litert ({', '.join(LITERT)}), "
                f"{MICRO} and {INSTALLED}"
            )
        return cls(name, written(release(LITERT[short])))

    def __str__(self) -> str:
        return self.name if self.is_micro else f"{self.name} (TensorFlow Lite {self.release})"

    @property
    def is_micro(self) -> bool:
        """Whether it is LiteRT Micro, which has operators and types of its own and no releases."""
        return self.name == MICRO

    @property
    def line(self) -> str:
        """Its name with two numbers, as exceptions name it: `litert-1.4` of `litert-1`, of 1.4.2 too."""
        if self.name == INSTALLED:
            return f"litert-{'.'.join(_installed_numbers())}"
        if self.name in OLDEST_MEANT:
            return f"litert-{OLDEST_MEANT[self.name]}"
        return ".".join(self.name.split(".")[:2])

    def loads(self, needed: str) -> bool:
        """Whether it has what a file needs.

        Args:
            needed: `Need.release`; of LiteRT Micro `Need.micro`.
        """
        return needed == RUNS if self.is_micro else release(needed) <= release(self.release)


def offered(needed: str, not_in: Collection[str] = ()) -> str | None:
    """Returns the first name of those to offer whose runtime loads a file, None where none does.

    Args:
        needed: `Need.release`.
        not_in: lines that do not run it all the same, `Need.not_in`.
    """
    runtimes = map(Runtime.named, OFFERED)
    return next((one.name for one in runtimes if one.loads(needed) and one.line not in not_in), None)


def _installed() -> str:
    numbers = _installed_numbers()
    if not numbers:
        return written((0, 0, 0))
    # a newer one than the table's has at least what the newest has
    newest = list(LITERT)[-1]
    return written(release(LITERT.get(".".join(numbers), LITERT[newest])))


def _installed_numbers() -> tuple[str, ...]:
    """Returns the first two numbers of the installed package's version; none where it is not installed."""
    try:
        return (*version(PACKAGE).split("."), "0")[:2]
    except PackageNotFoundError:
        return ()
