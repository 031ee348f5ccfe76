"""The Edge TPU's pre-check of a file: which operators would map, the first that would not, what to change."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...hw_models.formulas.edge_tpu_latency import cache_bytes
from ...hw_models.tables.tflite_file import TfliteFile
from ..litert.inspect import peak_bytes_of
from .limits import TAKEN, CheckedOperator

_STREAMED = (
    "{bytes:,} bytes of parameters find no room on the chip and are fetched for every image: "
    "fewer channels (prune_channels) or decomposed layers keep them there"
)


@dataclass(frozen=True)
class OperatorVerdict:
    """One operator of a file.

    Args:
        operator, version: as the file has them.
        layer: that it comes from; empty where that is not known.
        mapped: whether it would run on the chip.
        reason: why not; of a mapped one, what the documents leave open.
    """

    operator: str
    version: int
    layer: str
    mapped: bool
    reason: str = ""

    def __str__(self) -> str:
        place = f" of {self.layer}" if self.layer else ""
        return f"{self.operator}{place}" + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True)
class EdgeTpuReport:
    """What the documented rules say of a file.

    Args:
        operators: in the order of execution.
        parameter_bytes: constants, which the chip would hold.
        cache_bytes: on-chip memory that activations leave for them.
        advice: what to change in the recipe, a sentence each.
    """

    operators: tuple[OperatorVerdict, ...]
    parameter_bytes: int
    cache_bytes: int
    advice: tuple[str, ...]

    @property
    def mappable(self) -> float:
        """Share of operators that would run on the chip, in [0, 1]."""
        return sum(one.mapped for one in self.operators) / max(1, len(self.operators))

    @property
    def first(self) -> OperatorVerdict | None:
        """The first operator that would run on the CPU, None where there is none."""
        return next((one for one in self.operators if not one.mapped), None)

    def summary(self) -> str:
        """Returns the verdict in a sentence."""
        on_chip = sum(one.mapped for one in self.operators)
        text = f"{on_chip} of {len(self.operators)} operators would run on the Edge TPU"
        text += "" if self.first is None else f"; the first on the CPU is {self.first}"
        return (
            f"{text}; {self.parameter_bytes:,} bytes of parameters, room on the chip for {self.cache_bytes:,}"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON."""
        first = None if self.first is None else asdict(self.first)
        return {**asdict(self), "mappable": self.mappable, "first": first, "advice": list(self.advice)}


def check_edge_tpu(content: bytes, layers: Sequence[str] = ()) -> EdgeTpuReport:
    """Holds a file against Coral's documented rules; it is neither run nor compiled.

    The compiler makes one part for the chip: from the first operator that it does not take, everything runs
    on the CPU.

    Args:
        content: the bytes of a `.tflite` file.
        layers: the layer that each operator comes from, in the order of execution; files do not say.
    """
    return check_file(TfliteFile.parse(content), layers)


def check_file(file: TfliteFile, layers: Sequence[str] = ()) -> EdgeTpuReport:
    """Holds a file that was read against the rules; else as `check_edge_tpu`."""
    verdicts: list[OperatorVerdict] = []
    advice: list[str] = []
    stop = "" if file.subgraphs == 1 else "the file has several subgraphs, allowed is one"
    for index, stored in enumerate(file.operators):
        operator = CheckedOperator(file, stored)
        layer = layers[index] if index < len(layers) else ""
        # what is certain comes before what is only a risk
        found = min(operator.findings(), key=lambda finding: finding.risk, default=TAKEN)
        if found.advice:
            advice.append(found.advice.format(layer=layer or operator.name))
        mapped = found.risk and not stop
        reason = stop if stop and found.risk else found.reason
        verdicts.append(OperatorVerdict(operator.name, operator.version, layer, mapped, reason))
        if not found.risk:
            stop = stop or f"behind the first {operator.name} that runs on the CPU"
    parameters = sum(tensor.bytes for graph in file.graphs for tensor in graph.tensors if tensor.constant)
    room = cache_bytes(peak_bytes_of(file))
    if parameters > room:
        advice.append(_STREAMED.format(bytes=parameters - room))
    return EdgeTpuReport(tuple(verdicts), parameters, room, tuple(dict.fromkeys(advice)))
