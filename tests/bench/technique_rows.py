"""The file of results: one JSON line a run, appended and synced, so that an interruption loses nothing."""

import json
import os
from pathlib import Path
from typing import Any

from atoll.evaluators.digests import digest_json, digest_tensors, library_versions
from atoll.evaluators.steps.study_basis import PIPELINE_VERSION
from atoll.evaluators.tasks.given_network import given_network
from atoll.evaluators.tasks.task import Task
from technique_runs import Run

Row = dict[str, Any]


class Keys:
    """Names runs by what decides their results, whatever the commit (as the step cache does).

    Args:
        task: network and data.
        epochs: after every step, and the baseline's.
        threads: of torch.
    """

    def __init__(self, task: Task, epochs: float, threads: int) -> None:
        self._common = {
            "pipeline": PIPELINE_VERSION,
            "task": task.name,
            "network": digest_tensors(given_network(task).state_dict()),
            "data": task.dataset().version,
            "libraries": library_versions(),
            "epochs": epochs,
            "threads": threads,
        }

    def of(self, run: Run) -> str:
        """Returns the key of a run: 16 hexadecimal digits."""
        # the digest of a recipe knows the versions of its techniques
        return digest_json({**self._common, "recipe": run.recipe.digest, "seed": run.seed})[:16]


class Rows:
    """The rows of a file, by key; a later row replaces an earlier one.

    Args:
        path: the file; made when the first row comes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._by_key: dict[str, Row] = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        self._torn = bool(text) and not text.endswith("\n")
        for line in text.splitlines():
            row = _row(line)
            if row is not None:
                self._by_key[row["key"]] = row

    def find(self, key: str) -> Row | None:
        """Returns the row of a run, None where there is none."""
        return self._by_key.get(key)

    def all(self) -> list[Row]:
        """Returns the rows, in the order in which they came first."""
        return list(self._by_key.values())

    def append(self, row: Row) -> None:
        """Adds a row and waits until the disk has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("\n" if self._torn else "") + json.dumps(row, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._torn = False
        self._by_key[row["key"]] = row


def _row(line: str) -> Row | None:
    """Returns what a line holds; None for one that a dying process left half written."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and "key" in found else None
