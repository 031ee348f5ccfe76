"""What Vela reports of a compiled file: its estimates, which nobody measured."""

import csv
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import StringIO
from typing import Any, Self

from ...spaces.errors import AtollError
from ...spaces.outside.shown import shown

#: KiB of the report's memories, in bytes
_KIB = 1024
_COUNT = re.compile(r"^(CPU|NPU) operators = (\d+) ", re.MULTILINE)
_WARNING = re.compile(r"^Warning \(supported operators\) operator: (\w+),.*\n(?:Reason: )?(.*)", re.MULTILINE)
#: how it calls a tensor without a name, which says nothing
_UNNAMED = re.compile(r" \(?<unnamed>\w*\)?")
_MEMORIES = ("sram", "dram", "on_chip_flash", "off_chip_flash")


@dataclass(frozen=True)
class VelaOperator:
    """One operator as the compiler carries it out, some of them fused or made of one of the file.

    Args:
        operator: the compiler's name of that of the file.
        on_npu: whether it runs there.
        cycles: of the NPU.
        macs: multiply-accumulates, as the compiler counts them.
    """

    operator: str
    on_npu: bool
    cycles: int
    macs: int


@dataclass(frozen=True)
class VelaReport:
    """Figures of the compiler; times and cycles are its estimates.

    Args:
        accelerator, system_config, memory_mode: that it compiled for.
        clock_hz: of the NPU.
        npu_operators, cpu_operators: how many run where, as the compiler counts them.
        cycles: of the NPU, memory included.
        macs: multiply-accumulates on the NPU.
        sram_bytes: tensors of what runs on the NPU, where they are in SRAM.
        dram_bytes, flash_bytes: in the other memories: constants and commands, or tensors too.
        original_weight_bytes, encoded_weight_bytes: of the weights on the NPU, before and after its coding.
        operators: in the order of execution.
        refusals: why an operator runs on the CPU, in the compiler's words, each once.
    """

    accelerator: str
    system_config: str
    memory_mode: str
    clock_hz: float
    npu_operators: int
    cpu_operators: int
    cycles: int
    macs: int
    sram_bytes: int
    dram_bytes: int
    flash_bytes: int
    original_weight_bytes: int
    encoded_weight_bytes: int
    operators: tuple[VelaOperator, ...]
    refusals: tuple[str, ...]

    @property
    def mappable(self) -> float:
        """Share of operators that run on the NPU, in [0, 1]; none at all run there."""
        return self.npu_operators / max(1, self.npu_operators + self.cpu_operators)

    @property
    def time_ms(self) -> float:
        """What the NPU takes for one image at its clock."""
        return 1000 * self.cycles / self.clock_hz

    @property
    def on_cpu(self) -> tuple[str, ...]:
        """The operators that run on the CPU, each once."""
        return tuple(dict.fromkeys(one.operator for one in self.operators if not one.on_npu))

    @classmethod
    def of(cls, said: str, summary: str, layers: str) -> Self:
        """Reads a report.

        Args:
            said: on the standard output.
            summary, layers: the two tables that it writes, as CSV.

        Raises:
            AtollError: it is of another form, as another version of the compiler may write it.
        """
        try:
            row = next(csv.DictReader(StringIO(summary)))
            used = {name: round(float(row[f"{name}_memory_used"]) * _KIB) for name in _MEMORIES}
            counts = dict(_COUNT.findall(said))
            return cls(
                accelerator=shown(row["accelerator_configuration"]),
                system_config=shown(row["system_config"]),
                memory_mode=shown(row["memory_mode"]),
                clock_hz=float(row["core_clock"]),
                npu_operators=int(counts["NPU"]),
                cpu_operators=int(counts["CPU"]),
                cycles=int(row["cycles_total"]),
                macs=int(row["nn_macs"]),
                sram_bytes=used["sram"],
                dram_bytes=used["dram"],
                flash_bytes=used["on_chip_flash"] + used["off_chip_flash"],
                original_weight_bytes=int(row["total_original_weights"]),
                encoded_weight_bytes=int(row["total_npu_encoded_weights"]),
                operators=tuple(map(_operator, csv.DictReader(StringIO(layers)))),
                refusals=tuple(
                    dict.fromkeys(
                        shown(f"{name}: {_UNNAMED.sub('', reason)}")
                        for name, reason in _WARNING.findall(said)
                    )
                ),
            )
        except (StopIteration, KeyError, ValueError, TypeError) as error:
            raise AtollError(f"Vela's report has another form than known ({error!r})") from error

    def summary(self) -> str:
        """Returns what runs where and what it takes, in a sentence."""
        total = self.npu_operators + self.cpu_operators
        text = f"{self.npu_operators} of {total} operators run on the NPU"
        if self.cpu_operators:
            text += f", on the CPU {', '.join(self.on_cpu)}"
        memories = f"{self.sram_bytes:,} bytes of SRAM, {self.flash_bytes:,} of flash"
        memories += f", {self.dram_bytes:,} of DRAM" if self.dram_bytes else ""
        return (
            f"{text}; the compiler estimates {self.cycles:,} cycles, {self.time_ms:.3f} ms at "
            f"{self.clock_hz / 1e6:g} MHz; {memories} ({self.system_config}, {self.memory_mode})"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON."""
        return {**asdict(self), "mappable": self.mappable, "time_ms": self.time_ms}


def _operator(row: Mapping[str, str]) -> VelaOperator:
    return VelaOperator(
        shown(row["Original Operator"]),
        row["Target"] == "NPU",
        int(row["Op Cycles"]),
        int(row["MAC Count"]),
    )
