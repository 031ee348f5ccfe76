#!/usr/bin/env python3
"""Times `.tflite` files on this board and writes the CSV file that `atoll calibrate` reads.

Copy this one file and the `.tflite` files to the board. It needs Python 3.7 or newer and one LiteRT
(`ai_edge_litert`, `tflite_runtime` or `tensorflow`), nothing else:

    python3 bench.py exports/*/model.tflite --setup my-board --output measurements.csv

Latency is the median over all runs of a file. The files take turns: in every round each one is loaded, warmed
up and run a few times, so that a slow minute of the board is shared by all of them.

Peak memory is measured in a fresh process for each file: how much its resident memory grows at most between
the moment when LiteRT is imported and the end of a few runs. Linux tells the peak (VmHWM), which is set back
before the file is loaded; elsewhere the process's highest peak counts (ru_maxrss).

Rows are appended. A file that the CSV already holds (same content, set-up and threads) is not measured again,
so that an interrupted run goes on where it stopped: what was measured until Ctrl-C is written.

A `recipe.json` beside a file (as `atoll export` writes it) gives network, recipe and number of classes; the
column `artifact` names the file, relative to the CSV file, so that its own graph can be read.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Row = dict[str, Any]

COLUMNS = (
    "id", "setup", "family", "network", "recipe", "input_shape", "num_classes", "latency_ms",
    "peak_memory_mib", "latency_credible", "memory_credible", "artifact", "artifact_sha256", "model_size",
    "model_size_unit", "runs", "spread_pct", "threads", "runtime", "notes",
)  # fmt: skip
ROUNDS = 10
RUNS = 50
WARM_UP = 2
#: a file is run at least so long in a round: a hundred runs of a small network say more than five
ROUND_SECONDS = 0.03
RUNS_FOR_MEMORY = 3
MIB = 2.0**20
#: of a file that several exports share; the folder tells them apart
COMMON_STEM = "model"


class BenchError(Exception):
    """A message for the user."""


# LiteRT -------------------------------------------------------------------------------------------


def import_runtime() -> tuple[Any, str]:
    """Returns (the module with Interpreter, what it is called)."""
    try:
        from ai_edge_litert import interpreter

        return interpreter, "ai_edge_litert"
    except ImportError:
        pass
    try:
        from tflite_runtime import interpreter

        return interpreter, "tflite_runtime"
    except ImportError:
        pass
    try:
        from tensorflow import lite

        return lite, "tensorflow.lite"
    except ImportError:
        raise BenchError(
            "no LiteRT found: install one of ai-edge-litert, tflite-runtime or tensorflow on this board"
        ) from None


def load(path: str, threads: int = 1, delegate: str | None = None) -> Any:
    """Returns a file's interpreter, its inputs filled with noise.

    Args:
        path: of the file.
        threads: of the CPU.
        delegate: library of a delegate such as libedgetpu.so.1; "none" keeps LiteRT's own (XNNPACK) off;
            None is the runtime's default.
    """
    runtime, _ = import_runtime()
    settings = {"model_path": path, "num_threads": threads}
    if delegate == "none":
        off = runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        settings["experimental_op_resolver_type"] = off
    elif delegate:
        loader = getattr(runtime, "load_delegate", None) or runtime.experimental.load_delegate
        settings["experimental_delegates"] = [loader(delegate)]
    interpreter = runtime.Interpreter(**settings)
    interpreter.allocate_tensors()
    for details in interpreter.get_input_details():
        interpreter.set_tensor(details["index"], _noise(details["shape"], details["dtype"]))
    return interpreter


def _noise(shape: Any, dtype: Any) -> Any:
    import numpy  # every LiteRT brings it

    random = numpy.random.RandomState(0)
    if numpy.issubdtype(dtype, numpy.floating):
        return random.uniform(-1, 1, shape).astype(dtype)
    if dtype == numpy.bool_:
        return random.uniform(0, 1, shape) < 0.5
    limits = numpy.iinfo(dtype)
    return random.randint(max(limits.min, -128), min(limits.max, 127) + 1, shape).astype(dtype)


# Time ---------------------------------------------------------------------------------------------


def time_files(
    paths: Sequence[str],
    threads: int = 1,
    delegate: str | None = None,
    rounds: int = ROUNDS,
    runs: int = RUNS,
    round_seconds: float = ROUND_SECONDS,
    tick: Callable[[int, str], object] | None = None,
    found: dict[str, list[list[float]]] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[list[float]]]:
    """Returns the times of all runs in ms, by path, a list a round; the files take turns.

    Args:
        paths: of the files.
        threads, delegate: as `load`.
        rounds: how often each file is loaded.
        runs: least runs of a file over all rounds.
        round_seconds: how long a file is run in a round at least.
        tick: called with (round, path) before each turn.
        found: filled and returned, so that an interrupted caller has what was measured.
        clock: in seconds; `time.thread_time` leaves out what other processes took from a single thread.
    """
    found = {} if found is None else found
    least = -(-runs // rounds)
    for turn in range(rounds):
        for path in paths:
            if tick is not None:
                tick(turn, path)
            interpreter = load(path, threads, delegate)
            for _ in range(WARM_UP):
                interpreter.invoke()
            times: list[float] = []
            begin = time.perf_counter()
            while len(times) < least or time.perf_counter() - begin < round_seconds:
                start = clock()
                interpreter.invoke()
                times.append(1e3 * (clock() - start))
            found.setdefault(path, []).append(times)
    return found


def latency(rounds: Sequence[Sequence[float]]) -> tuple[float, float, int]:
    """Returns (median of all runs in ms, half the range of the rounds' medians in %, number of runs)."""
    times = [one for times in rounds for one in times]
    middle = statistics.median(times)
    medians = [statistics.median(times) for times in rounds]
    return middle, 50.0 * (max(medians) - min(medians)) / middle, len(times)


# Memory -------------------------------------------------------------------------------------------


def peak_memory_mib(path: str, threads: int = 1, delegate: str | None = None) -> float:
    """Returns the peak growth of resident memory of a fresh process that loads and runs a file, in MiB."""
    command = [sys.executable, os.path.abspath(__file__), "--memory-of", path, "--threads", str(threads)]
    command += ["--delegate", delegate] if delegate else []
    child = subprocess.run(command, capture_output=True, text=True)
    try:
        return float(child.stdout.split()[-1])
    except (IndexError, ValueError):
        said = child.stderr.strip().splitlines()
        reason = said[-1] if said else f"exit status {child.returncode}"
        raise BenchError(f"{path} does not run here: {reason}") from None


def growth_mib(path: str, threads: int, delegate: str | None) -> float:
    """Returns the peak growth of this process's resident memory while it loads and runs a file, in MiB."""
    import_runtime()  # the runtime's own code and start-up are not the file's
    _noise((1,), "float32")
    _forget_peak()
    before, peak_before = _resident_bytes()
    interpreter = load(path, threads, delegate)
    for _ in range(RUNS_FOR_MEMORY):
        interpreter.invoke()
    after, peak = _resident_bytes()
    # a peak that could not be set back and did not rise lies before the file
    return (max(after, peak if peak > peak_before else 0) - before) / MIB


def _forget_peak() -> None:
    """Sets the process's peak back to what is resident now (Linux, proc(5): clear_refs)."""
    try:
        with open("/proc/self/clear_refs", "w") as stream:
            stream.write("5")
    except OSError:
        pass


def _resident_bytes() -> tuple[int, int]:
    """Returns (resident now, peak) of this process in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    try:
        with open("/proc/self/status") as stream:
            fields = dict(line.split(":", 1) for line in stream if line.startswith(("VmRSS", "VmHWM")))
        now, most = (int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
        return now, most
    except (OSError, KeyError):
        return peak, peak


# Rows ---------------------------------------------------------------------------------------------


def describe(path: str, csv_folder: str) -> Row:
    """Returns the columns of a file that are known without running it."""
    with open(path, "rb") as stream:
        content = stream.read()
    about = {}
    try:
        with open(os.path.join(os.path.dirname(path), "recipe.json"), encoding="utf-8") as stream:
            about = json.load(stream)
    except (OSError, ValueError):
        pass
    return {
        "network": about.get("network", ""),
        "recipe": about.get("recipe", ""),
        "num_classes": about.get("num_classes", ""),
        "artifact": os.path.relpath(path, csv_folder),
        "artifact_sha256": hashlib.sha256(content).hexdigest(),
        "model_size": len(content),
        "model_size_unit": "B",
    }


def input_shape(path: str) -> tuple[str, int]:
    """Returns HEIGHTxWIDTHxCHANNELS of a file's input, and the number of its outputs."""
    interpreter = load(path)
    shape = [int(size) for size in interpreter.get_input_details()[0]["shape"]]
    inner = shape[1:] if len(shape) > 1 else shape
    classes = int(interpreter.get_output_details()[0]["shape"][-1])
    return "x".join(str(size) for size in [1] * (3 - len(inner)) + inner), classes


def ids_of(paths: Sequence[str], taken: Iterable[str] = ()) -> list[str]:
    """Returns an id for each path: its stem, with the folder before it where stems are common."""
    stems = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    ids, used = [], set(taken)
    for path, stem in zip(paths, stems):  # noqa: B905 (3.10)
        name = stem
        if stem == COMMON_STEM or stems.count(stem) > 1:
            name = f"{os.path.basename(os.path.dirname(os.path.abspath(path)))}-{stem}"
        unique, number = name, 2
        while unique in used:
            unique, number = f"{name}-{number}", number + 1
        used.add(unique)
        ids.append(unique)
    return ids


def read_rows(path: str | os.PathLike[str]) -> list[Row]:
    """Returns the rows of a CSV file, none where there is no file."""
    if not os.path.exists(path):
        return []
    with open(path, newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if reader.fieldnames != list(COLUMNS):
            raise BenchError(f"{path} was not written by this program: give another --output")
        return list(reader)


def append_rows(path: str | os.PathLike[str], rows: Iterable[Row]) -> None:
    """Appends rows to a CSV file, with its header where it is new."""
    new = not os.path.exists(path)
    with open(path, "a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


# Command ------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """Tells the user how far it is."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def measure(options: argparse.Namespace) -> None:
    """Measures the files that the CSV does not hold yet and appends their rows."""
    folder = os.path.dirname(os.path.abspath(options.output))
    known = read_rows(options.output)
    done = {(row["artifact_sha256"], row["setup"], row["threads"]) for row in known}
    rows: dict[str, Row] = {}
    for path in options.files:
        row = describe(path, folder)
        if (row["artifact_sha256"], options.setup, str(options.threads)) in done:
            say(f"{path}: measured before")
        else:
            rows[path] = row
    names = ids_of(list(rows), [row["id"] for row in known])
    for path, name in zip(rows, names):  # noqa: B905 (3.10)
        rows[path]["id"] = name

    memory: dict[str, float] = {}
    for number, path in enumerate(rows, 1):
        say(f"memory {number}/{len(rows)}: {path}")
        try:
            memory[path] = peak_memory_mib(path, options.threads, options.delegate)
        except BenchError as error:  # the others are measured all the same
            say(str(error))
    paths = list(memory)
    found: dict[str, list[list[float]]] = {}

    def tick(turn: int, path: str) -> None:
        if path == paths[0]:
            say(f"time, round {turn + 1}/{ROUNDS} of {len(paths)} files")

    try:
        time_files(paths, options.threads, options.delegate, ROUNDS, options.runs, ROUND_SECONDS, tick, found)
    except KeyboardInterrupt:
        say("interrupted: what was measured is written; run it again for the rest")
    _, runtime = import_runtime()
    complete = [path for path in paths if found.get(path)]
    for path in complete:
        shape, classes = input_shape(path)
        middle, spread, runs = latency(found[path])
        row = rows[path]
        row.update(
            setup=options.setup,
            family=" ".join(filter(None, (row["network"], row["recipe"]))) or row["id"],
            input_shape=shape,
            num_classes=row["num_classes"] or classes,
            latency_ms=f"{middle:.5g}",
            peak_memory_mib=f"{memory[path]:.5g}" if memory[path] > 0 else "",
            latency_credible="yes",
            memory_credible="yes" if memory[path] > 0 else "no",
            runs=runs,
            spread_pct=f"{spread:.1f}",
            threads=options.threads,
            runtime=runtime,
            notes="" if len(found[path]) == ROUNDS else f"{len(found[path])} rounds",
        )
    append_rows(options.output, [rows[path] for path in complete])
    say(f"{len(complete)} rows written to {options.output}")


def parser() -> argparse.ArgumentParser:
    """Returns the command line."""
    about = __doc__.split("\n", 1)[0]
    found = argparse.ArgumentParser(description=about)
    found.add_argument("files", nargs="*", metavar="FILE.tflite")
    found.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the CPU (1)")
    found.add_argument("--runs", type=int, default=RUNS, metavar="N", help=f"least runs of a file ({RUNS})")
    found.add_argument(
        "--setup", default=platform.node() or "board", metavar="NAME", help="name of board and runtime"
    )
    found.add_argument("--output", default="measurements.csv", metavar="CSV", help="appended to")
    found.add_argument(
        "--delegate", metavar="LIBRARY", help="such as libedgetpu.so.1; none switches LiteRT's own off"
    )
    found.add_argument("--memory-of", metavar="FILE", help=argparse.SUPPRESS)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    options = parser().parse_args(arguments)
    try:
        if options.memory_of:
            print(f"{growth_mib(options.memory_of, options.threads, options.delegate):.4f}")
            return 0
        if not options.files:
            raise BenchError("got no files, allowed are one or more .tflite files")
        for path in options.files:
            if not os.path.isfile(path):
                raise BenchError(f"no such file: {path}")
        if options.threads < 1 or options.runs < 1:
            raise BenchError("--threads and --runs must be 1 or more")
        measure(options)
        return 0
    except (BenchError, ValueError, RuntimeError, OSError) as error:
        say(str(error))
        return 2


if __name__ == "__main__":
    sys.exit(main())
