"""Writes a study down: leaderboard as Markdown and CSV, trials and steps as Parquet."""

import csv
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet

from ...evaluators.ranking.figure import Figure
from ...evaluators.ranking.figures import FIGURE
from ...evaluators.ranking.quality_terms import QualityTerms
from ...spaces.machine.resources import cores
from ...spaces.outside.shown import markdown, markdown_code
from ..store.store import Store
from ..store.stored_rows import LeaderboardRow
from ..store.stored_study import StoredStudy
from ..terminal.amounts import duration
from .written import write_files

#: figures of the leaderboard that a report shows
_SHOWN: tuple[Figure, ...] = (
    FIGURE["quality"],
    FIGURE["model_bytes"],
    FIGURE["compression_ratio"],
    FIGURE["macs"],
    FIGURE["latency_ms"],
    FIGURE["peak_memory_bytes"],
    FIGURE["test_quality"],
    FIGURE["test_drop"],
    FIGURE["test_drop_error"],
    FIGURE["test_gap"],
)
_LEFT_OUT = ("metrics", "measured", "proposal_parameters", "node")
LEGEND = (
    "Quality on the validation split, measured; test quality of the file, measured once when the study "
    "ended; test drop beside the baseline's file of the same seed, mean and standard error over the seeds, "
    "and by how much it is larger than on validation. File size, latency and memory ({device}) are predicted "
    "for every trial; the files of the finalists were measured."
)


def write_markdown(store: Store, study: StoredStudy, folder: Path, commit: str | None = None) -> list[Path]:
    """Writes `README.md`, `leaderboard.csv`, `trials.parquet` and `steps.parquet` of a study into a folder.

    Args:
        store: where the study lives.
        study: what is written down.
        folder: made if need be; earlier reports in it are replaced.
        commit: what was run, for the reader; None leaves it out.

    Returns:
        the files written.

    Raises:
        AtollError: the folder cannot be written, the study has no finished baseline, or parts of its
            definition are lost.
    """
    name = study.name
    rows = study.ranked(store.trials(name))
    text = _markdown(study, rows, commit, _work(store, name))
    contents = {"README.md": text.encode("utf-8"), "leaderboard.csv": _csv(rows)}
    for view in ("trials", "steps"):
        # a report is for others: it names no machine of its owner's network
        hidden = "EXCLUDE (node)" if view == "trials" else ""
        table = store.query(f"SELECT * {hidden} FROM {view} WHERE study = ? ORDER BY trial", [name])
        buffer = BytesIO()
        parquet.write_table(table, buffer, compression="zstd")
        contents[f"{view}.parquet"] = buffer.getvalue()
    return write_files(folder, contents)


def _csv(rows: Sequence[LeaderboardRow]) -> bytes:
    buffer = StringIO(newline="")
    columns = [key for key in rows[0] if key not in _LEFT_OUT]
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode("utf-8")


def markdown_table(rows: Sequence[LeaderboardRow], quality: QualityTerms) -> str:
    """Returns leaderboard rows as a Markdown table with units in its head."""
    heads = [markdown(one.heading(replace(one.brief, unit=quality.unit_of(one)))) for one in _SHOWN]
    heads[0] = markdown(quality.heading)
    lines = [f"|  | score | recipe | {' | '.join(heads)} |", "|" + " --- |" * (3 + len(heads))]
    lines += ["| " + " | ".join(_cells(row, quality)) + " |" for row in rows]
    return "\n".join(lines)


def _cells(row: Mapping[str, Any], quality: QualityTerms) -> list[str]:
    """Returns rank, score, recipe and the figures of a row."""
    forms = [(one.name, quality.form if one.of_quality else one.brief) for one in _SHOWN]
    figures = [form.text(row.get(name)) for name, form in forms]
    return [format(row["rank"], "d"), f"{row['score']:.2f}", markdown_code(row["recipe"]), *figures]


@dataclass(frozen=True)
class StepWork:
    """What the different steps of a study's trials took of a worker's time.

    Args:
        steps: how many there are; one that several trials share counts once.
        seconds: of making them all.
        steps_here, seconds_here: of these, what was made in this study, and did not lie in the cache.
    """

    steps: int
    seconds: float
    steps_here: int
    seconds_here: float

    def __str__(self) -> str:
        said = f"{self.steps} different step{'s' * (self.steps != 1)} took {duration(self.seconds)}"
        said += " of a worker's time"
        if self.steps_here == self.steps:
            return f"{said}, all of it in this study"
        before, here = "all were", ""
        if self.steps_here:
            before = "the others were"
            here = f"{self.steps_here} of them were made in this study ({duration(self.seconds_here)}), "
        return f"{said}; {here}{before} cached before"


_WORK = """
    WITH made AS (
        SELECT array_to_string(string_split(recipe, ' -> ')[1:position], ' -> ') AS prefix,
            any_value(seconds) AS seconds, bool_and(cached) AS cached
        FROM steps WHERE study = ? GROUP BY prefix
    )
    SELECT count(*) AS steps, coalesce(sum(seconds), 0) AS seconds,
        count(*) FILTER (NOT cached) AS steps_here,
        coalesce(sum(seconds) FILTER (NOT cached), 0) AS seconds_here
    FROM made
"""


def _work(store: Store, study: str) -> StepWork:
    [row] = store.query(_WORK, [study]).to_pylist()
    return StepWork(**row)


def _epochs(study: StoredStudy) -> str:
    return f"{study.epochs_per_step:g} epoch{'s' * (study.epochs_per_step != 1)}"


def ranked_by(study: StoredStudy) -> str:
    """Says what makes one row better than another, and what its score is; names in it may be anything."""
    if study.goal.is_score:
        return f"Ranked by the papers' weighted score, profile {study.profile}."
    costs = " and ".join(FIGURE[name].long_title or FIGURE[name].title for name in study.goal.minimized)
    return f"Goal: {study.goal}. The score is how often {costs} was halved, against the baseline."


def _markdown(study: StoredStudy, rows: Sequence[LeaderboardRow], commit: str | None, work: StepWork) -> str:
    constraints = ", ".join(map(str, study.constraints)) or "no constraint"
    counts = study.counts
    facts = [
        f"- study {markdown_code(study.name)}: task {markdown(study.task)}, device {markdown(study.device)}, "
        f"seed {study.seed}, {_epochs(study)} after every step",
        f"- {counts['finished']} trials finished, {counts['failed']} failed, {counts['rejected']} rejected; "
        f"{len(rows) - 1} recipes meet {markdown(constraints)}",
        f"- {work}",
        f"- begun {str(study.created_at)[:16]} UTC, written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- machine: {machine()}",
        f"- versions: atoll {version('atoll')}"
        + (f" at commit {markdown(commit)}" if commit else "")
        + f", torch {version('torch')}",
    ]
    quality = QualityTerms.of(rows[0])
    return (
        "\n\n".join(
            [
                f"# {markdown(study.name)}",
                "\n".join(facts),
                markdown(ranked_by(study)),
                markdown_table(rows, quality),
                LEGEND.format(device=markdown(study.device)),
                "Every trial is in `trials.parquet`, every step of it in `steps.parquet` "
                "(`SELECT * FROM 'trials.parquet'` in any DuckDB).",
            ]
        )
        + "\n"
    )


def machine() -> str:
    """Returns processor, cores and memory of this machine, without its name."""
    model = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor() or platform.machine(),
    )
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cores()} cores of {model}, {gib:.0f} GiB, {platform.system()}"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
