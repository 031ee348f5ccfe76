"""What stands in `micro_found.csv` is what LiteRT Micro's interpreter says, where it is installed."""

import csv
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from atoll.evaluators.litert.runtime import LiteRtRunner
from atoll.hw_models.runtimes.micro import refused
from atoll.hw_models.runtimes.micro_arena import arena_of
from atoll.hw_models.tables.tflite_file import TfliteFile

FOUND = list(csv.DictReader((Path(__file__).parent / "micro_found.csv").open(encoding="utf-8")))
# Each file in a child of its own, since some end the process: once with room, once in just the claimed arena.
ASK = """
import json, os, re, sys, tempfile
import numpy as np
from tflite_micro import runtime

def fits(path, content, arena):
    said = tempfile.TemporaryFile()
    child = os.fork()
    if not child:
        os.dup2(said.fileno(), 2)
        try:
            interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena)
            interpreter.set_input(np.load(path + ".npy"), 0)
            interpreter.invoke()
            np.save(path + ".said.npy", interpreter.get_output(0))
            interpreter.print_allocations()
            os._exit(0)
        except Exception:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    said.seek(0)
    return status == 0, said.read().decode(errors="replace")

for path, claimed in json.load(open(sys.argv[1])):
    content = open(path, "rb").read()
    runs, said = fits(path, content, 1 << 22)
    told = dict(re.findall(r"Arena allocation (head|total) (\\d+) bytes", said))
    sizes = [int(told[name]) for name in ("head", "total")] if runs else []
    print(json.dumps([runs, *sizes, runs and fits(path, content, claimed)[0]]))
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("tflite_micro") is None, reason="tflite-micro is not installed")
def test_the_interpreter_says_what_was_recorded(micro_files: dict[str, bytes], tmp_path: Path) -> None:
    asked = []
    for number, content in enumerate(micro_files.values()):
        place, file = tmp_path / f"{number}.tflite", TfliteFile.parse(content)
        place.write_bytes(content)
        np.save(f"{place}.npy", drawn(file))
        asked.append((str(place), arena_of(file).bytes))
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path / "asked.json")], capture_output=True, text=True, check=True
    )
    for row, line, (path, _) in zip(FOUND, done.stdout.splitlines(), asked, strict=True):
        runs, *said = json.loads(line)
        assert runs == (row["outcome"] == "runs"), row
        if runs:
            assert said == [int(row["planned_bytes"]), int(row["recorded_bytes"]), True], row
        content = micro_files[row["file"]]
        if not refused(TfliteFile.parse(content)):
            expected = litert(content, np.load(f"{path}.npy"))
            off = np.load(f"{path}.said.npy").astype(float) - expected
            # a step where kernels round otherwise
            assert np.abs(off).max() <= (1 if expected.dtype == np.int8 else 1e-5), row


def litert(content: bytes, values: np.ndarray) -> np.ndarray:
    """Returns the first output of LiteRT's plain kernels."""
    interpreter = LiteRtRunner(content, delegate=False).interpreter
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def drawn(file: TfliteFile) -> np.ndarray:
    """Returns values for the input of a file, above 0 where they are float: some functions want that."""
    tensor, numbers = file.tensors[file.inputs[0]], np.random.default_rng(0)
    if tensor.dtype == "INT8":
        return numbers.integers(-128, 128, tensor.shape).astype(np.int8)
    return numbers.uniform(0.1, 1, tensor.shape).astype(np.float32)
