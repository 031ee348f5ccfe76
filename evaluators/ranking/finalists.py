"""Which finalist wins: those that were trained with several seeds, and how far their lead is luck."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .leaderboard import BASELINE, standard_error
from .quality_terms import QualityTerms

#: scores are sums of a few products near 1: below this two are the same
_LAST_BITS = 1e-9

#: a row of a trial, or of a leaderboard
Row = Mapping[str, Any]
#: ranks rows of trials, the baseline among them, best first: `leaderboard` with all its arguments but these
Rank = Callable[[Sequence[Row]], Sequence[Row]]


@dataclass(frozen=True)
class Finalist:
    """A recipe that was trained with several seeds.

    Args:
        row: of the leaderboard, with the means over the seeds.
        scores: what it would score if each seed were the only one, in the order of the seeds, which are the
            same for all finalists.
    """

    row: Row
    scores: tuple[float, ...]

    @property
    def bound(self) -> tuple[float, float]:
        """Score and better quality than the baseline's, each a standard error worse than its mean."""
        error = standard_error(self.scores) or 0.0
        drop_bound = self.row["quality_drop"] + (self.row["quality_drop_error"] or 0.0)
        return round(statistics.fmean(self.scores) - error, 9), -drop_bound


@dataclass(frozen=True)
class Lead:
    """How far one finalist is ahead of another, seed by seed.

    Args:
        score: mean difference of their scores.
        error: its standard error.
    """

    score: float
    error: float

    @classmethod
    def of(cls, one: Finalist, other: Finalist) -> "Lead":
        """Returns the lead of one over another."""
        gaps = [mine - theirs for mine, theirs in zip(one.scores, other.scores, strict=True)]
        return cls(statistics.fmean(gaps), standard_error(gaps) or 0.0)

    @property
    def is_clear(self) -> bool:
        """Whether it is more than one standard error."""
        return abs(self.score) > self.error + _LAST_BITS


def finalists(trials: Sequence[Row], ranked: Sequence[Row], rank: Rank) -> list[Finalist]:
    """Returns the finalists of a leaderboard, best first; none where every recipe was trained once.

    They have the most seeds of all, and are compared on those that all of them have.

    Args:
        trials: the rows that `ranked` was made of.
        ranked: the leaderboard, best first.
        rank: makes a leaderboard of other rows, of all of them, whatever they miss.
    """
    ranked = [row for row in ranked if row["recipe"] != BASELINE]
    most = max((row["n"] for row in ranked), default=1)
    found = [row for row in ranked if row["n"] == most] if most > 1 else []
    seeds: dict[str, set[int]] = {row["recipe"]: set() for row in found}
    others = {BASELINE, *(row["recipe"] for row in ranked)} - seeds.keys()
    for trial in trials:
        if trial["recipe"] in seeds and trial.get("status", "finished") == "finished":
            seeds[trial["recipe"]].add(trial["seed"])
    scores: dict[str, list[float]] = {recipe: [] for recipe in seeds}
    common = sorted(set.intersection(*seeds.values())) if seeds else []
    if len(common) < 2:  # rows of someone else's making: there is nothing to compare seed by seed
        return []
    for seed in common:
        alone = [
            trial
            for trial in trials
            if trial["recipe"] in others or (trial["recipe"] in seeds and trial["seed"] == seed)
        ]
        for row in rank(alone):
            if row["recipe"] in seeds:
                scores[row["recipe"]].append(row["score"])
    return [Finalist(row, tuple(scores[row["recipe"]])) for row in found]


def winner(of: Sequence[Finalist]) -> Finalist:
    """Returns the first of the finalists; of those that are less than a standard error behind, the safest.

    The safest has the better bound: the score, and where that is the same the quality, of a bad day.

    Args:
        of: one or more, best first.
    """
    first = of[0]
    return max((one for one in of if not Lead.of(first, one).is_clear), key=lambda one: one.bound)


def said_on_test(row: Row) -> str | None:
    """Returns in words what the test split says of a recipe, None where it was not asked with several seeds.

    Args:
        row: of the leaderboard, or of `recipe_rows`.
    """
    if row.get("test_drop_error") is None:
        return None
    terms = QualityTerms.of(row)
    drops = (row["test_drop"], terms.drop(row["baseline_quality"], row["quality"]))
    errors = (row["test_drop_error"], row["quality_drop_error"])
    test, validation = (
        f"{terms.worse(drop)} ± {terms.apart(error)}" for drop, error in zip(drops, errors, strict=True)
    )
    return (
        f"mean over its seeds: on the test split (files) {test}, on validation {validation}; "
        f"the test split is {terms.worse(row['test_gap'])}"
    )
