"""The table of an ablation: a row a variant, beside the trial that it is a variant of, with the spread."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from ...evaluators.ranking.against_baseline import compression_ratio, quality_drop
from ...evaluators.ranking.leaderboard import BASELINE, recipe_rows
from ...evaluators.ranking.quality_terms import QualityTerms
from .plan import Plan
from .runs import Results
from .variants import AS_FOUND, OTHER_ORDER, Variant

Row = dict[str, Any]


def comparison_rows(plan: Plan, results: Results) -> list[Row]:
    """Returns the trial's row, then those of other orders, the best quality first, then without each step.

    Args:
        plan: what was run.
        results: of the runs.

    Returns:
        rows with the means of the metrics over the seeds that finished, `n` of them, `quality_std`,
        `quality_drop` (the mean of what each seed lost beside its own baseline), `worse_by` (the mean, seed
        by seed, of how much worse the quality is than that of the trial's order; None for itself) and its
        standard deviation `worse_by_std` over `pairs` of seeds, `status` and `reason`.
    """
    rows = [_row(plan, results, variant) for variant in plan.variants]
    terms = QualityTerms.of(next(iter(results.baselines.values())))

    def place(row: Row) -> tuple[int, bool, float]:
        group = 0 if row["kind"] == AS_FOUND else 1 if row["kind"] == OTHER_ORDER else 2
        sorts = group == 1 and row["n"]
        return group, not row["n"], terms.drop(0.0, row["quality"]) if sorts else 0.0

    return sorted(rows, key=place)


def _row(plan: Plan, results: Results, variant: Variant) -> Row:
    about = {"variant": str(variant), "kind": variant.kind, "recipe": str(variant.recipe)}
    if variant.recipe in plan.impossible:
        return {**about, "n": 0, "status": "rejected", "reason": plan.impossible[variant.recipe]}
    trials = {seed: results.trials[variant.recipe, seed] for seed in plan.seeds}
    found = {seed: trial.metrics for seed, trial in trials.items() if trial.metrics is not None}
    if not found:
        first = trials[plan.seeds[0]]
        return {**about, "n": 0, "status": first.status, "reason": first.reason}
    baselines = [{**results.baselines[seed].to_json(), "recipe": BASELINE, "seed": seed} for seed in found]
    ours = [{**metrics.to_json(), "recipe": variant.kind, "seed": seed} for seed, metrics in found.items()]
    (means,) = recipe_rows([*baselines, *ours], baselines[0])
    drops = {seed: quality_drop(metrics, results.baselines[seed]) for seed, metrics in found.items()}
    of_trial = {seed: results.trials[plan.recipe, seed].metrics for seed in found}
    worse = [
        QualityTerms.of(own).drop(own.quality, found[seed].quality)
        for seed, own in of_trial.items()
        if own is not None and variant.kind != AS_FOUND
    ]
    baseline_bytes = statistics.fmean(results.baselines[seed].model_bytes for seed in found)
    failed = [trial for trial in trials.values() if trial.metrics is None]
    return {
        **means,
        **about,
        "quality_drop": statistics.fmean(drops.values()),
        "compression_ratio": compression_ratio(baseline_bytes, means["model_bytes"]),
        "worse_by": statistics.fmean(worse) if worse else None,
        "worse_by_std": statistics.stdev(worse) if len(worse) > 1 else None,
        "pairs": len(worse),
        "seconds": statistics.fmean(trials[seed].seconds or 0.0 for seed in found),
        "status": "finished",
        "reason": f"{len(failed)} of {len(trials)} seeds failed: {failed[0].reason}" if failed else None,
    }


def findings(rows: Sequence[Row], seeds: int) -> list[str]:
    """Returns what the table says of the order, in words.

    Args:
        rows: of `comparison_rows`.
        seeds: that were run.
    """
    trial = rows[0]
    others = [row for row in rows if row["kind"] == OTHER_ORDER and row.get("worse_by") is not None]
    said = []
    if others:
        terms = QualityTerms.of(trial)
        paired = [row for row in others if seeds == 1 or row["pairs"] > 1]
        better = sum(_is_clear(row, -row["worse_by"], terms) for row in paired)
        worse = sum(_is_clear(row, row["worse_by"], terms) for row in paired)
        best, last = (
            terms.worse(row["worse_by"]) for row in (min(others, key=_worse_by), max(others, key=_worse_by))
        )
        beyond = ", beyond the standard error" if seeds > 1 else ""
        said.append(
            f"of {len(others)} other orders {better} end better than the trial's and {worse} worse{beyond}: "
            f"the best is {best}, the worst {last}"
        )
    if seeds == 1:
        said.append("one seed: a difference may be luck, and --seeds 3 shows the spread")
    return said


def _worse_by(row: Row) -> float:
    return float(row["worse_by"])


def _is_clear(row: Row, difference: float, terms: QualityTerms) -> bool:
    """Whether a difference is above what means nothing, and above its standard error, if that is known."""
    error = (row["worse_by_std"] or 0.0) / math.sqrt(row["pairs"])
    return difference > max(terms.resolution(row["quality"]), error)
