"""Releases that can be run here, by the names of their runtimes: what is installed from a package index.

A file of every technique was run in each of them (docs/devices.md); what older ones load the table of
releases alone says.
"""

from dataclasses import dataclass

from ...spaces.errors import AtollError
from .runtime import OLDEST_MEANT

#: the Python whose wheels these are, and so the one that they run in
PYTHON = "3.11"


@dataclass(frozen=True)
class Wheel:
    """What is installed for a release.

    Args:
        package, version: on the index.
        module: of it, that has `Interpreter`.
        numpy: the version beside it: what was compiled against numpy 1 ends the process with numpy 2.
    """

    package: str
    version: str
    module: str
    numpy: str = "1.26.4"

    @property
    def requirements(self) -> tuple[str, str]:
        """What pip is asked for; what else the package needs pip chooses."""
        return f"{self.package}=={self.version}", f"numpy=={self.numpy}"

    @property
    def folder(self) -> str:
        """The name of its folder: another version of anything is another folder."""
        return f"{self.package}-{self.version}-numpy-{self.numpy}-python-{PYTHON}"

    def __str__(self) -> str:
        return f"{self.package} {self.version}, numpy {self.numpy}"


def _tensorflow(version: str, numpy: str = "1.26.4") -> Wheel:
    return Wheel("tensorflow-cpu", version, "tensorflow.lite.python.interpreter", numpy)


def _litert(version: str) -> Wheel:
    return Wheel("ai-edge-litert", version, "ai_edge_litert.interpreter")


#: runtime -> the last patch of its release that the index has for this Python; of tflite-runtime there is one
WHEELS: dict[str, Wheel] = {
    "tflite-2.12": _tensorflow("2.12.1", "1.24.3"),
    "tflite-2.13": _tensorflow("2.13.1", "1.24.3"),
    "tflite-2.14": Wheel("tflite-runtime", "2.14.0", "tflite_runtime.interpreter"),
    "tflite-2.15": _tensorflow("2.15.1"),
    "tflite-2.16": _tensorflow("2.16.2"),
    "tflite-2.17": _tensorflow("2.17.1"),
    "tflite-2.18": _tensorflow("2.18.1"),
    "tflite-2.19": _tensorflow("2.19.1"),
    "tflite-2.20": _tensorflow("2.20.0"),
    "tflite-2.21": _tensorflow("2.21.0"),
    "litert-1.0": _litert("1.0.1"),
    "litert-1.1": _litert("1.1.2"),
    "litert-1.2": _litert("1.2.0"),
    "litert-1.3": _litert("1.3.0"),
    "litert-1.4": _litert("1.4.0"),
    "litert-2.0": _litert("2.0.3"),
    "litert-2.1": _litert("2.1.6"),
    "litert-2.2": _litert("2.2.0"),
    "litert-2.3": _litert("2.3.0"),
}


def wheel_of(name: str) -> Wheel:
    """Returns what is installed for a runtime.

    Raises:
        AtollError: none of the kind has a wheel for this Python.

    >>> wheel_of("litert-2").version, wheel_of("tflite-2.14").package
    ('2.2.0', 'tflite-runtime')
    """
    found = WHEELS.get(f"litert-{OLDEST_MEANT[name]}" if name in OLDEST_MEANT else name)
    if found is None:
        tflite, litert = ([one for one in WHEELS if one.startswith(kind)] for kind in ("tflite", "litert"))
        raise AtollError(
            f"got the runtime {name!r:.60}, of which no package for Python {PYTHON} is known; run can be "
            f"{tflite[0]} to {tflite[-1]}, {', '.join(litert)}"
        )
    return found
