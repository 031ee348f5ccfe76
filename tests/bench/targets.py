"""Runs a file of every technique in every release of the runtime: runs, refused with the reason, agreement.

Rows go to `results/targets/rows.jsonl`, tables of them to the README beside it. Names on the command line
choose releases (`tflite-2.14`, `litert-2.0`); rows of others stay. Releases are installed into the cache
where they are not there: 13 GB for all.
"""

import datetime
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
from atoll.evaluators.measuring.artifact import channels_last
from atoll.evaluators.runtimes.packages import packages_of
from atoll.evaluators.runtimes.run import PROGRAM, Kernels, Refusal, read_answer, write_job
from atoll.hw_models.runtimes.need import Need
from atoll.hw_models.runtimes.runtime import Runtime
from atoll.hw_models.runtimes.wheels import WHEELS
from atoll.hw_models.tables.tflite_file import TfliteFile
from atoll.spaces.machine.scratch import scratch_folder
from atoll.testing.technique_files import EACH, WIDTHS, TechniqueFile, technique_files
from figures import report
from recorded import machine
from targets_page import claimed_and_not_right, page, right_below_the_minimum

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "results" / "targets"
IMAGES = 32
#: share of the span of the outputs that a right file may be off: right ones were off by 0.011 at most, wrong
#: ones by 0.25 at least (results/targets)
FAR = 0.05
Row = dict[str, Any]


def main(names: list[str]) -> int:
    """Runs what is asked for, writes rows and page, prints the figures."""
    rows = _read()
    files = list(technique_files(list(dict.fromkeys((*EACH, *WIDTHS)))))
    about = {"commit": _commit(), "machine": machine(), "date": datetime.date.today().isoformat()}
    for name in names or WHEELS:
        print(f"== {name}: {WHEELS[name]}", file=sys.stderr, flush=True)
        found = [row | about for row in _rung(name, files)]
        rows = [row for row in rows if row["runtime"] != name] + found
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (RESULTS / "README.md").write_text(page(rows), encoding="utf-8")
    report("targets/runs", len(rows), "runs", None, "higher")
    report("targets/claimed_and_not_right", len(claimed_and_not_right(rows)), "runs", 0, "lower")
    report("targets/right_below_the_minimum", len(right_below_the_minimum(rows)), "files", 0, "lower")
    return 0


def _rung(name: str, files: list[TechniqueFile]) -> Iterator[Row]:
    """Gives a row a file and set of kernels; all of them run in one process, each in a child of it."""
    wheel, runtime = WHEELS[name], Runtime.named(name)
    packages = packages_of(name, lambda text: print(text, file=sys.stderr, flush=True))
    with scratch_folder() as folder:
        jobs = []
        for number, (kernels, file) in enumerate(product(get_args(Kernels), files)):
            place = folder / f"{number}-{kernels}"
            place.mkdir()
            images = channels_last(file.images[:IMAGES]).numpy()
            jobs.append((place, kernels, file, write_job(place, file.content, IMAGES, [images])))
        command: list[str | Path] = [sys.executable, "-I", "-S", HERE / "targets_alone.py"]
        command += [packages, wheel.module, PROGRAM]
        places = [place for place, *_ in jobs]
        subprocess.run([*command, *places], check=True, stdout=subprocess.DEVNULL)
        for place, kernels, file, outputs in jobs:
            need = Need.of(TfliteFile.parse(file.content))
            row: Row = {
                "network": file.network_name, "recipe": file.recipe, "minimum_runtime": need.release,
                "minimum_runtime_reason": need.reason, "runtime": name, "has": runtime.release,
                "package": str(wheel), "kernels": kernels,
                "claimed": runtime.loads(need.release) and name not in need.not_in,
            }  # fmt: skip
            yield row | _outcome(place, file, outputs)


def _outcome(place: Path, file: TechniqueFile, outputs: list[Any]) -> Row:
    if not (place / "answer.json").exists():
        status = int((place / "status").read_text())
        ended = signal.Signals(-status).name if status < 0 else (place / "said").read_text()[-200:]
        return {"outcome": "ended", "why": ended, "agreement": None, "difference": None}
    try:
        [found] = read_answer(place, outputs).outputs
    except Refusal as error:
        return {"outcome": "refused", "why": str(error), "agreement": None, "difference": None}
    expected = file.expected(IMAGES).numpy()
    difference = float(np.abs(found - expected).max() / np.ptp(expected))
    outcome = "agrees" if difference <= FAR else "computes something else"  # also where it is no number
    agreement = float((found.argmax(1) == expected.argmax(1)).mean())
    told = round(difference, 4) if np.isfinite(difference) else None
    return {
        "outcome": outcome,
        "why": "" if told is not None else "NaN",
        "agreement": agreement,
        "difference": told,
    }


def _read() -> list[Row]:
    path = RESULTS / "rows.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE, check=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
