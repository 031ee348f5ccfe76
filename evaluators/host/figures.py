"""What files take on this machine: measured, and what the device `host` predicts beside it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...hw_models.board import bench
from ...hw_models.devices.device import Device
from ...hw_models.formulas.memory import MIB
from ...hw_models.formulas.prediction import Prediction
from ...hw_models.tables.file_table import layer_table_of
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from ...spaces.machine.quiet_stderr import quiet_stderr
from ...spaces.machine.scratch import scratch_folder
from ..ranking.figures import FIGURE

DEVICE = "host"
#: turns of each file, and how long one is at least: a second a file
ROUNDS, ROUND_SECONDS = 5, 0.2


@dataclass(frozen=True)
class HostFigures:
    """One file on this machine.

    Args:
        latency_ms: median of one run, one thread, the files taking turns.
        peak_memory_bytes: peak growth of a fresh process that loads and runs the file.
        predicted: latency_ms and peak_memory_bytes of the device `host`, from the file's own graph.
    """

    latency_ms: float
    peak_memory_bytes: int
    predicted: dict[str, Prediction]

    def to_event(self) -> dict[str, Any]:
        """Returns the figures under the names of the store's columns."""
        found: dict[str, Any] = {
            "latency_host_ms_measured": self.latency_ms,
            "peak_memory_host_bytes_measured": self.peak_memory_bytes,
        }
        for quantity, name in (
            ("latency_ms", "latency_host_ms"),
            ("peak_memory_bytes", "peak_memory_host_bytes"),
        ):
            one = self.predicted.get(quantity)
            if one is not None:  # a user's own calibration may lack it
                found |= zip(FIGURE[name].columns, (one.value, one.low, one.high, one.status), strict=True)
        return found


def host_figures(contents: Sequence[bytes]) -> list[HostFigures]:
    """Times files in turns on one thread and prices them; nothing else should run meanwhile.

    Args:
        contents: bytes of `.tflite` files.

    Raises:
        AtollError: a file does not run here.
    """
    host = Device.load(DEVICE)
    with scratch_folder() as folder:
        paths = [str(folder / f"{number}.tflite") for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            Path(path).write_bytes(content)
        said: list[str] = []
        try:
            memory = [round(MIB * bench.peak_memory_mib(path)) for path in paths]
            with quiet_stderr() as said:  # the runtime tells which delegate it made
                times = bench.time_files(
                    paths, rounds=ROUNDS, runs=ROUNDS, round_seconds=ROUND_SECONDS, clock=time.thread_time
                )
        except bench.BenchError as error:
            raise AtollError("; ".join([str(error), *said[-1:]])) from error
    found = []
    for path, content, peak in zip(paths, contents, memory, strict=True):
        table = layer_table_of(TfliteFile.parse(content), DEVICE)
        median_ms, _, _ = bench.latency(times[path])
        found.append(HostFigures(median_ms, peak, host.predict(table, model_bytes=len(content))))
    return found
