"""Runs a file in another release of the runtime than this machine's, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from ...hw_models.runtimes.wheels import Wheel
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from ...spaces.machine.scratch import scratch_folder
from ..litert.file_run import RUN_S, FileRun
from ..litert.fresh_process import ended_by, last_words
from ..litert.runtime import parts_of
from ..litert.tensors import TensorGrid
from ..measuring.file_ends import FileEnd, file_ends

#: a runtime's own kernels and delegates, or the plain kernels alone
Kernels = Literal["default", "plain"]
PROGRAM = Path(__file__).with_name("alone.py")
_MODEL, _ANSWER, _STAGE = "model.tflite", "answer.json", "stage"
_STARTING = "starting"
_INPUT, _OUTPUT = "input-{}.npy", "output-{}.npy"
#: seconds until it runs: TensorFlow, imported for the first time, took 70 on cores that others used too
START_S = 300
#: characters of a runtime's own words that a sentence quotes
_QUOTED = 500


class Refusal(AtollError):
    """The runtime does not load the file, or stops or ends in it: in its words."""


def run_in(
    packages: Path, wheel: Wheel, kernels: Kernels, content: bytes, count: int, batches: Iterable[np.ndarray]
) -> FileRun:
    """Runs a file over images in a release.

    Args:
        packages: where it is installed.
        wheel: what is.
        kernels: which of it.
        content: the bytes of the file; the runtime is native code, no sandbox.
        count: how many images there are, >= 1.
        batches: of images, each [n, height, width, channels], float32; of several inputs rows.

    Raises:
        Refusal: the runtime does not run the file.
        AtollError: it was not run at all.
    """
    with scratch_folder() as folder:
        given = write_job(folder, content, count, batches)
        # -I and -S: nothing of this environment, of the user's or of the working directory is imported
        command = [
            sys.executable,
            "-I",
            "-S",
            str(PROGRAM),
            str(packages),
            wheel.module,
            str(folder),
            kernels,
        ]
        limit_s = START_S + RUN_S * count
        try:
            process = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=limit_s, cwd=folder
            )
        except subprocess.TimeoutExpired as error:
            late = f"did not come back within {limit_s} s while {_stage(folder)}"
            if _stage(folder) == _STARTING:
                raise AtollError(f"{wheel} {late}") from error
            raise Refusal(f"it {late} the file") from error
        if process.returncode or not (folder / _ANSWER).exists():
            ended = f"({ended_by(process)}) while {_stage(folder)} the file: {last_words(process)[:_QUOTED]}"
            if _stage(folder) == _STARTING:
                raise AtollError(f"{wheel} was not run {ended}")
            raise Refusal(f"it ended the process {ended}")
        return read_answer(folder, given)


def write_job(folder: Path, content: bytes, count: int, batches: Iterable[np.ndarray]) -> list[FileEnd]:
    """Writes what the program by itself is given; returns the outputs that its answer will have.

    Args:
        folder: an empty one.
        content, count, batches: as `run_in` has them.
    """
    (folder / _MODEL).write_bytes(content)
    ends, outputs = file_ends(TfliteFile.parse(content))
    shapes = [tuple(end.shape) for end in ends]
    files = [
        np.lib.format.open_memmap(folder / _INPUT.format(number), "w+", end.type, (count, *end.shape[1:]))
        for number, end in enumerate(ends)
    ]
    for place, image in enumerate(image for batch in batches for image in batch):
        for file, end, value in zip(files, ends, parts_of(image, shapes), strict=True):
            grid = _grid(end)
            file[place] = (value if grid is None else grid.quantize(value))[0]
    return outputs


def read_answer(folder: Path, outputs: list[FileEnd]) -> FileRun:
    """Returns the answer that the program wrote.

    Raises:
        Refusal: the runtime stops in the file.
    """
    answer = json.loads((folder / _ANSWER).read_text())
    if "error" in answer:
        raise Refusal(" ".join(answer["error"].split())[:_QUOTED])
    found = []
    for number, end in enumerate(outputs):
        raw, grid = np.load(folder / _OUTPUT.format(number)), _grid(end)
        raw = raw[:, 0] if raw.ndim > 1 and raw.shape[1] == 1 else raw
        found.append(raw if grid is None else grid.dequantize(raw))
    return FileRun(tuple(found), tuple(end.scale for end in outputs), latency_ms=None)


def _grid(end: FileEnd) -> TensorGrid | None:
    return None if end.scale is None else TensorGrid(end.scale, end.zero_point or 0)


def _stage(folder: Path) -> str:
    """Returns what the process was about to do."""
    return (folder / _STAGE).read_text() if (folder / _STAGE).exists() else _STARTING
