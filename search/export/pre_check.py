"""Pre-checks of an export for a device: what its compiler would take, read off the file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...evaluators.card.bundle import load_bundle
from ...evaluators.edge_tpu.check import EdgeTpuReport, check_edge_tpu
from ...evaluators.edge_tpu.compiler import COMPILER, Compilation, compile_for_edge_tpu
from ...evaluators.litert.lower import operator_layers
from ...evaluators.measuring.artifact import artifact_bytes
from ...hw_models.runtimes.micro import MICRO
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from ...spaces.layers.structure import input_shape_of
from ...spaces.nearest import known_names
from ...spaces.outside.foreign_file import damage_told, inside, read_bytes
from .export import ARTIFACT

#: devices whose compilers have rules of their own; `micro_check` has those of LiteRT Micro's
DEVICES = ("coral-edge-tpu",)


@dataclass(frozen=True)
class PreCheck:
    """A file as a device's compiler would see it.

    Args:
        device: which.
        report: by the documented rules.
        compilation: by the compiler itself; None where it was not asked.
        why: it was not asked.
    """

    device: str
    report: EdgeTpuReport
    compilation: Compilation | None
    why: str

    @property
    def word(self) -> str:
        """What may be said of the file: only a compiler compiles."""
        if self.compilation is None:
            return "pre-checked"
        return "compiled" if self.compilation.succeeded else "not compiled"

    @property
    def passed(self) -> bool:
        """Whether everything runs on the device, as far as can be told."""
        return self.report.mappable == 1.0 and self.word != "not compiled"

    def rows(self) -> list[dict[str, Any]]:
        """Returns one row an operator."""
        return [
            {**asdict(one), "runs_on": "Edge TPU" if one.mapped else "CPU"} for one in self.report.operators
        ]

    def sentences(self) -> list[str]:
        """Returns the verdict, what to change, and the compiler's own report."""
        where = f", since {self.why}" if self.compilation is None else ""
        found = [f"{self.word} for {self.device}{where}: {self.report.summary()}"]
        found += [f"to change: {advice}" for advice in self.report.advice]
        return [*found, self.compilation.report] if self.compilation is not None else found

    def to_json(self) -> Mapping[str, Any]:
        """Returns plain JSON."""
        compiler = None if self.compilation is None else self.compilation.report
        return {"device": self.device, "word": self.word, **self.report.to_json(), "compiler": compiler}


def pre_check(folder: Path, device: str, trust: bool = False) -> PreCheck:
    """Checks an export for a device; its compiler is given only a file that Atoll writes from the weights.

    Args:
        folder: what `atoll export` wrote.
        device: one of `DEVICES`.
        trust: whether the compiler, a native program, is given whatever lies there.

    Raises:
        AtollError: for another device, or a folder that holds no export.
    """
    if device not in DEVICES:
        raise AtollError(f"no pre-check for the device {device!r}; {known_names(device, (*DEVICES, MICRO))}")
    try:
        content = read_bytes(inside(folder, ARTIFACT))
    except OSError as error:
        raise AtollError(f"no export in {folder}: {ARTIFACT} cannot be read ({error.strerror})") from error
    with damage_told(f"no export in {folder}: {ARTIFACT} is damaged"):
        TfliteFile.parse(content)
        network, _ = load_bundle(folder)
        shape = input_shape_of(network)
        ours = artifact_bytes(network, shape) == content
        # Files do not say which layer an operator is of.
        report = check_edge_tpu(content, operator_layers(network, shape) if ours else [])
    if not ours and not trust:
        why = f"the weights give another {ARTIFACT} (--trust hands it to the compiler)"
        return PreCheck(device, report, None, why)
    return PreCheck(device, report, compile_for_edge_tpu(content), f"no {COMPILER} is on the PATH")
