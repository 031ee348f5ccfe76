"""Coral's own compiler, run where it is installed."""

import shutil
import subprocess
from dataclasses import dataclass

from ...spaces.machine.scratch import scratch_folder

COMPILER = "edgetpu_compiler"
#: it gives up by itself after three minutes, unless told otherwise
TIMEOUT_S = 600


@dataclass(frozen=True)
class Compilation:
    """What the compiler said.

    Args:
        succeeded: whether it wrote a file.
        report: its own words.
    """

    succeeded: bool
    report: str


def compile_for_edge_tpu(content: bytes) -> Compilation | None:
    """Compiles a file in a folder that is gone afterwards; None where the compiler is not on the PATH.

    Args:
        content: the bytes of a `.tflite` file.
    """
    program = shutil.which(COMPILER)
    if program is None:
        return None
    with scratch_folder() as folder:
        (folder / "model.tflite").write_bytes(content)
        command = [program, "--show_operations", "--out_dir", str(folder), "model.tflite"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return Compilation(False, f"{COMPILER} did not end within {TIMEOUT_S} s")
        except OSError as error:
            return Compilation(False, f"{program} cannot be run: {error.strerror}")
        report = "\n".join(part.strip() for part in (done.stdout, done.stderr) if part.strip())
        return Compilation(done.returncode == 0, report)
