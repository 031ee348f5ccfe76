"""Trains every recipe of a small space, so that searches can be replayed; run again to go on."""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from atoll.evaluators.cache_dir import cache_dir
from atoll.evaluators.steps import pipeline
from atoll.evaluators.steps.evaluate import pipeline_for
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.tasks import load_task
from atoll.search.study.reference import fixed_recipes
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.order import Grids, grid_steps, is_legal
from atoll.spaces.recipes.recipe import Recipe
from atoll.spaces.techniques import technique_named
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

RESULTS = Path(__file__).parents[2] / "results" / "search_table"
#: the hand-made chains of the papers' network consist of these
SPACE: Grids = {
    "tensor_train": {"rank": (8, 16)},
    "tucker": {"rank": (0.5, 0.25)},
    "prune_channels": {"ratio": (0.25, 0.5)},
    "quantize": {"bits": (8, 4, 2), "first_last": ("same",)},
    "distill": {"temperature": (4.0,), "alpha": (0.1, 0.5), "student": ("none",)},
}
LENGTH = 3
#: rows of further seeds, drawn once
MORE_SEEDS, REPEATED = (1, 2), 60
DEVICE = "coral-dev-board"
#: rows between two writings of the file
SAVED_EVERY = 20
INTERRUPTED = 128 + 2  # shell convention: 128 + SIGINT


@dataclass(frozen=True, order=True)
class Run:
    """One row: a recipe with a seed and a budget."""

    epochs: float
    seed: int
    recipe: str


def recipes(task: str) -> list[Recipe]:
    """Returns every legal recipe of the space, prefixes before what begins with them, and the fixed ones."""
    steps = [step for name in SPACE for step in grid_steps(technique_named(name), SPACE)]

    def grown(prefix: tuple[Any, ...]) -> Iterator[Recipe]:
        for step in steps:
            longer = (*prefix, step)
            if is_legal(longer):
                yield Recipe(longer)
                if len(longer) < LENGTH:
                    yield from grown(longer)

    return list(dict.fromkeys([*fixed_recipes(load_task(task)), *grown(())]))


def runs(task: str, epochs: float) -> list[Run]:
    """Returns all rows of a table: the whole space, a quarter of the budget, then two more seeds of some."""
    texts = [str(recipe) for recipe in recipes(task)]
    fixed = [str(recipe) for recipe in fixed_recipes(load_task(task))]
    some = sorted({*fixed, *Random(0).sample(texts, min(REPEATED, len(texts)))}, key=texts.index)
    full = [Run(epochs, 0, text) for text in texts]
    quarter = [Run(epochs / 4, 0, text) for text in texts]
    return full + [Run(epochs, seed, text) for seed in MORE_SEEDS for text in some] + quarter


def carried_out(task: str, run: Run) -> dict[str, Any]:
    """Trains one row in this process and returns it."""
    recipe = Recipe.parse(run.recipe)
    # the largest budget of any candidate, as a study of this space has it
    settings = Settings(task, DEVICE, run.seed, run.epochs, (LENGTH + 1) * run.epochs, threads=1)
    row: dict[str, Any] = {
        **asdict(run),
        "task": task,
        "reason": None,
        "step_seconds": [],
        "step_quality": [],
    }
    # the time of its one thread, whatever else runs on the machine
    pipeline.time = SimpleNamespace(perf_counter=time.process_time)  # type: ignore[assignment,attr-defined]
    try:
        result = pipeline_for(settings, cache_dir()).run(recipe)
    except AtollError as error:
        return {**row, "reason": str(error)}
    return {
        **row,
        **result.metrics.to_json(),
        "step_seconds": [step.seconds for step in result.steps],
        "step_quality": [step.quality for step in result.steps],
    }


class Table:
    """The rows of one task in a Parquet file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = pq.read_table(path).to_pylist() if path.exists() else []

    def done(self) -> set[Run]:
        """Returns what need not be trained again."""
        return {Run(row["epochs"], row["seed"], row["recipe"]) for row in self.rows}

    def save(self) -> None:
        """Writes all rows, sorted; a reader finds the old file or the new one."""
        if not self.rows:
            return
        rows = sorted(self.rows, key=lambda row: (-row["epochs"], row["seed"], row["recipe"]))
        about = {
            "made": datetime.now(UTC).date().isoformat(),
            **{name: version(name) for name in ("atoll", "torch")},
        }
        names = dict.fromkeys(name for row in rows for name in row)  # a row that failed has fewer
        table = pa.table({name: [row.get(name) for row in rows] for name in names}, metadata=about)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        pq.write_table(table, part, compression="zstd", compression_level=19)
        part.replace(self.path)


def main(arguments: Sequence[str]) -> int:
    """Trains what is missing; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="digits", metavar="NAME")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--most", type=int, help="rows of this call at most")
    given = parser.parse_args(arguments)
    console = Console(stderr=True, highlight=False)
    task = load_task(given.task)
    table = Table(RESULTS / f"{task.name}.parquet")
    done = table.done()
    missing = [run for run in runs(task.name, task.epochs_per_step) if run not in done][: given.most]
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    try:
        with (
            Progress(*columns, console=console) as progress,
            ProcessPoolExecutor(given.workers, get_context("spawn")) as pool,
        ):
            shown = progress.add_task(task.name, total=len(missing))
            saved = time.monotonic()
            for row in pool.map(carried_out, [task.name] * len(missing), missing):
                table.rows.append(row)
                progress.advance(shown)
                if len(table.rows) % SAVED_EVERY == 0 or time.monotonic() - saved > 60:
                    table.save()
                    saved = time.monotonic()
    except KeyboardInterrupt:
        console.print(f"interrupted; what is done is in {table.path}: run it again to go on")
        return INTERRUPTED
    finally:
        table.save()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
