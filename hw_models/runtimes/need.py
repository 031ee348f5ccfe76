"""What a file needs: the oldest release whose runtime loads it and computes what is meant; LiteRT Micro."""

import re
from dataclasses import dataclass
from typing import Self

from ..tables.tflite_file import FileOperator, TfliteFile
from .micro import RUNS, refused
from .operator_releases import brought_in, how_known
from .release import release, written

#: Where a runtime of the published release refuses the operator, or computes something else with it: the
#: first release that was right. One file an operator was run in the wheels of tensorflow-cpu 2.12 to 2.21,
#: tflite-runtime 2.14.0 and ai-edge-litert 1.0 to 2.3 (x86-64, 27 November 2026; docs/devices.md).
#: (operator, type of its input, type of its weights, whether these have several scales) -> release
LATER: dict[tuple[str, str, str, bool], str] = {
    # 2.13 to 2.18 do not prepare it: filter->type == kTfLiteInt8 was not true
    ("FULLY_CONNECTED", "INT8", "INT4", True): "2.19",
    # 2.17 is right; with XNNPACK 2.18 and 2.19 are off by a sixth of the range of a small network
    ("FULLY_CONNECTED", "FLOAT32", "INT8", True): "2.20",
    ("FULLY_CONNECTED", "FLOAT32", "INT4", True): "2.20",
    # 2.12 to 2.18 load it and compute NaN, or numbers up to 4e36
    ("CONV_2D", "FLOAT32", "INT4", True): "2.19",
}
#: type of a file's tensors -> runtimes newer than it needs that get it wrong or refuse it with XNNPACK, their
#: default, and are right with plain kernels (results/targets; 1.4 is right with the same release's operators)
NOT_IN: dict[str, tuple[str, ...]] = {"FLOAT16": ("tflite-2.19", "litert-1.1", "litert-1.2", "litert-1.3")}
_NARROW = ("INT4", "INT2")
#: how a reason says it, and how it is read back: the reason is what metrics and stores have
_EXCEPTION = re.compile(r"\bbut not in ((?:[\w.-]+, )*[\w.-]+) with XNNPACK")


@dataclass(frozen=True)
class Need:
    """The oldest release that a file can be run with.

    Args:
        release: of TensorFlow, as `operator_releases.py` has it: `2.14.0`; empty where the table does not
            know an operator of the file.
        reason: the operator that needs it.
        micro: what LiteRT Micro does not run of it, in words; `runs` where there is nothing, None where that
            is not known.
        not_in: names of newer runtimes that are known not to run it by default.
    """

    release: str
    reason: str
    micro: str | None = None
    not_in: tuple[str, ...] = ()

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
        micro = refused(file) or RUNS
        types = {tensor.dtype for tensor in file.tensors}
        not_in = tuple(name for kind, names in NOT_IN.items() if kind in types for name in names)
        most, found = (0, 0, 0), cls(written((0, 0, 0)), "no operator", micro, not_in)
        for kind in dict.fromkeys(_kind(file, operator) for operator in file.operators):
            oldest = kind.oldest
            if oldest is None:
                lacking = f"{kind.name} of version {kind.version}, which the table of releases lacks"
                return cls("", lacking, micro)
            if oldest > most:
                most, found = oldest, cls(written(oldest), str(kind), micro, not_in)
        return found

    @property
    def told(self) -> str:
        """The reason, how the release is known where nothing was run in it, and newer ones that fail."""
        known = how_known(self.release) if self.release else ""
        return ", ".join(text for text in (self.reason, known, self.exception) if text)

    @property
    def exception(self) -> str:
        """The newer runtimes that do not run it, in words; empty where there are none."""
        return f"but not in {', '.join(self.not_in)} with XNNPACK" if self.not_in else ""

    def to_metrics(self) -> dict[str, str | None]:
        """Returns it under the names that metrics have for it; None where it is not known.

        The reason says the exceptions too: `excepted` finds them there.
        """
        return {
            "minimum_runtime": self.release or None,
            "minimum_runtime_reason": ", ".join(text for text in (self.reason, self.exception) if text),
            "micro_status": self.micro,
        }


def excepted(reason: str) -> tuple[str, ...]:
    """Returns the newer runtimes that a reason among metrics says do not run the file.

    >>> excepted("DEQUANTIZE of version 3, but not in tflite-2.19, litert-1.1 with XNNPACK")
    ('tflite-2.19', 'litert-1.1')
    """
    found = _EXCEPTION.search(reason)
    return tuple(found[1].split(", ")) if found else ()


@dataclass(frozen=True)
class _Kind:
    """What tells one operator of a file from another here.

    Args:
        name, version: as the file has them.
        source, weights: types of its first input and of its second where that is constant; empty for none.
        scales: whether the weights have several.
    """

    name: str
    version: int
    source: str
    weights: str
    scales: bool

    @property
    def oldest(self) -> tuple[int, int, int] | None:
        """The release that it needs, None where the table lacks it."""
        # of products trained scales decide between two versions, and what is needed is known before
        version = 3 if (self.name, self.version) == ("MUL", 2) else self.version
        brought = brought_in(self.name, version)
        if brought is None:
            return None
        later = LATER.get((self.name, self.source, self.weights, self.scales), "0")
        return max(release(brought), release(later))

    def __str__(self) -> str:
        if self.weights in _NARROW or (self.source, self.weights) == ("FLOAT32", "INT8"):
            scales = "a scale a channel" if self.scales else "one scale"
            return (
                f"{self.name} with {self.weights.lower()} weights of {scales} and {self.source.lower()} "
                "activations"
            )
        return f"{self.name} of version {self.version}" + (
            f" for {self.source.lower()}" if self.source in _NARROW else ""
        )


def _kind(file: TfliteFile, operator: FileOperator) -> _Kind:
    source, weights = (
        file.tensors[index] if index >= 0 else None for index in (*operator.places, -1, -1)[:2]
    )
    weights = weights if weights is not None and weights.constant else None
    return _Kind(
        operator.name,
        operator.version,
        "" if source is None else source.dtype,
        "" if weights is None else weights.dtype,
        weights is not None and weights.scales[1] > 1,
    )
