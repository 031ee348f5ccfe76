"""Checks an export for a device with an Ethos-U: what its compiler maps, and what it estimates."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...evaluators.card.bundle import load_bundle
from ...evaluators.ethos_u.compiler import NotCompiled, compile_for_ethos_u, require_compiler
from ...evaluators.ethos_u.report import VelaReport
from ...evaluators.measuring.artifact import artifact_bytes
from ...hw_models.devices.device import npu_of
from ...spaces.errors import AtollError
from ...spaces.layers.structure import input_shape_of
from ...spaces.outside.foreign_file import damage_told, inside, read_bytes
from .export import ARTIFACT


@dataclass(frozen=True)
class EthosCheck:
    """A file as Vela compiles it.

    Args:
        device: which.
        report: the compiler's; None where it did not compile the file, or was not asked.
        version: of the compiler.
        compiled_bytes: of the compiled file; 0 where there is none.
        why: it did not, or was not asked.
    """

    device: str
    report: VelaReport | None
    version: str = ""
    compiled_bytes: int = 0
    why: str = ""

    @property
    def passed(self) -> bool:
        """Whether every operator runs on the NPU."""
        return self.report is not None and self.report.mappable == 1.0

    def rows(self) -> list[dict[str, Any]]:
        """Returns one row an operator, as the compiler has them: some fused, some made of one."""
        told = [] if self.report is None else self.report.operators
        return [{"operator": one.operator, "runs_on": "Ethos-U" if one.on_npu else "CPU"} for one in told]

    def sentences(self) -> list[str]:
        """Returns the verdict and the compiler's reasons."""
        if self.report is None:
            return [f"not compiled for {self.device}: {self.why}"]
        made = f"compiled for {self.device} by Vela {self.version}, {self.compiled_bytes:,} bytes"
        return [f"{made}: {self.report.summary()}", *(f"on the CPU: {one}" for one in self.report.refusals)]

    def to_json(self) -> Mapping[str, Any]:
        """Returns plain JSON."""
        told = None if self.report is None else self.report.to_json()
        made = {"version": self.version, "compiled_bytes": self.compiled_bytes}
        return {"device": self.device, "passed": self.passed, **made, "report": told, "why": self.why}


def ethos_check(folder: Path, device: str, trust: bool = False) -> EthosCheck:
    """Compiles an export; the compiler is given only a file that Atoll writes from the weights.

    Args:
        folder: what `atoll export` wrote.
        device: with an NPU, NAME or NAME:SETUP.
        trust: whether the compiler, native code, is given whatever lies there.

    Raises:
        AtollError: for another device, a folder that holds no export, or without the compiler.
    """
    npu = npu_of(device)
    if npu is None:
        raise AtollError(f"the device {device} has no Ethos-U; allowed are the devices ethos-u…")
    require_compiler(device)
    try:
        content = read_bytes(inside(folder, ARTIFACT))
    except OSError as error:
        raise AtollError(f"no export in {folder}: {ARTIFACT} cannot be read ({error.strerror})") from error
    with damage_told(f"no export in {folder}: {ARTIFACT} is damaged"):
        network, _ = load_bundle(folder)
        ours = artifact_bytes(network, input_shape_of(network)) == content
    if not ours and not trust:
        why = f"the weights give another {ARTIFACT} (--trust hands it to the compiler)"
        return EthosCheck(device, None, why=why)
    try:
        found = compile_for_ethos_u(content, npu)
    except NotCompiled as error:
        return EthosCheck(device, None, why=str(error))
    return EthosCheck(device, found.report, found.version, len(found.content))
