"""The leaderboard: a study's finished trials by the papers' ranking or its goal, one row a recipe."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...spaces.errors import AtollError
from .against_baseline import compression_ratio, cost_of, figure_of, quality_drop
from .constraints import DEFAULT_CONSTRAINTS
from .demands import Demand
from .figures import FIGURE, METRICS
from .goal import Goal
from .quality_terms import QualityTerms
from .ranking import OUR_METRICS, Ranking, profile_weights, rank_models

BASELINE = "baseline"
_AVERAGED = tuple(name for figure in METRICS for name in (figure.name, *figure.ends))
Row = dict[str, Any]
_NO_TEST: Row = dict.fromkeys(("test_drop", "test_drop_error", "test_gap"))


def leaderboard(
    rows: Iterable[Mapping[str, Any]],
    baseline: Mapping[str, Any],
    profile: str | Mapping[str, float] = "balanced",
    constraints: Sequence[Demand] = DEFAULT_CONSTRAINTS,
    all: bool = False,
    scoring: str = "linear",
) -> list[Row]:
    """Ranks the recipes that meet the constraints, together with the baseline, by eqs. 11-17.

    Args:
        rows: trials: the keys of `Metrics` and `recipe`, `seed`, `epochs_per_step`; a `status` other than
            finished is left out; further keys are kept.
        baseline: the uncompressed network's metrics, to which drops and ratios refer, with the terms in which
            quality is read; it stands for rows whose recipe is `baseline`.
        profile: a weight profile of THESIS table 4, or own weights by role.
        constraints: what a recipe must meet; the baseline is ranked in any case.
        all: rank everything, exactly as the papers would.
        scoring: scoring rule, see `ranking.metric_scores`.

    Returns:
        one row a recipe, best first: `rank`, `score` (unrounded), `recipe`, `n` seeds at its largest budget,
        the means of its metrics over them, `quality_std` and `quality_drop_error` (None for one seed),
        `quality_drop`, `compression_ratio`, `meets` and `misses` (what it misses, in words), and the further
        keys, of the seed nearest the mean. Of the seeds that have a `test_drop` its mean, `test_drop_error`
        and `test_gap`, how much larger it is than their drop on validation; None where no test was looked at.

    Raises:
        AtollError: unknown profile or scoring, or a ranked or constrained figure that is missing.
    """
    candidates = [_judged(row, baseline, constraints) for row in recipe_rows(rows, baseline)]
    ranked = [_baseline_row(baseline, constraints), *(row for row in candidates if all or row["meets"])]
    ranking = ranking_of(ranked, baseline, profile, scoring)
    return [{"rank": ranking.ranks[i], "score": ranking.scores[i], **ranked[i]} for i in ranking.order()]


def ranking_of(
    rows: Sequence[Mapping[str, Any]],
    baseline: Mapping[str, Any],
    profile: str | Mapping[str, float],
    scoring: str,
) -> Ranking:
    """Returns the ranking of rows of a leaderboard, in the order in which they are given.

    Args:
        rows: with `baseline_quality` beside their metrics.
        baseline, profile, scoring: as for `leaderboard`.
    """
    weights, terms = profile_weights(profile), QualityTerms.of(baseline)
    return rank_models(
        values=ranked_values(rows, baseline),
        weights={metric: weights[role] for role, metric in OUR_METRICS.items()},
        higher_is_better={
            metric: terms.figure(FIGURE[metric]).higher_is_better for metric in OUR_METRICS.values()
        },
        scoring=scoring,
    )


def ranked_values(rows: Sequence[Mapping[str, Any]], baseline: Mapping[str, Any]) -> dict[str, list[float]]:
    """Returns by metric the figures that rank rows of a leaderboard, a quality as if of one baseline."""
    return {metric: [_ranked(row, metric, baseline) for row in rows] for metric in OUR_METRICS.values()}


def leaderboard_by_goal(
    rows: Iterable[Mapping[str, Any]],
    baseline: Mapping[str, Any],
    goal: Goal,
    constraints: Sequence[Demand] = DEFAULT_CONSTRAINTS,
    all: bool = False,
) -> list[Row]:
    """Ranks the recipes that meet the constraints, together with the baseline, by what a goal minimizes.

    Args:
        rows, baseline, constraints, all: as for `leaderboard`.
        goal: what is minimized; equal products share a rank.

    Returns:
        as `leaderboard`, with the halvings of the costs as `score`.

    Raises:
        AtollError: a minimized or constrained figure is missing.
    """
    candidates = [_judged(row, baseline, constraints) for row in recipe_rows(rows, baseline)]
    ranked = [_baseline_row(baseline, constraints), *(row for row in candidates if all or row["meets"])]
    scores = [goal.halvings(row, baseline) for row in ranked]
    order = sorted(range(len(ranked)), key=lambda place: -scores[place])
    first_of: dict[float, int] = {}
    for rank, place in enumerate(order, start=1):
        first_of.setdefault(scores[place], rank)
    return [{"rank": first_of[scores[i]], "score": scores[i], **ranked[i]} for i in order]


def nearest_miss(
    rows: Iterable[Mapping[str, Any]],
    baseline: Mapping[str, Any],
    constraints: Sequence[Demand] = DEFAULT_CONSTRAINTS,
) -> Row | None:
    """Returns the recipe that misses the constraints by least, with `misses` in words.

    It is what a command names when nothing meets them. The largest relative violation decides.

    Returns:
        its row as in `leaderboard`, without rank and score; None where no trial finished or one meets all.
    """
    judged = [_judged(row, baseline, constraints) for row in recipe_rows(rows, baseline)]
    if not judged or any(row["meets"] for row in judged):
        return None
    return min(judged, key=lambda row: max(one.violation(row, _beside(row, baseline)) for one in constraints))


def recipe_rows(rows: Iterable[Mapping[str, Any]], baseline: Mapping[str, Any]) -> list[Row]:
    """Merges the finished trials of each recipe at its largest budget: the mean over its seeds.

    A trial given twice (same recipe, seed and budget) counts once, the later one. Rows of the baseline make
    no row: each is what the trials of its seed and budget are held against, but for a recipe that has the
    baseline's own seed alone: `baseline` may be the mean of several seeds, and is no worse for its luck.

    Args:
        rows: as for `leaderboard`.
        baseline: what all others are held against.

    Returns:
        one row a recipe, in the order of first appearance; `baseline_quality` is the mean over its seeds.
    """
    by_recipe: dict[str, dict[tuple[float, Any], Mapping[str, Any]]] = {}
    for row in rows:
        if row.get("status", "finished") == "finished":
            key = (float(row.get("epochs_per_step") or 0), row.get("seed"))
            by_recipe.setdefault(row["recipe"], {})[key] = row
    beside = by_recipe.pop(BASELINE, {})
    others = {key: row for key, row in beside.items() if key[1] != baseline.get("seed")}
    merged, terms = [], QualityTerms.of(baseline)
    for trials in by_recipe.values():
        largest = max(budget for budget, _ in trials)
        seeds = {key: row for key, row in trials.items() if not key[0] < largest}
        same = beside if len(seeds) > 1 else others
        pairs = [_figure(same.get(key, baseline), "quality") for key in seeds]
        merged.append(_mean(list(seeds.values()), pairs, terms))
    return merged


def _mean(seeds: Sequence[Mapping[str, Any]], baselines: Sequence[float], terms: QualityTerms) -> Row:
    """Returns the row of the seed nearest the mean with every metric replaced by the mean over the seeds.

    Args:
        seeds: rows of one recipe.
        baselines: quality of the baseline of each seed.
        terms: in which both are read.
    """
    qualities = [_figure(seed, "quality") for seed in seeds]
    drops = [terms.drop(before, after) for before, after in zip(baselines, qualities, strict=True)]
    middle = statistics.fmean(drops)
    # two seeds are equally far, but for their last bits
    nearest = min(range(len(seeds)), key=lambda place: round(abs(drops[place] - middle), 12))
    row = dict(seeds[nearest])
    row["n"] = len(seeds)
    row["baseline_quality"] = statistics.fmean(baselines) if len(set(baselines)) > 1 else baselines[0]
    for name in _AVERAGED:
        figures = [seed[name] for seed in seeds if seed.get(name) is not None]
        if len(set(figures)) > 1:  # equal figures stay what they are, whole numbers above all
            row[name] = statistics.fmean(figures)
    row["quality_std"] = _deviation(qualities)
    row["quality_drop_error"] = standard_error(drops)
    return row | _on_test(seeds, drops)


def _on_test(seeds: Sequence[Mapping[str, Any]], drops: Sequence[float]) -> Row:
    """Returns what the test split says of a recipe, over the seeds with which it was looked at.

    Args:
        seeds: rows of the recipe.
        drops: of each on the validation split.
    """
    looked = [
        (_figure(seed, "test_drop"), drop)
        for seed, drop in zip(seeds, drops, strict=True)
        if seed.get("test_drop") is not None
    ]
    if not looked:
        return dict(_NO_TEST)
    found = [test_drop for test_drop, _ in looked]
    return {
        "test_drop": statistics.fmean(found),
        "test_drop_error": standard_error(found),
        "test_gap": statistics.fmean(test_drop - drop for test_drop, drop in looked),
    }


def standard_error(values: Sequence[float]) -> float | None:
    """Returns the standard error of the mean of values, None of one alone or of what is no number.

    >>> standard_error([1.0, 2.0, 3.0])  # a standard deviation of 1, over the root of 3
    0.5773502691896258
    """
    deviation = _deviation(values)
    return None if deviation is None else deviation / math.sqrt(len(values))


def _deviation(values: Sequence[float]) -> float | None:
    """Returns the standard deviation; None of one value, or where a store has what is no number."""
    return statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else None


def _baseline_row(baseline: Mapping[str, Any], constraints: Sequence[Demand]) -> Row:
    alone = {
        "n": 1,
        "quality_std": None,
        "quality_drop_error": None,
        **_NO_TEST,
        **baseline,
        "recipe": BASELINE,
    }
    return _judged({**alone, "baseline_quality": alone.get("quality")}, baseline, constraints)


def _beside(row: Mapping[str, Any], baseline: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the baseline as it came out with the seeds of a row."""
    return {**baseline, "quality": row["baseline_quality"]}


def _ranked(row: Mapping[str, Any], metric: str, baseline: Mapping[str, Any]) -> float:
    """Returns a figure as it is ranked: a quality is shifted as the baseline of its seeds is."""
    if metric in baseline and baseline[metric] is None and row.get(metric) is None:
        return cost_of(row, metric)  # nobody measured the device: it is the same for all
    figure = _figure(row, metric)
    if metric != "quality":
        return figure
    return figure + (_figure(baseline, "quality") - row["baseline_quality"])


def _judged(row: Mapping[str, Any], baseline: Mapping[str, Any], constraints: Sequence[Demand]) -> Row:
    """Adds what refers to the baseline and whether the constraints are met."""
    baseline = _beside(row, baseline)
    misses = [one.explain(row, baseline) for one in constraints if one.violation(row, baseline) > 0]
    ratio = compression_ratio(_figure(baseline, "model_bytes"), _figure(row, "model_bytes"))
    return {
        **row,
        "quality_drop": quality_drop(row, baseline),
        "flash_bytes": row["model_bytes"],
        "compression_ratio": ratio if math.isfinite(ratio) else None,
        "meets": not misses,
        "misses": "; ".join(misses),
    }


def _figure(row: Mapping[str, Any], metric: str) -> float:
    try:
        return figure_of(row, metric)
    except AtollError as error:
        raise AtollError(f"{row.get('recipe', BASELINE)}: {error}") from None
