"""What a file needs: the oldest release whose runtime loads it and computes what is meant."""

from dataclasses import dataclass
from typing import Self

from ..tables.tflite_file import FileOperator, TfliteFile
from .operator_releases import brought_in
from .release import release, written

#: Where a runtime of the published release refuses the operator, or computes something else with it: the
#: first release that was right. One file an operator was run in the wheels of tensorflow-cpu 2.12 to 2.21,
#: tflite-runtime 2.14.0 and ai-edge-litert 1.0 to 2.3 (x86-64, 27 November 2026; docs/devices.md).
#: (operator, type of its input, type of its weights) -> release
LATER: dict[tuple[str, str, str], str] = {
    # 2.13 to 2.18 do not prepare it: filter->type == kTfLiteInt8 was not true
    ("FULLY_CONNECTED", "INT8", "INT4"): "2.19",
    # 2.12 to 2.18 load it and compute NaN, or numbers up to 4e36
    ("CONV_2D", "FLOAT32", "INT4"): "2.19",
}
_NARROW = ("INT4", "INT2")


@dataclass(frozen=True)
class Need:
    """The oldest release that a file can be run with.

    Args:
        release: of TensorFlow, as `operator_releases.py` has it: `2.14.0`; empty where the table does not
            know an operator of the file.
        reason: the operator that needs it.
        instead: which weights or activations an older release takes there; empty where there are none.
    """

    release: str
    reason: str
    instead: str = ""

    @classmethod
    def of(cls, file: TfliteFile) -> Self:
        """Returns what the operators of a file need, the one that needs most deciding.

        >>> from atoll.evaluators.litert.writer import TfliteModel
        >>> from atoll.evaluators.litert.operators import relu
        >>> model = TfliteModel()
        >>> model.outputs = [relu(model, model.add_input((1, 4)), "relu_0_to_1", None)]
        >>> Need.of(TfliteFile.parse(model.to_bytes())).release
        '2.10.0'
        """
        most, found = (0, 0, 0), cls(written((0, 0, 0)), "no operator")
        for key, operator in _kinds(file).items():
            oldest = _oldest(*key)
            if oldest is None:
                what = f"{operator.name} of version {operator.version}, which the table of releases lacks"
                return cls("", what)
            if oldest > most:
                most = oldest
                found = cls(written(oldest), _said(*key), _instead(*key))
        return found

    def to_metrics(self) -> dict[str, str | None]:
        """Returns it under the names that metrics have for it; None where it is not known."""
        return {"minimum_runtime": self.release or None, "minimum_runtime_reason": self.reason}


_Kind = tuple[str, int, str, str]


def _kinds(file: TfliteFile) -> dict[_Kind, FileOperator]:
    """Returns the operators that differ: by name, version, type of input and type of constant weights."""
    found: dict[_Kind, FileOperator] = {}
    for operator in file.operators:
        types = ["", ""]
        for place, index in enumerate(operator.places[:2]):
            if index >= 0 and (place == 0 or file.tensors[index].constant):
                types[place] = file.tensors[index].dtype
        found.setdefault((operator.name, operator.version, *types), operator)  # type: ignore[arg-type]
    return found


def _oldest(name: str, version: int, source: str, weights: str) -> tuple[int, int, int] | None:
    if name == "MUL" and version == 2:
        version = 3  # trained scales decide between the two, and what is needed is known before
    brought = brought_in(name, version)
    if brought is None:
        return None
    return max(release(brought), release(LATER.get((name, source, weights), "0")))


def _said(name: str, version: int, source: str, weights: str) -> str:
    if weights in _NARROW or (source, weights) == ("FLOAT32", "INT8"):
        return f"{name} with {weights.lower()} weights and {source.lower()} activations"
    return f"{name} of version {version}" + (f" for {source.lower()}" if source in _NARROW else "")


def _instead(name: str, version: int, source: str, weights: str) -> str:
    if weights in _NARROW or source in _NARROW:
        return "weights of 8 bits"
    return "activations of 8 bits" if (source, weights) == ("FLOAT32", "INT8") else ""
