"""The record of the speed claims: every figure of `make bench` several times, and what a new run is held to.

`recorded.py record RUNS` measures and writes `results/bench/SUITE.jsonl`, a line a figure with the
values of all runs; names behind it are the suites or figures that are written, all others stay as they were.
`recorded.py compare [SUITE ...]` measures all suites or the named ones once and names the figures that are
worse. The spread of the recorded runs is what "no worse" means: a value within it is no difference.
"""

import datetime
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RECORDS = HERE.parents[1] / "results" / "bench"
SUITES = ("store", "cost", "artifact", "host", "training", "proposal", "replayed_search", "ideas")


def measured(suite: str) -> list[dict[str, Any]]:
    """Return the figures that one run of a suite prints; its own words go to stderr."""
    run = subprocess.run(
        [sys.executable, HERE / f"{suite}.py"], stdout=subprocess.PIPE, text=True, check=True
    )
    return [json.loads(line) for line in run.stdout.splitlines()]


def recorded(suite: str) -> list[dict[str, Any]]:
    """Return the lines of a suite's record, none of a suite that was never recorded."""
    path = RECORDS / f"{suite}.jsonl"
    return [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []


def machine() -> str:
    """Return the processor as the kernel names it and how many of its cores there are."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    name = cpu[0].split(":", 1)[1].strip() if cpu else platform.machine()
    return f"{name}, {len(cpu)} cores"


def record_of(runs: list[list[dict[str, Any]]], commit: str, machine: str, date: str) -> list[dict[str, Any]]:
    """Return one line a figure: the values of all runs, in the order in which they were measured."""
    lines: dict[str, dict[str, Any]] = {}
    for run in runs:
        for figure in run:
            line = lines.setdefault(
                figure["name"],
                {"name": figure["name"], "unit": figure["unit"], "better": figure["better"], "values": []},
            )
            line["values"].append(figure["value"])
    return [{**line, "commit": commit, "machine": machine, "date": date} for line in lines.values()]


def worse(figure: dict[str, Any], line: dict[str, Any]) -> bool:
    """Return whether a figure lies beyond the worst recorded value by more than their whole spread."""
    lowest, highest = min(line["values"]), max(line["values"])
    spread = highest - lowest
    if line["better"] == "lower":
        return bool(figure["value"] > highest + spread)
    return bool(figure["value"] < lowest - spread)


def renewed(
    before: list[dict[str, Any]], lines: list[dict[str, Any]], names: list[str]
) -> list[dict[str, Any]]:
    """Return a record in which the named figures are the new ones, at their places."""
    new = {line["name"]: line for line in lines}
    return [new[line["name"]] if line["name"] in names else line for line in before]


def record(runs: int, names: list[str]) -> None:
    """Measure every suite, or the named ones and those of named figures, and write the record of these."""
    figures = [name for name in names if name not in SUITES]
    known = {line["name"] for suite in SUITES if figures for line in recorded(suite)}
    if not known.issuperset(figures):
        sys.exit(
            f"got {sorted(set(figures) - known)}, allowed are {SUITES} and names of figures in {RECORDS}"
        )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=True
    ).stdout.strip()
    RECORDS.mkdir(parents=True, exist_ok=True)
    for suite in SUITES:
        mine = [name for name in names if name.startswith(f"{suite}/")]
        if names and suite not in names and not mine:
            continue
        found = [measured(suite) for _ in range(runs)]
        lines = record_of(found, commit, machine(), datetime.date.today().isoformat())
        if mine and suite not in names:
            lines = renewed(recorded(suite), lines, mine)
        (RECORDS / f"{suite}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def compare(names: list[str]) -> int:
    """Measure the named suites or all once, print what is worse than the record, and return how many are."""
    if not set(SUITES).issuperset(names):
        sys.exit(f"got {sorted(set(names) - set(SUITES))}, allowed are {SUITES}")
    count = 0
    for suite in names or SUITES:
        lines = recorded(suite)
        known = {line["name"]: line for line in lines}
        here = machine()
        if not lines:
            print(f"{suite}: not recorded, nothing to compare with", file=sys.stderr)
        if lines and max(len(line["values"]) for line in lines) == 1:
            print(f"{suite}: recorded once, by how much runs differ is not known", file=sys.stderr)
        if lines and lines[0]["machine"] != here:
            print(
                f"{suite}: recorded on {lines[0]['machine']}, this is {here}: times say little",
                file=sys.stderr,
            )
        for figure in measured(suite):
            line = known.get(figure["name"])
            if line is not None and worse(figure, line):
                count += 1
                print(f"{figure['name']}: {figure['value']} {figure['unit']}, recorded {line['values']}")
    return count


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["record", runs, *names]:
            record(int(runs), names)
        case ["compare", *names]:
            sys.exit(compare(names) > 0)
        case words:
            sys.exit(f"got {words}, allowed are: record RUNS [NAME ...], compare [SUITE ...]")
