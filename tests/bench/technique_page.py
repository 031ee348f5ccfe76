"""The measured techniques as a page for readers, and as figures with what was expected of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import mean
from typing import Literal

from atoll.evaluators.ranking.figure import PERCENT
from atoll.evaluators.ranking.figures import FIGURE
from atoll.evaluators.tasks.task import Task
from atoll.search.report.markdown import machine
from atoll.spaces.recipes.recipe import Recipe
from technique_rows import Row
from technique_runs import Run

Found = Mapping[Run, Row]


@dataclass(frozen=True)
class Summary:
    """One recipe over its seeds.

    Args:
        recipe: the recipe.
        qualities, drops: of each seed; the drop is against the baseline of the same seed.
        figures: means over the seeds of the other metrics.
        baseline_figures: those of the baseline.
    """

    recipe: Recipe
    qualities: tuple[float, ...]
    drops: tuple[float, ...]
    figures: Mapping[str, float]
    baseline_figures: Mapping[str, float]

    @property
    def drop_points(self) -> float:
        """Mean drop of the quality, in points (hundredths)."""
        return 100 * mean(self.drops)

    def times_smaller(self, figure: str) -> float:
        """Returns how many times smaller a size is than the baseline's."""
        return self.baseline_figures[figure] / self.figures[figure]


_FIGURES = ("model_bytes", "payload_bytes", "packed_bytes", "macs", "train_seconds", "train_epochs")


def summaries(found: Found) -> list[Summary]:
    """Returns every recipe whose baseline is there too, in the order of the runs, the baseline first."""
    by_recipe: dict[Recipe, list[Run]] = {}
    for run in found:
        if Run(Recipe(), run.seed) in found:
            by_recipe.setdefault(run.recipe, []).append(run)
    ordered = sorted(by_recipe, key=lambda recipe: len(recipe) > 0)
    figures = {recipe: _means([found[run] for run in runs]) for recipe, runs in by_recipe.items()}
    return [
        Summary(
            recipe,
            tuple(_quality(found[run]) for run in by_recipe[recipe]),
            tuple(
                _quality(found[Run(Recipe(), run.seed)]) - _quality(found[run]) for run in by_recipe[recipe]
            ),
            figures[recipe],
            figures[Recipe()],
        )
        for recipe in ordered
    ]


def _quality(row: Row) -> float:
    return float(row["metrics"]["quality"])


def _means(rows: Sequence[Row]) -> dict[str, float]:
    return {name: mean(row["metrics"][name] for row in rows) for name in _FIGURES}


# What was expected -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expectation:
    """A figure of one recipe and the least that was expected of it."""

    name: str
    recipe: str
    unit: str
    target: float
    better: Literal["lower", "higher"]

    def value(self, summary: Summary) -> float:
        """Returns the figure."""
        return summary.drop_points if self.unit == "points" else summary.times_smaller("payload_bytes")


#: what own measurements of 2026 with another training loop let expect; points of accuracy on validation
EXPECTED: tuple[Expectation, ...] = (
    Expectation("int4_drop", "quantize(bits=4)", "points", 0.05, "lower"),  # "-0.0"
    Expectation("int2_drop", "quantize(bits=2)", "points", 0.5, "lower"),  # "about 0"
    Expectation("int2_payload_smaller", "quantize(bits=2)", "x", 15.5, "higher"),  # "16x"
    Expectation("tensor_train_rank_16_drop", "tensor_train(rank=16)", "points", 1.0, "lower"),
    Expectation("half_the_channels_drop", "prune_channels(ratio=0.5)", "points", 1.0, "lower"),
)


# The page ----------------------------------------------------------------------------------------------

_SMALLER = FIGURE["compression_ratio"]
_HEAD = (
    "recipe",
    "seeds",
    "{quality}, %",
    f"{FIGURE['quality_drop'].title}, points",
    FIGURE["model_bytes"].heading(),
    _SMALLER.heading(),
    FIGURE["payload_bytes"].heading(),
    _SMALLER.heading(),
    FIGURE["packed_bytes"].heading(),
    FIGURE["macs"].heading(),
    FIGURE["train_epochs"].heading(),
    "seconds",
)


def page(task: Task, found: Found, epochs: float, threads: int) -> str:
    """Returns the Markdown page: how it was measured, the table, what the columns mean."""
    lines = [
        "# Every technique alone",
        "",
        f"- task {task.name} (`{task.network}`), {epochs:g} epoch{'' if epochs == 1 else 's'} of fine-tuning "
        "after the step; the baseline is the given network after as many, plain or self-distilled, whichever "
        "validates better",
        f"- machine: {machine()}; one process, {threads} threads",
        f"- versions: atoll {version('atoll')} at commit {_commits(found)}, torch {version('torch')}",
        f"- measured {_days(found)}, written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by "
        "`make bench-techniques`; every run is in `rows.jsonl`",
        "",
        "| " + " | ".join(head.format(quality=task.quality_name) for head in _HEAD) + " |",
        "| --- |" + " ---: |" * (len(_HEAD) - 1),
    ]
    lines += ["| " + " | ".join(_cells(summary)) + " |" for summary in summaries(found)]
    lines += ["", _LEGEND.format(quality=task.quality_name.capitalize()), ""]
    return "\n".join(lines)


_LEGEND = (
    "{quality} on the validation split, measured; the drop is against the baseline of the same seed (below "
    "zero: better than it), over several seeds as mean and range. `file` is the LiteRT file, `payload` what "
    "must be stored of weights, `packed` the file after zstd-19; `smaller` divides the baseline's size by "
    "it. `seconds` are those of the steps with their training; a technique that needs another one before it "
    "comes after that."
)


def _cells(summary: Summary) -> list[str]:
    figures = summary.figures
    brief = {name: FIGURE[name].brief.text(figures[name]) for name in _FIGURES}
    return [
        f"`{summary.recipe}`",
        str(len(summary.qualities)),
        PERCENT.text(mean(summary.qualities)),
        _drop(summary) if len(summary.recipe) else "",
        brief["model_bytes"],
        _SMALLER.brief.text(summary.times_smaller("model_bytes")),
        brief["payload_bytes"],
        _SMALLER.brief.text(summary.times_smaller("payload_bytes")),
        brief["packed_bytes"],
        brief["macs"],
        f"{figures['train_epochs']:.3g}",
        f"{figures['train_seconds']:.0f}",
    ]


def _drop(summary: Summary) -> str:
    text = f"{summary.drop_points:+.2f}"
    if len(summary.drops) == 1:
        return text
    return f"{text} ({100 * min(summary.drops):+.2f} to {100 * max(summary.drops):+.2f})"


def _commits(found: Found) -> str:
    return ", ".join(sorted({row["commit"] for row in found.values()}))


def _days(found: Found) -> str:
    days = sorted({row["finished_at"][:10] for row in found.values()})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
