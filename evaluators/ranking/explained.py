"""What a score is made of: value, scaled value, score and weight of every metric that counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .against_baseline import figure_of
from .goal import Goal
from .leaderboard import ranked_values, ranking_of
from .ranking import OUR_METRICS, profile_weights, scale


@dataclass(frozen=True)
class Part:
    """What a metric adds to the score of a recipe.

    Args:
        metric: its name.
        value: as it is ranked, a quality as if of the study's baseline.
        scaled: to 1 at the smallest value and the number of rows at the largest (eq. 11); None where all
            agree, and where halvings are counted.
        score: by the scoring rule, in [1, rows]; or halvings against the baseline.
        weight: of the profile; 1 of a cost that is minimized.
        adds: to the score; all parts add up to it.
    """

    metric: str
    value: float
    scaled: float | None
    score: float
    weight: float
    adds: float


def explained(
    rows: Sequence[Mapping[str, Any]],
    baseline: Mapping[str, Any],
    profile: str | Mapping[str, float],
    scoring: str = "linear",
) -> list[list[Part]]:
    """Returns for each row of a leaderboard what its score is made of (eqs. 11-16).

    Args:
        rows: all of the leaderboard: everything is relative to them.
        baseline, profile, scoring: that it was ranked with.
    """
    values, weights = ranked_values(rows, baseline), profile_weights(profile)
    scores = ranking_of(rows, baseline, profile, scoring).metric_scores
    counted = {name: weights[role] for role, name in OUR_METRICS.items() if name in scores}
    scaled = {name: _scaled(values[name]) for name in counted}
    total = sum(counted.values())
    return [
        [
            Part(
                name,
                values[name][place],
                scaled[name][place],
                scores[name][place],
                weight,
                weight * scores[name][place] / total,
            )
            for name, weight in counted.items()
        ]
        for place in range(len(rows))
    ]


def explained_by_goal(
    rows: Sequence[Mapping[str, Any]], baseline: Mapping[str, Any], goal: Goal
) -> list[list[Part]]:
    """Returns for each row how often each cost that a goal minimizes was halved, against the baseline."""
    return [
        [
            Part(name, figure_of(row, name), None, halvings, 1.0, halvings)
            for name in goal.minimized
            for halvings in [Goal((name,)).halvings(row, baseline)]
        ]
        for row in rows
    ]


def _scaled(values: Sequence[float]) -> list[float | None]:
    if min(values) == max(values):
        return [None] * len(values)
    return list(scale(values, len(values)).tolist())
