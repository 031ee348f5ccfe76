"""Trials beside each other: steps aligned, the better figure marked, and what is more than noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from statistics import fmean
from typing import Any, Literal, Self

from ...evaluators.ranking.figure import Figure
from ...evaluators.ranking.figures import FIGURE
from ...evaluators.ranking.leaderboard import BASELINE, standard_error
from ...evaluators.ranking.quality_terms import QualityTerms
from ...spaces.errors import AtollError
from ..store.store import Store
from ..store.stored_rows import TrialRow
from ..store.stored_study import StoredStudy
from .trial_story import any_trial

#: what is compared, where one of the trials has it
FIGURES = (
    *("quality", "model_bytes", "compression_ratio", "payload_bytes", "packed_bytes", "macs", "parameters"),
    *("latency_ms", "peak_memory_bytes", "arena_bytes", "ethos_u_mappable", "ethos_u_flash_bytes"),
    *("label_loyalty", "train_seconds", "seconds"),
    *("model_bytes_measured", "latency_host_ms_measured", "agreement", "test_quality"),
)
#: trials that fit beside each other on a screen (own choice)
MOST = 8
#: same: equal figures; differs: counted or read off a file, where nothing is random; noise, clear: of means
#: over common seeds; within: their predicted intervals overlap; unknown: one seed, whose luck nobody knows
Verdict = Literal["same", "differs", "noise", "clear", "within", "unknown"]


@dataclass(frozen=True)
class ComparedFigure:
    """A figure of some trials.

    Args:
        figure: what is compared, in the task's own terms.
        values: one a trial, None where it has none.
        best: places of the best; all of them where they agree.
        verdicts: of each against the first trial, None for the first and where a value is missing.
        noise: of quality: mean difference to the first trial over common seeds, above 0 where it is worse,
            and its standard error; None where fewer than two seeds are common.
    """

    figure: Figure
    values: tuple[Any, ...]
    best: tuple[int, ...]
    verdicts: tuple[Verdict | None, ...]
    noise: tuple[tuple[float, float, int] | None, ...]


@dataclass(frozen=True)
class Comparison:
    """Trials of one study beside each other.

    Args:
        trials: their rows.
        steps: aligned: a row of steps, one a trial, "" where it has none there.
        figures: those that a trial has.
        terms: in which their quality is read.
    """

    trials: list[TrialRow]
    steps: list[tuple[str, ...]]
    figures: list[ComparedFigure]
    terms: QualityTerms

    @classmethod
    def of(cls, store: Store, study: StoredStudy, names: Sequence[str]) -> Self:
        """Compares trials.

        Args:
            store, study: where they are.
            names: of two trials or more: names, recipes, or `best`.

        Raises:
            AtollError: fewer than two or more than `MOST` different ones, or one that the study has not.
        """
        found = {row["trial"]: row for row in (any_trial(store, study, name) for name in names)}
        if not 2 <= len(found) <= MOST:
            said = ", ".join(found) or "none"
            raise AtollError(f"compare: got the trials {said}, allowed are 2 to {MOST} different ones")
        trials = list(found.values())
        terms = QualityTerms.of(trials[0] if trials[0]["quality_name"] else study.baseline)
        drops = [_drops(store, row, terms) for row in trials]
        compared = [
            _compared(terms.figure(FIGURE[name]), trials, drops)
            for name in FIGURES
            if any(_known(row.get(name)) is not None for row in trials)
        ]
        return cls(trials, aligned([steps_of(row["recipe"]) for row in trials]), compared, terms)


def steps_of(recipe: str) -> list[str]:
    """Returns the steps of a recipe's text; the baseline has none."""
    return [] if recipe == BASELINE else recipe.split(" -> ")


def aligned(recipes: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Returns the steps of recipes row by row, one technique a row, in the order of each recipe.

    >>> aligned([["prune(a)", "quantize"], ["prune(b)", "svd", "quantize"]])
    [('prune(a)', 'prune(b)'), ('', 'svd'), ('quantize', 'quantize')]
    """
    rows: list[list[str]] = []
    for place, steps in enumerate(recipes):
        before = [_technique(next(filter(None, row))) for row in rows]
        matcher = SequenceMatcher(None, before, [_technique(step) for step in steps], autojunk=False)
        merged: list[list[str]] = []
        for _, start, end, first, last in matcher.get_opcodes():
            same = before[start:end] == [_technique(step) for step in steps[first:last]]
            if same:
                merged += [[*row, step] for row, step in zip(rows[start:end], steps[first:last], strict=True)]
            else:
                merged += [[*row, ""] for row in rows[start:end]]
                merged += [[*[""] * place, step] for step in steps[first:last]]
        rows = merged
    return [tuple(row) for row in rows]


def _technique(step: str) -> str:
    return step.partition("(")[0]


def _drops(store: Store, trial: TrialRow, terms: QualityTerms) -> dict[int, float]:
    """Returns by seed how much worse a recipe is than the baseline of the seed, at a budget."""
    rows = store.query(
        "SELECT t.seed, t.quality, coalesce(b.quality, s.quality) AS baseline FROM trials t "
        "LEFT JOIN trials b ON b.study = t.study AND b.recipe = 'baseline' AND b.status = 'finished' "
        "    AND b.seed = t.seed AND b.epochs_per_step = t.epochs_per_step "
        "LEFT JOIN trials s ON s.study = t.study AND s.origin = 'baseline' AND s.status = 'finished' "
        "WHERE t.study = ? AND t.recipe = ? AND t.epochs_per_step = ? AND t.status = 'finished'",
        [trial["study"], trial["recipe"], trial["epochs_per_step"]],
    ).to_pylist()
    known = (row for row in rows if None not in (_known(row["quality"]), _known(row["baseline"])))
    return {row["seed"]: terms.drop(row["baseline"], row["quality"]) for row in known}


def _known(value: Any) -> Any:
    """Returns a figure, or None for what is no number: somebody else's tables may hold anything."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _compared(
    figure: Figure, trials: Sequence[TrialRow], drops: Sequence[dict[int, float]]
) -> ComparedFigure:
    rows = [{name: _known(value) for name, value in row.items()} for row in trials]
    values = tuple(row.get(figure.name) for row in rows)
    known = [value for value in values if value is not None]
    wanted = max(known) if figure.higher_is_better else min(known)
    noise = tuple(_lead(drops[0], other) if figure.name == "quality" else None for other in drops)
    verdicts = tuple(
        _verdict(figure, rows[0], row, between) if place else None
        for place, (row, between) in enumerate(zip(rows, noise, strict=True))
    )
    best = tuple(place for place, value in enumerate(values) if value == wanted)
    return ComparedFigure(figure, values, best, verdicts, (None, *noise[1:]))


def _lead(first: dict[int, float], other: dict[int, float]) -> tuple[float, float, int] | None:
    """Returns how much worse one recipe is than another over the seeds of both, and how sure that is."""
    gaps = [other[seed] - first[seed] for seed in sorted(first.keys() & other.keys())]
    error = standard_error(gaps)
    return None if error is None else (fmean(gaps), error, len(gaps))


def _verdict(
    figure: Figure, first: dict[str, Any], row: dict[str, Any], between: tuple[float, float, int] | None
) -> Verdict | None:
    one, other = first.get(figure.name), row.get(figure.name)
    if one is None or other is None:
        return None
    if figure.name == "quality" and between is not None:
        return "clear" if abs(between[0]) > between[1] + 1e-9 else "noise"
    if one == other:
        return "same"
    if figure.needs_training or figure.name in ("seconds", "test_quality"):
        return "unknown"
    if figure.ends and all(one_of.get(end) is not None for one_of in (first, row) for end in figure.ends):
        low, high = figure.ends
        return "within" if first[low] <= row[high] and row[low] <= first[high] else "differs"
    return "differs"
