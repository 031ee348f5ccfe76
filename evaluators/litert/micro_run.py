"""Runs a ``.tflite`` file in LiteRT Micro's interpreter, where its package is installed: the extra `micro`.

In a process of its own, since the interpreter ends the process for some files. Its kernels are the reference
ones and its pointers have 64 bits; it runs in just the arena that is claimed for the file.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...hw_models.runtimes.micro import PACKAGE
from ...hw_models.runtimes.micro_arena import arena_of
from ...hw_models.tables.tflite_file import TfliteFile
from ...spaces.errors import AtollError
from ...spaces.machine.scratch import scratch_folder
from .fresh_process import ended_by, last_words, run_fresh
from .runtime import parts_of
from .tensors import TensorGrid

_MODEL, _IMAGES, _ANSWER, _OUTPUT = "model.tflite", "images.npy", "answer.json", "output_{}.npy"
#: reference kernels take a second for an image of a small network (own choice, with room)
_START_S, _RUN_S = 60, 30
#: how the interpreter's allocator says what it used
_RECORDED = re.compile(r"Arena allocation total (\d+) bytes")
#: words of its own that a sentence quotes
_LAST_WORDS = 300


@dataclass(frozen=True)
class MicroRun:
    """What the interpreter made of a file.

    Args:
        refusal: its words, where it did not load or run it; nothing where it did.
        claimed_bytes: the arena that it was given, which is the claimed one.
        recorded_bytes: of it, what its allocator used; None where it did not run the file.
        outputs: [images, ...] of each output, real values, as the file has them: channels last.
        steps: of their grids, None for float ones.
    """

    refusal: str
    claimed_bytes: int
    recorded_bytes: int | None = None
    outputs: tuple[np.ndarray, ...] = ()
    steps: tuple[float | None, ...] = ()


def has_interpreter() -> bool:
    """Whether the package with the interpreter is installed, with its version, which a card names."""
    try:
        version(PACKAGE)
    except PackageNotFoundError:
        return False
    return find_spec("tflite_micro") is not None


def run_in_micro(content: bytes, images: np.ndarray) -> MicroRun:
    """Runs a file over images.

    Args:
        content: the bytes of the file; the interpreter is native code, no sandbox.
        images: [n, height, width, channels], float32, as the network takes them; of several inputs rows.

    Raises:
        AtollError: the package is not installed or does not load, or the interpreter does not come back.
    """
    if not has_interpreter():
        raise AtollError(
            f"LiteRT Micro's interpreter needs the package {PACKAGE}, which is not installed: pip install "
            "'atoll[micro]', in a clone .venv/bin/pip install -e '.[micro]'"
        )
    claimed = arena_of(TfliteFile.parse(content)).bytes
    with scratch_folder() as folder:
        (folder / _MODEL).write_bytes(content)
        np.save(folder / _IMAGES, images)
        limit_s = _START_S + _RUN_S * len(images)
        try:
            process = run_fresh(__name__, str(folder), str(claimed), limit_s=limit_s)
        except subprocess.TimeoutExpired as error:
            late = f"LiteRT Micro's interpreter did not come back within {limit_s} s"
            raise AtollError(late) from error
        said = " ".join(process.stderr.split())
        if process.returncode < 0:
            return MicroRun(f"it ended the process ({ended_by(process)}): {said[-_LAST_WORDS:]}", claimed)
        if process.returncode or not (folder / _ANSWER).exists():
            # not the interpreter's doing: it is not loaded, or gave what no file of Atoll gives
            failed = f"LiteRT Micro's interpreter was not run ({ended_by(process)}): {last_words(process)}"
            raise AtollError(failed)
        answer = json.loads((folder / _ANSWER).read_text())
        if "error" in answer:
            return MicroRun(said[-_LAST_WORDS:] or answer["error"], claimed)
        recorded = _RECORDED.search(said)
        steps = tuple(answer["steps"])
        outputs = tuple(np.load(folder / _OUTPUT.format(position)) for position in range(len(steps)))
        return MicroRun("", claimed, None if recorded is None else int(recorded[1]), outputs, steps)


def _carry_out(folder: Path, arena: int) -> dict[str, Any]:
    """Loads and runs the file of a folder; what it says of memory goes to the standard error."""
    from tflite_micro import runtime

    file = TfliteFile.read(folder / _MODEL)
    images = np.load(folder / _IMAGES, mmap_mode="r")
    try:
        interpreter = runtime.Interpreter.from_file(str(folder / _MODEL), arena_size=arena)
        rows = [_run(interpreter, file, image) for image in images]
        interpreter.print_allocations()
    except (RuntimeError, ValueError) as error:
        return {"error": str(error)}
    for position, values in enumerate(zip(*rows, strict=True)):
        np.save(folder / _OUTPUT.format(position), np.concatenate(values))
    grids = [_grid(interpreter.get_output_details(at)) for at in range(len(file.outputs))]
    return {"steps": [None if grid is None else grid.scale for grid in grids]}


def _run(interpreter: Any, file: TfliteFile, image: np.ndarray) -> list[np.ndarray]:
    shapes = [file.tensors[index].shape for index in file.inputs]
    for number, values in enumerate(parts_of(image, shapes)):
        grid = _grid(interpreter.get_input_details(number))
        interpreter.set_input(values if grid is None else grid.quantize(values), number)
    interpreter.invoke()
    return [_read(interpreter, number) for number in range(len(file.outputs))]


def _read(interpreter: Any, number: int) -> np.ndarray:
    raw, grid = interpreter.get_output(number), _grid(interpreter.get_output_details(number))
    return np.array(raw if grid is None else grid.dequantize(raw))


def _grid(details: dict[str, Any]) -> TensorGrid | None:
    if np.dtype(details["dtype"]) != np.int8:
        return None
    told = details["quantization_parameters"]
    return TensorGrid(float(told["scales"][0]), int(told["zero_points"][0]))


def largest_steps(run: MicroRun, others: Iterable[np.ndarray]) -> float:
    """Returns the largest difference of an output to another's, in steps of its grid or as it is where float.

    It is NaN where an output has one.

    Args:
        run: that gave outputs.
        others: of the other, as many of the same shapes.
    """
    pairs = zip(run.outputs, others, run.steps, strict=True)
    return float(np.max([np.abs(ours - theirs).max() / (step or 1.0) for ours, theirs, step in pairs]))


def main() -> None:
    """The fresh process: `python -m … FOLDER ARENA`."""
    folder = Path(sys.argv[1])
    answer = _carry_out(folder, int(sys.argv[2]))
    (folder / _ANSWER).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
