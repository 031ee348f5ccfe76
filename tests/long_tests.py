"""Runs the long tests one after the other and writes down how each ended; run again, it goes on.

A test that passed at this commit is not run again, and one that never passed goes first. The rows are
committed: which test, how it ended, how long it took, at which commit, on which machine and when.
"""

import datetime
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "results" / "test_long" / "rows.jsonl"


def collected(output: str) -> list[str]:
    """Return the names of tests that `pytest --collect-only -q` printed."""
    return [line for line in output.splitlines() if line.startswith("tests/") and "::" in line]


def left(names: list[str], rows: list[dict[str, Any]], commit: str) -> list[str]:
    """Return the tests that did not pass at this commit yet, those that never did first."""
    passed = [(row["test"], row["commit"]) for row in rows if row["outcome"] == "passed"]
    ever, now = {test for test, _ in passed}, {test for test, at in passed if at == commit}
    return sorted((name for name in names if name not in now), key=lambda name: name in ever)


def main() -> int:
    pytest = [sys.executable, "-m", "pytest", "-m", "long", "-p", "no:cacheprovider"]
    found = subprocess.run([*pytest, "--collect-only"], cwd=ROOT, capture_output=True, text=True)
    names = collected(found.stdout)
    if not names:
        sys.exit(f"no long test was found: {(found.stdout + found.stderr)[-500:]}")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []
    failed = 0
    todo = left(names, rows, commit)
    for number, name in enumerate(todo, 1):
        print(f"{number} of {len(todo)}: {name}", file=sys.stderr, flush=True)
        started = time.monotonic()
        code = subprocess.run([*pytest, name], cwd=ROOT).returncode
        failed += code != 0
        row = {
            "test": name,
            "outcome": "failed" if code else "passed",
            "seconds": round(time.monotonic() - started, 1),
            "commit": commit,
            "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
            "date": datetime.date.today().isoformat(),
        }
        ROWS.parent.mkdir(parents=True, exist_ok=True)
        with ROWS.open("a") as file:
            file.write(json.dumps(row) + "\n")
    print(f"{len(names)} long tests, {len(todo)} run now, {failed} failed", file=sys.stderr)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
