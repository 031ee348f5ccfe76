"""Runs Vela where it is installed, the extra `ethos`: a file in, a file for the NPU and a report out."""

import signal
from configparser import ConfigParser
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from ...hw_models.formulas.setup import Npu
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from ...spaces.machine.scratch import scratch_folder
from ...spaces.nearest import known_names
from ...spaces.outside.shown import shown
from ..litert.inspect import operator_names
from .compiler_process import SAID
from .refusals import refused
from .report import VelaReport
from .running import LIMIT_S, run_compiler

#: the package on the index, and the version that the rules of `refusals.py` were found with
PACKAGE, TRIED = "ethos-u-vela", "5.2.0"
#: seconds for a beginning of a file that it did not come back from
_PART_LIMIT_S = 10.0
_NAME = "model"
#: characters of the compiler's own words that a sentence quotes
_LAST_WORDS = 200


class NotCompiled(AtollError):
    """The compiler does not survive a file, refuses it or does not come back; the operator is named."""


@dataclass(frozen=True)
class Compiled:
    """A file for an NPU.

    Args:
        content: the compiled file; what does not run on the NPU is in it as it was.
        report: the compiler's own.
        version: of the compiler.
    """

    content: bytes
    report: VelaReport
    version: str


def has_compiler() -> bool:
    """Whether the compiler is installed."""
    try:
        version(PACKAGE)
    except PackageNotFoundError:
        return False
    return find_spec("ethosu") is not None


def require_compiler(what: str) -> None:
    """Refuses what cannot be done without the compiler.

    Raises:
        AtollError: it is not installed; the message says how to install it.
    """
    if not has_compiler():
        raise AtollError(
            f"{what} needs Arm's compiler Vela, the package {PACKAGE}, which is not installed: pip install "
            "'atoll[ethos]', in a clone .venv/bin/pip install -e '.[ethos]'"
        )


@lru_cache
def clock_hz(npu: Npu) -> float:
    """Returns the clock of an NPU as the compiler's own `Arm/vela.ini` has it.

    Raises:
        AtollError: it has no such system or memory mode.
    """
    found = find_spec("ethosu")
    places = [] if found is None else found.submodule_search_locations or []
    sections = ConfigParser()
    sections.read([Path(place) / "config_files" / "Arm" / "vela.ini" for place in places])
    system = f"System_Config.{npu.system_config}"
    for section in (system, f"Memory_Mode.{npu.memory_mode}"):
        if section not in sections:
            known = [one.partition(".")[2] for one in sections if one.startswith(section.partition(".")[0])]
            name = section.partition(".")[2]
            raise AtollError(f"Vela {version(PACKAGE)} knows no {name!r}; {known_names(name, known)}")
    return sections[system].getfloat("core_clock", fallback=0.0)


@lru_cache(maxsize=2)  # whole files: what is written is measured next; figures are kept with a recipe's price
def compile_for_ethos_u(content: bytes, npu: Npu) -> Compiled:
    """Compiles a file; the last ones are kept.

    Args:
        content: the bytes of a `.tflite` file; the compiler is native code, no sandbox.
        npu: accelerator, system and memory mode.

    Raises:
        NotCompiled: the compiler cannot; the message names the operator.
        AtollError: it is not installed, or knows no such system.
    """
    require_compiler(npu.accelerator)
    clock_hz(npu)  # says of a wrong word what is allowed, where the compiler prints its own usage
    why = refused(TfliteFile.parse(content))
    if why:
        raise NotCompiled(f"Vela cannot compile it: {why}")
    found = _compiled(content, npu)
    if isinstance(found, Compiled):
        return found
    raise NotCompiled(f"Vela cannot compile it: {found} at {_culprit(content, npu)}")


def _compiled(content: bytes, npu: Npu, limit_s: float = LIMIT_S) -> Compiled | str:
    """Compiles a file within some seconds, or returns how that ended."""
    with scratch_folder() as folder:
        (folder / f"{_NAME}.tflite").write_bytes(content)
        arguments = [
            f"{_NAME}.tflite",
            *("--accelerator-config", npu.accelerator),
            *("--system-config", npu.system_config),
            *("--memory-mode", npu.memory_mode),
            *("--config", "Arm/vela.ini", "--output-dir", ".", "--verbose-performance"),
        ]
        try:
            code = run_compiler([str(folder), *arguments], limit_s)
        except TimeoutError:
            return f"it did not end within {limit_s:g} s"
        said = (folder / SAID).read_text(errors="replace") if (folder / SAID).exists() else ""
        if code < 0:
            return f"it died ({signal.Signals(-code).name})"
        compiled = folder / f"{_NAME}_vela.tflite"
        if code or not compiled.exists():
            words = " ".join(said.split())[-_LAST_WORDS:]
            return f"it failed ({shown(words)})"
        try:
            summary = (folder / f"{_NAME}_summary_{npu.system_config}.csv").read_text()
            layers = (folder / f"{_NAME}_per-layer.csv").read_text()
        except OSError as error:
            raise AtollError(f"Vela {version(PACKAGE)} wrote no report: {error.strerror}") from error
        return Compiled(compiled.read_bytes(), VelaReport.of(said, summary, layers), version(PACKAGE))


def _culprit(content: bytes, npu: Npu) -> str:
    """Returns the first operator without which a file that ends the compiler would not, in words."""
    from ..litert.crash import crashing_operator  # the schema takes a moment

    names = operator_names(content)
    at = crashing_operator(content, lambda part: isinstance(_compiled(part, npu, _PART_LIMIT_S), str))
    return f"{names[at]}, operator {at + 1} of {len(names)}"
