"""Runs a ``.tflite`` file in a process of its own: a runtime that crashes ends that process alone."""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...spaces.errors import AtollError
from ...spaces.machine.scratch import scratch_folder
from .fresh_process import ended_by, last_words, run_fresh
from .runtime import LiteRtRunner

_MODEL, _IMAGES, _OUTPUT = "model.tflite", "images.npy", "output-{}.npy"
_ANSWER, _STAGE = "answer.json", "stage"
#: seconds that the process may take to start and load, and for one run: 20 times what vgg19, the largest
#: file and dearest run of the zoo, took (3 s and 0.24 s, one thread, own measurement, 2026)
START_S, RUN_S = 60, 5


class RuntimeCrash(AtollError):
    """The process that ran a file died in the runtime."""


@dataclass(frozen=True)
class FileRun:
    """What a file gave.

    Args:
        outputs: [count, *output shape without batch] of each, float32; maps channels last.
        steps: of each output that is int8, None of a float one.
        latency_ms: median time of one run on this machine, one thread; None where it was not asked for.
    """

    outputs: tuple[np.ndarray, ...]
    steps: tuple[float | None, ...]
    latency_ms: float | None


def run_file(
    content: bytes, count: int, batches: Iterable[np.ndarray], timed_runs: int = 0, threads: int = 1
) -> FileRun:
    """Runs a file over images in a fresh process.

    Args:
        content: the bytes of the file.
        count: how many images there are, >= 1.
        batches: of images, each [n, height, width, channels], float32.
        timed_runs: runs for the median time, 0 for none.
        threads: of the runtime.

    Raises:
        RuntimeCrash: the runtime crashed; the message says when.
        AtollError: the runtime does not load the file or stops in it, with the runtime's reason, or does not
            come back in time.
    """
    with scratch_folder() as folder:
        (folder / _MODEL).write_bytes(content)
        _write_images(folder / _IMAGES, count, batches)
        limit_s = START_S + RUN_S * (count + timed_runs)
        try:
            process = run_fresh(__name__, str(folder), str(timed_runs), str(threads), limit_s=limit_s)
        except subprocess.TimeoutExpired as error:
            late = f"the LiteRT runtime did not come back within {limit_s} s while {_stage(folder)} the file"
            raise AtollError(late) from error
        if process.returncode or not (folder / _ANSWER).exists():
            raise RuntimeCrash(_death(folder, process))
        answer = json.loads((folder / _ANSWER).read_text())
        if "error" in answer:
            raise AtollError(answer["error"])
        steps = tuple(answer["steps"])
        outputs = tuple(np.load(folder / _OUTPUT.format(position)) for position in range(len(steps)))
        return FileRun(outputs, steps, answer["latency_ms"])


def _write_images(path: Path, count: int, batches: Iterable[np.ndarray]) -> None:
    """Writes batches one after the other: all images as floats may be more than fits into memory."""
    images, start = None, 0
    for batch in batches:
        if images is None:
            images = np.lib.format.open_memmap(path, "w+", np.float32, (count, *batch.shape[1:]))
        images[start : start + len(batch)] = batch
        start += len(batch)


def _death(folder: Path, process: subprocess.CompletedProcess[str]) -> str:
    """Returns the sentence for a process that ended without an answer."""
    last = f"; its last words: {said}" if (said := last_words(process)) else ""
    return f"the LiteRT runtime crashed ({ended_by(process)}) while {_stage(folder)} the file{last}"


def _stage(folder: Path) -> str:
    """Returns what the process was about to do."""
    return (folder / _STAGE).read_text() if (folder / _STAGE).exists() else "starting"


def _carry_out(folder: Path, timed_runs: int, threads: int) -> dict[str, Any]:
    """Loads, runs and times the file of a folder; says before each what it is about to do."""
    (folder / _STAGE).write_text("loading")
    runner = LiteRtRunner(folder / _MODEL, threads)
    (folder / _STAGE).write_text("running")
    images = np.load(folder / _IMAGES, mmap_mode="r")
    try:
        for position, rows in enumerate(zip(*(runner.run_heads(image) for image in images), strict=True)):
            joined = np.concatenate(rows) if runner.outputs[position]["shape"][0] == 1 else np.stack(rows)
            np.save(folder / _OUTPUT.format(position), joined)
    except (ValueError, RuntimeError) as error:
        raise AtollError(f"LiteRT stops in the model: {error}") from error
    (folder / _STAGE).write_text("timing")
    latency_ms = runner.time_ms(timed_runs) if timed_runs else None
    steps = [None if grid is None else grid.scale for grid in runner.output_grids]
    return {"steps": steps, "latency_ms": latency_ms}


def main() -> None:
    """The fresh process: `python -m … FOLDER RUNS THREADS`."""
    folder = Path(sys.argv[1])
    try:
        answer = _carry_out(folder, int(sys.argv[2]), int(sys.argv[3]))
    except AtollError as error:
        answer = {"error": " ".join(str(error).split())}
    (folder / _ANSWER).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
