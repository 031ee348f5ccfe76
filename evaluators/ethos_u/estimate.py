"""What a file costs on an Ethos-U: the compiler's estimates, and an assumption for what it leaves over."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from ...hw_models.formulas.prediction import ESTIMATED, Prediction
from ...hw_models.formulas.setup import Setup
from ...hw_models.runtimes.micro_arena import arena_of
from ...hw_models.tables.file_table import macs_of
from ...hw_models.tables.tflite_file import FileOperator, TfliteFile
from .compiler import NotCompiled, clock_hz, compile_for_ethos_u, require_compiler
from .refusals import has_work, refused
from .report import VelaReport

#: Cycles of a CPU beside the NPU for a multiply-accumulate or an element, at the clock of the NPU: likely,
#: least and most. Nobody measured it (own choice): the vector unit of a Cortex-M55 makes eight products of 8
#: bits a cycle, and a loop in plain C takes some ten cycles for one of float. It keeps a recipe with such
#: operators from looking fast, and its status says that it is no estimate of the compiler's.
_CYCLES, _LEAST_CYCLES, _MOST_CYCLES = 1.0, 1 / 8, 10.0


@dataclass(frozen=True)
class Estimate:
    """A file on an Ethos-U.

    Args:
        mappable: share of the operators that run on the NPU, in [0, 1].
        flash_bytes: the compiled file; the file itself where nothing is compiled.
        latency_ms: for one image; without an interval where everything runs on the NPU.
        peak_memory_bytes: SRAM; the tensor arena of LiteRT Micro where that is more, since it runs the rest.
        refusal: why the compiler cannot compile it, in a sentence; empty where it can, or has nothing to.
    """

    mappable: float
    flash_bytes: int
    latency_ms: Prediction
    peak_memory_bytes: Prediction
    refusal: str = ""

    @property
    def predictions(self) -> Mapping[str, Prediction]:
        """Time and memory under the names that predictions of a device have."""
        return {"latency_ms": self.latency_ms, "peak_memory_bytes": self.peak_memory_bytes}


def estimate(file: TfliteFile, setup: Setup) -> Estimate:
    """Returns what a file costs in a set-up with an NPU.

    Args:
        file: as it is planned, with integers drawn in place of its weights, or trained.
        setup: with its `npu`.

    Raises:
        AtollError: the compiler is not installed, or knows no such system.
    """
    assert setup.npu is not None
    require_compiler(setup.npu.accelerator)
    if not has_work(file) and not refused(file):
        return _with_cpu(file, setup, file.size_bytes, None)
    try:
        compiled = compile_for_ethos_u(file.content, setup.npu)
    except NotCompiled as error:
        return _with_cpu(file, setup, file.size_bytes, None, str(error))
    report, size = compiled.report, len(compiled.content)
    if report.cpu_operators:
        return _with_cpu(file, setup, size, report)
    time, memory = (
        Prediction(one, one, one, ESTIMATED, setup.name) for one in (report.time_ms, report.sram_bytes)
    )
    return Estimate(1.0, size, time, memory)


def _with_cpu(
    file: TfliteFile, setup: Setup, flash_bytes: int, report: VelaReport | None, refusal: str = ""
) -> Estimate:
    """Returns what a file costs of which a part runs on the CPU; all of it where there is no report."""
    assert setup.npu is not None
    left = _left_over(file, report)
    names = ", ".join(dict.fromkeys(one.name for one in left))
    status = f"unknown operation: {refusal or f'{names} on the CPU'}"
    work = sum(macs_of(file, one) + _made(file, one) for one in left)
    on_npu_ms = 0.0 if report is None else report.time_ms
    value, low, high = (
        on_npu_ms + 1000 * cycles * work / clock_hz(setup.npu)
        for cycles in (_CYCLES, _LEAST_CYCLES, _MOST_CYCLES)
    )
    arena = max(0 if report is None else report.sram_bytes, arena_of(file).bytes)
    return Estimate(
        0.0 if report is None else report.mappable,
        flash_bytes,
        Prediction(value, low, high, status, setup.name),
        Prediction(arena, arena, arena, status, setup.name),
        refusal,
    )


def _left_over(file: TfliteFile, report: VelaReport | None) -> list[FileOperator]:
    """Returns the operators of the file that run on the CPU.

    The compiler says which by their names: where some of a name run on the NPU, all are returned.
    """
    running = [one for one in file.operators if file.computed.intersection(one.inputs)]
    if report is None:
        return running
    names = {_plain(name) for name in report.on_cpu}
    return [one for one in running if _plain(one.name) in names] or running


def _plain(name: str) -> str:
    """Returns the name of an operator without what the schema and the compiler write differently."""
    return name.replace("_", "").lower().removesuffix("2d")


def _made(file: TfliteFile, operator: FileOperator) -> int:
    return sum(prod(file.tensors[index].shape) for index in operator.outputs)
