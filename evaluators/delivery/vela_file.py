"""The artifact as Arm's compiler Vela writes it for the Ethos-U of the study's device."""

from pathlib import Path
from typing import Any

from ...spaces.errors import AtollError
from ...spaces.outside.foreign_file import read_bytes
from ..ethos_u.compiler import PACKAGE, Compiled, compile_for_ethos_u, require_compiler
from .delivery import Form, Source

_WHAT = "--also vela"


class VelaFile:
    """`model_vela.tflite`."""

    name = "vela"
    file = "model_vela.tflite"
    beside: tuple[str, ...] = ()
    packages: tuple[str, ...] = (PACKAGE,)
    # the file is compared as bytes alone; compiled again is model.tflite, which the weights give
    risk = ""

    def check(self) -> None:
        """Looks for the package of the extra `ethos`."""
        require_compiler(_WHAT)

    def write(self, folder: Path, source: Source) -> str:
        """Writes the compiled file.

        Raises:
            AtollError: the device has no Ethos-U, the compiler cannot compile the file, or no operator of it
                runs on the NPU.
        """
        found = _compiled(source)
        if not found.report.npu_operators:
            raise AtollError(f"{_WHAT}: no operator runs on the NPU: {'; '.join(found.report.refusals)}")
        (folder / self.file).write_bytes(found.content)
        return f"commands for the NPU, by Vela {found.version}: {found.report.summary()}"

    def measure(self, folder: Path, source: Source) -> dict[str, Any]:
        """Compiles the artifact again, compares the bytes and returns the compiler's figures.

        Nothing runs the file: there is no Ethos-U here, and its figures are the compiler's estimates.
        """
        found = _compiled(source)
        if read_bytes(folder / self.file) != found.content:
            raise AtollError(f"{self.file} is not what Vela {found.version} makes of model.tflite")
        figures = found.report.to_json()
        return {name: value for name, value in figures.items() if name not in ("operators", "refusals")}


def _compiled(source: Source) -> Compiled:
    if source.npu is None:
        raise AtollError(f"{_WHAT}: the study's device has no Ethos-U; allowed is a study for ethos-u…")
    return compile_for_ethos_u(source.artifact, source.npu)


FORM: Form = VelaFile()
