"""What stands in `micro_found.csv` is what LiteRT Micro's interpreter says, where it is installed."""

import csv
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from atoll.hw_models.runtimes.micro_arena import arena_of
from atoll.hw_models.tables.tflite_file import TfliteFile

FOUND = list(csv.DictReader((Path(__file__).parent / "micro_found.csv").open(encoding="utf-8")))
# Each file in a child of its own, since some end the process: once with room, once in just the claimed arena.
ASK = """
import json, os, re, sys, tempfile
import numpy as np
from tflite_micro import runtime

def fits(content, arena):
    said = tempfile.TemporaryFile()
    child = os.fork()
    if not child:
        os.dup2(said.fileno(), 2)
        try:
            interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena)
            details = interpreter.get_input_details(0)
            interpreter.set_input(np.zeros(details["shape"], details["dtype"]), 0)
            interpreter.invoke()
            interpreter.get_output(0)
            interpreter.print_allocations()
            os._exit(0)
        except Exception:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    said.seek(0)
    return status == 0, said.read().decode(errors="replace")

for path, claimed in json.load(open(sys.argv[1])):
    content = open(path, "rb").read()
    runs, said = fits(content, 1 << 22)
    told = dict(re.findall(r"Arena allocation (head|total) (\\d+) bytes", said))
    sizes = [int(told[name]) for name in ("head", "total")] if runs else []
    print(json.dumps([runs, *sizes, runs and fits(content, claimed)[0]]))
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("tflite_micro") is None, reason="tflite-micro is not installed")
def test_the_interpreter_says_what_was_recorded(micro_files: dict[str, bytes], tmp_path: Path) -> None:
    asked = []
    for number, content in enumerate(micro_files.values()):
        (tmp_path / f"{number}.tflite").write_bytes(content)
        asked.append((str(tmp_path / f"{number}.tflite"), arena_of(TfliteFile.parse(content)).bytes))
    (tmp_path / "asked.json").write_text(json.dumps(asked))
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path / "asked.json")], capture_output=True, text=True, check=True
    )
    for row, line in zip(FOUND, done.stdout.splitlines(), strict=True):
        runs, *said = json.loads(line)
        assert runs == (row["outcome"] == "runs"), row
        if runs:
            assert said == [int(row["planned_bytes"]), int(row["recorded_bytes"]), True], row
