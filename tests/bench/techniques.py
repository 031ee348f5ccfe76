"""Every technique alone on a task: quality, sizes, work and time; goes on where it was interrupted."""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from atoll.evaluators.steps.evaluate import evaluate
from atoll.evaluators.steps.settings import Settings
from atoll.evaluators.steps.work import Work
from atoll.evaluators.tasks import load_task
from atoll.search.study.study import DEFAULT_DEVICE
from atoll.spaces.errors import AtollError
from atoll.spaces.recipes.recipe import Recipe
from figures import report
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text
from technique_page import EXPECTED, Found, page, summaries
from technique_rows import Keys, Row, Rows
from technique_runs import Run, chosen_techniques, runs

THREADS = 2
RESULTS = Path(__file__).parents[2] / "results"
INTERRUPTED = 128 + 2  # shell convention: 128 + SIGINT


def main(arguments: Sequence[str]) -> int:
    """Runs what is missing, writes the page and prints the figures; returns the exit status."""
    given = _arguments(arguments)
    console = Console(stderr=True, highlight=False)
    try:
        task = load_task(given.task)
        wanted = runs(chosen_techniques([name for name in given.only.split(",") if name]), given.seeds)
    except AtollError as error:
        console.print(Text(str(error)))
        return 2
    epochs = task.epochs_per_step if given.epochs is None else given.epochs
    folder = given.folder or RESULTS / (
        "techniques" if task.name == "characters" else f"techniques-{task.name}"
    )
    rows, keys = Rows(folder / "rows.jsonl"), Keys(task, epochs, THREADS)
    try:
        failed = _run_missing(wanted, rows, keys, task.name, epochs, console)
    except KeyboardInterrupt:
        console.print(Text(f"interrupted; what is done is in {rows.path}: run it again to go on"))
        return INTERRUPTED
    found = {run: row for run in wanted if (row := rows.find(keys.of(run))) is not None}
    if found:
        (folder / "README.md").write_text(page(task, found, epochs, THREADS), encoding="utf-8")
        _report(found, task.name)
    return 1 if failed else 0


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="characters", metavar="NAME")
    parser.add_argument("--only", default="", metavar="NAME,…", help="techniques; all if none is named")
    parser.add_argument("--seeds", type=int, metavar="N", help="of every technique; 1, and 3 for the demo's")
    parser.add_argument("--epochs", type=float, metavar="N", help="after every step; the task's own if none")
    parser.add_argument("--folder", type=Path, help="of the results; results/techniques for characters")
    return parser.parse_args(arguments)


def _run_missing(
    wanted: Sequence[Run], rows: Rows, keys: Keys, task: str, epochs: float, console: Console
) -> int:
    """Runs what the file lacks, one after the other; returns how many runs failed."""
    missing = [run for run in wanted if rows.find(keys.of(run)) is None]
    there = len(wanted) - len(missing)
    console.print(Text(f"{there} of {len(wanted)} runs are there, {len(missing)} to do"), soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    failed, started = 0, time.perf_counter()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(missing))
        for done, run in enumerate(missing, start=1):
            progress.update(bar, description=str(run))
            try:
                row = _evaluate(run, keys.of(run), task, epochs)
            except AtollError as error:
                failed, said = failed + 1, f"failed: {error}"
            else:
                rows.append(row)
                said = _said(row)
            left_s = (time.perf_counter() - started) / done * (len(missing) - done)
            line = f"{done}/{len(missing)} {run}: {said}; about {left_s / 60:.0f} min left"
            console.print(Text(line), soft_wrap=True)
            progress.advance(bar)
    return failed


def _evaluate(run: Run, key: str, task: str, epochs: float) -> Row:
    """Evaluates one recipe as a trial would be, from the step cache where it is there."""
    settings = Settings(
        task=task,
        device=DEFAULT_DEVICE,
        seed=run.seed,
        epochs_per_step=epochs,
        baseline_epochs=epochs,  # what any candidate here may spend
        threads=THREADS,
    )
    found = evaluate(Work(settings, run.recipe))
    assert found.metrics is not None  # it is finished, or an error
    return {
        "key": key,
        "task": task,
        "recipe": str(run.recipe),
        "seed": run.seed,
        "epochs_per_step": epochs,
        "metrics": found.metrics.to_json(),
        "notes": [step.notes for step in found.steps if run.recipe.steps],
        "weights_digest": found.weights_digest,
        "commit": _commit(),
        "finished_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
    }


def _said(row: Row) -> str:
    metrics = row["metrics"]
    return (
        f"{metrics['quality_name']} {100 * metrics['quality']:.2f} % measured, "
        f"{metrics['model_bytes'] / 1000:,.1f} kB, {metrics['train_seconds']:.0f} s"
    )


def _report(found: Found, task: str) -> None:
    """Prints the figures that something was expected of, as the other benches do."""
    by_recipe = {summary.recipe: summary for summary in summaries(found)}
    for expected in EXPECTED:
        summary = by_recipe.get(Recipe.parse(expected.recipe))
        if summary is not None:
            name = f"techniques/{task}/{expected.name}"
            report(name, expected.value(summary), expected.unit, expected.target, expected.better)


def _commit() -> str:
    """Returns the commit of the working tree, with `+` where files of it were changed since."""
    words = ("git", "describe", "--always", "--dirty=+", "--abbrev=7", "--exclude=*")
    found = subprocess.run(words, cwd=RESULTS.parent, capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else "unknown"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
